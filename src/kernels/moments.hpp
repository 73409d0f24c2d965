// moments about a centre of the row: with w as in apply.hpp and u = z_j - center_i,
//   mass_i = sum_j w_ij,  first_ik = sum_j w_ij u_k,  second_ikl = sum_j w_ij u_k u_l
// centred so that nothing cancels when the centre is near the mean.
#pragma once
#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
template <class T>
struct MomentsArgs {
  Pairs<T> pairs;
  const T* h;        // [padded(m)]
  const T* shift;    // [n]; a row with a non-finite shift gets zeros
  Panels<T> values;  // z: m values of dimension values.dim, packed as points are
  const T* center;   // [n, dim] row-major
  T* mass;           // [n]
  T* first;          // [n, dim]
  T* second;         // [n, dim, dim], symmetric
  double eps;
};

namespace cpu {
template <class T>
void moments(const MomentsArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void moments(const MomentsArgs<T>&, Exec&);
}

template <class T>
void moments(const MomentsArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, moments(args, exec));
}
}  // namespace monge::kernels
