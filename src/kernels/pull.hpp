// pull: out_ik = sum_j w_ij dc/dx_k (x_i, y_j), w as in apply.hpp; squared costs by direct
// differences where norms are null; else 2 scale (mass_i x_i - sum_j w_ij y_j) from coordinates
// that the caller has centred. 0 where x_i = y_j and the derivative is not unique. From points that
// are split (split.hpp) the sums' errors are relative to mass_i max |y|, not to each coordinate's
// own size.
#pragma once
#include "kernels/apply.hpp"
#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
template <class T>
struct PullArgs {
  Pairs<T> pairs;  // any form but matrix
  const T* h;      // [padded(m)]
  const T* shift;  // [n]; a row with a non-finite shift gets 0
  T* out;          // [n, dim] row-major
  double eps;
  T *mass = nullptr, *cost = nullptr;  // [n] as apply gives them for ones, `plain` and `cost`;
                                       // null: not wanted
};

/// The mass and cost of a pull that does not sum them itself.
template <class T>
void sum_apart(const PullArgs<T>& a, Exec& exec) {
  const auto sum = [&](Weighting weighting, T* out) {
    if (out)
      apply<T>({.pairs = a.pairs,
                .h = a.h,
                .shift = a.shift,
                .weighting = weighting,
                .v = nullptr,
                .out = out,
                .eps = a.eps},
               exec);
  };
  sum(Weighting::plain, a.mass);
  sum(Weighting::cost, a.cost);
}

namespace cpu {
template <class T>
void pull(const PullArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void pull(const PullArgs<T>&, Exec&);
}

template <class T>
void pull(const PullArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, pull(args, exec));
}
}  // namespace monge::kernels
