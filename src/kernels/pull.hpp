// pull: out_ik = sum_j w_ij dc/dx_k (x_i, y_j), w as in apply.hpp; squared costs by direct
// differences where norms are null; else 2 scale (mass_i x_i - sum_j w_ij y_j) from coordinates
// that the caller has centred. 0 where x_i = y_j and the derivative is not unique.
#pragma once
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
};

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
