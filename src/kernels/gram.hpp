// gram: out_ce = sum_i w_i v_ic v_ie, in double, in blocks of rows that n alone decides.
#pragma once
#include <cstdint>

#include "kernels/backend.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
inline constexpr int kGramColumns = 64;  // at most

template <class T>
struct WeightedGramArgs {
  const T* values;  // [n, k] row-major
  const double* weight;
  std::int64_t n;
  int k;
  double* out;  // [k, k], host
};

namespace cpu {
template <class T>
void gram(const WeightedGramArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void gram(const WeightedGramArgs<T>&, Exec&);
}
/// Waits.
template <class T>
void gram(const WeightedGramArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, gram(args, exec));
}
}  // namespace monge::kernels
