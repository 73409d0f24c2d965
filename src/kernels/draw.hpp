// draw: columns from w_i. / sum_j w_ij, w as in apply.hpp. Request r asks for counts[r] draws of
// row rows[r], written to out[offsets[r] ..). Draw number t of row i uses the uniform number
// philox_uniform(seed, i, t) by inversion of the cumulative sum in column order: one
// pass finds block sums, the draw is then located inside its block of kColumnBlock columns. So a
// row costs one pass however many draws it asks, and results are independent of tiling.
#pragma once
#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
template <class T>
struct DrawArgs {
  Pairs<T> pairs;
  const T* h;      // [padded(m)]
  const T* shift;  // [n], near the row's softmin so that weights neither vanish nor overflow
  const std::int64_t* rows;     // [requests]
  const std::int64_t* counts;   // [requests]
  const std::int64_t* offsets;  // [requests]
  std::int64_t requests;
  std::uint64_t seed;
  std::int64_t* out;  // column, or -1 where the row has no weight
  double eps;
};

namespace cpu {
template <class T>
void draw(const DrawArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void draw(const DrawArgs<T>&, Exec&);
}

template <class T>
void draw(const DrawArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, draw(args, exec));
}
}  // namespace monge::kernels
