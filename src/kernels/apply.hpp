// apply: out_ik = sum_j w_ij V_jk with w_ij = exp((h_j + shift_i - c_ij) / eps).
// The caller scales rows (by a_i when shift is f: then out = P V). `squared` uses w_ij^2, `cost`
// w_ij c_ij (0 where w_ij is 0, also at c_ij = +inf). Accumulators as in softmin.hpp.
#pragma once
#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
enum class Weighting : std::uint8_t { plain, squared, cost };

template <class T>
struct ApplyArgs {
  Pairs<T> pairs;
  const T* h;      // [padded(m)], -inf in the padding
  const T* shift;  // [n]; a row with shift -inf or +inf gets 0
  Weighting weighting = Weighting::plain;
  const T* v;  // V_jk = v[j * v_row + k * v_col]; null: ones, k = 1
  std::int64_t v_row = 0, v_col = 0;
  int k = 1;
  T* out;  // [n, k] row-major
  double eps;
};

/// Whether split points are all that is read where both sides have them.
template <class T>
constexpr bool reads_split(const ApplyArgs<T>& a) {
  constexpr int kMostSwept = 16;  // columns of V, of which sweeps on matrix units take few
  return !a.v || (a.weighting != Weighting::cost && a.k <= kMostSwept);
}

namespace cpu {
template <class T>
void apply(const ApplyArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void apply(const ApplyArgs<T>&, Exec&);
}

template <class T>
void apply(const ApplyArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, apply(args, exec));
}
}  // namespace monge::kernels
