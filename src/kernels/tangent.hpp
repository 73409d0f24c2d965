// tangent: sums over a linearised plan. With w as in apply.hpp, directions r < count and d c the
// change of the cost along a_r of the rows' points and b_r of the columns',
//   t_ijr = row_ir + col_jr + cost_r c_ij - slope dc_ijr + p_ir.q_jr,
//       dc_ijr = dc/dx.a_ir + dc/dy.b_jr
//   sum_ir = sum_j w_ij t_ijr,   costs_ir = sum_j w_ij t_ijr c_ij
//   gradient_ir = sum_j w_ij (t_ijr (dc/dx - center_i) [+ d2c/dx2 a_ir + d2c/dxdy b_jr])
//   mean_ir = sum_j w_ij t_ijr q_jr
// Derivatives of c: 0 where not unique or infinite, by differences; by products of split points: t
// errs by (|x| + |y|)(|a| + |b|), gradients by sum_j w |t| max |y|. Accumulators as in softmin.hpp.
#pragma once
#include <cstdint>

#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
template <class T>
struct TangentArgs {
  Pairs<T> pairs = {};
  const T* h = nullptr;      // [padded(m)], -inf in the padding
  const T* shift = nullptr;  // [n]; a row with a non-finite shift gets 0
  double eps = 1;
  int count = 1;  // of directions
  // Null: 0. Points of a form without any have no directions.
  const T *row = nullptr, *col = nullptr;  // [n, count], [m, count]
  const T* cost = nullptr;                 // [count]
  T slope = 1;
  const T *a = nullptr, *b = nullptr;   // [n, count, dim], [m, count, dim]
  int width = 0;                        // of p and q
  const T *p = nullptr, *q = nullptr;   // [n, width] or [n, count, width], likewise q
  bool p_each = false, q_each = false;  // one for each direction
  // Null: not wanted.
  T *sum = nullptr, *costs = nullptr;  // [n, count]
  T* gradient = nullptr;               // [n, count, dim]
  const T* center = nullptr;           // [n, dim]; null: 0
  bool curved = false;                 // with the second derivatives
  T* mean = nullptr;                   // [n, count, width]
};

namespace cpu {
template <class T>
void tangent(const TangentArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void tangent(const TangentArgs<T>&, Exec&);
}

template <class T>
void tangent(const TangentArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, tangent(args, exec));
}
}  // namespace monge::kernels
