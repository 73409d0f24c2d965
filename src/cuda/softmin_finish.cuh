// What a row's sum comes to, for the kernels that end one.
#pragma once
#include "cuda/launch.cuh"
#include "cuda/softmin_sweep.cuh"
#include "cuda/step.cuh"
#include "kernels/absorbed.hpp"

namespace monge::cuda {
/// Whether weights of an absorbed kernel are so large that entries may matter which it has lost.
template <class T>
__device__ bool lost_entries(const Sweep<T>& sweep) {
  double total = 0;
  for (int part = 0; part < sweep.weight_parts; ++part) total += sweep.weights[part];
  return !(total <= kernels::kMostWeight);
}

/// out_i of its sum; false, and nothing is written, where the shift did not fit.
template <class T>
__device__ bool end_row(const Sweep<T>& sweep, std::int64_t i, double sum) {
  const double shift = sweep.args.shift[i] * sweep.per_cost;
  const double most_shift = sweep.weights ? kLargestShift<double> : kLargestShift<T>,
               most = kernels::largest_sum(sweep.args.precision);
  if (!(fabs(shift) <= most_shift && sum >= 1 / most && sum <= most) || lost_entries(sweep))
    return false;
  const double origin = sweep.weights ? shift : whole_shift<T>(sweep.args.shift, i, sweep.per_cost);
  sweep.args.out[i] = (origin - log2(sum)) / sweep.per_cost;  // may be the shift
  return true;
}

/// The step that follows, of the rows of a block, once they have ended: by thread t of row t.
template <class T>
__device__ void step_rows(const Sweep<T>& sweep, std::int64_t i0) {
  if (sweep.step.s && threadIdx.x < kRowBlock)
    take_step(sweep.step, i0 + threadIdx.x, sweep.step.omega != 1);
}
}  // namespace monge::cuda
