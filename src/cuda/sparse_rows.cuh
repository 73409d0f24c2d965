// Rows of a support, each by some lanes of a warp. All lanes of the warp call together; `there`
// says whether this one's row exists.
#pragma once
#include "cuda/launch.cuh"
#include "kernels/support.hpp"

namespace monge::cuda {
/// Entries of a lane that are under way at once.
inline constexpr int kHeld = 8;

template <int kLanes>
__device__ double add_row_lanes(double value) {
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(~0u, value, step);
  return value;
}

/// out[i], in every lane, which the first one writes.
template <int kLanes>
__device__ void apply_row(const kernels::SparseApplyArgs& a, std::int64_t i, bool there) {
  const int lane = threadIdx.x % kLanes;
  const std::int64_t last = there ? a.pairs.offsets[i + 1] : 0;
  const double scale = there && a.scale ? a.scale[i] : 1;
  double sum = 0;
  for (std::int64_t e0 = there ? a.pairs.offsets[i] + lane : 0; e0 < last; e0 += kHeld * kLanes) {
#pragma unroll
    for (int u = 0; u < kHeld; ++u) {
      const std::int64_t e = e0 + u * kLanes;
      if (e >= last) continue;
      double w = a.shares ? scale * a.shares[e] : scale;
      if (a.power == 2) w *= w;
      sum += w * a.v[a.pairs.columns[e]];
    }
  }
  sum = add_row_lanes<kLanes>(sum);
  if (there && lane == 0) a.out[i] = sum;
}

template <int kLanes>
__device__ void softmin_row(const kernels::SparseSoftminArgs& a, std::int64_t i, bool there) {
  const int lane = threadIdx.x % kLanes;
  const std::int64_t first = there ? a.pairs.offsets[i] + lane : 0;
  const std::int64_t last = there ? a.pairs.offsets[i + 1] : 0;
  const std::int64_t more = first + kHeld * kLanes;  // what is not held goes through memory
  const double rest = there && a.rest ? -a.rest[i] : -INFINITY, per_cost = 1 / a.eps;
  double held[kHeld], top = rest;
#pragma unroll
  for (int u = 0; u < kHeld; ++u) {
    const std::int64_t e = first + u * kLanes;
    held[u] = e < last ? a.h[a.pairs.columns[e]] - a.pairs.costs[e] : -INFINITY;
    top = fmax(top, held[u]);
  }
  for (std::int64_t e = more; e < last; e += kLanes)
    top = fmax(top, a.shares[e] = a.h[a.pairs.columns[e]] - a.pairs.costs[e]);
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) top = fmax(top, __shfl_xor_sync(~0u, top, step));
  const bool empty = isinf(top);
  const double shift = empty ? 0 : top;
  double sum = 0;
#pragma unroll
  for (int u = 0; u < kHeld; ++u) sum += held[u] = empty ? 0 : exp((held[u] - shift) * per_cost);
  for (std::int64_t e = more; e < last; e += kLanes)
    sum += a.shares[e] = empty ? 0 : exp((a.shares[e] - shift) * per_cost);
  sum = add_row_lanes<kLanes>(sum) + (empty ? 0 : exp((rest - shift) * per_cost));
  if (!there) return;
  if (lane == 0) a.out[i] = empty ? INFINITY : -top - a.eps * log(sum);
  const double share = empty ? 0 : 1 / sum;
#pragma unroll
  for (int u = 0; u < kHeld; ++u)
    if (first + u * kLanes < last) a.shares[first + u * kLanes] = held[u] * share;
  for (std::int64_t e = more; e < last; e += kLanes) a.shares[e] *= share;
}

/// row<kLanes>(i, there) for a row that kLanes lanes hold at once; longer ones, which would keep
/// the others waiting, by the whole warp, one after the other.
template <int kLanes, class Row>
__device__ void by_length(const kernels::Sparse& pairs, std::int64_t i, bool there,
                          const Row& row) {
  const bool is_long = there && pairs.offsets[i + 1] - pairs.offsets[i] > kHeld * kLanes;
  row.template operator()<kLanes>(i, there && !is_long);
  unsigned left = __ballot_sync(~0u, is_long && threadIdx.x % kLanes == 0);
  for (; left; left &= left - 1)
    row.template operator()<32>(__shfl_sync(~0u, i, __ffs(left) - 1), true);
  __syncwarp();
}
}  // namespace monge::cuda
