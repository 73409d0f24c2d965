// The verbs on a support: a warp a row.
#include "kernels/support.hpp"

#include "cuda/current.cuh"
#include "cuda/launch.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kSparseThreads = 128;

/// The row of this warp, or -1.
__device__ std::int64_t warp_row(const Sparse& pairs) {
  const std::int64_t row = (std::int64_t{blockIdx.x} * kSparseThreads + threadIdx.x) / 32;
  return row < pairs.rows ? row : -1;
}
__device__ double warp_sum(double value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(~0u, value, step);
  return value;
}

__global__ void sparse_softmin_kernel(const SparseSoftminArgs a) {
  const std::int64_t i = warp_row(a.pairs);
  if (i < 0) return;
  const int lane = threadIdx.x % 32;
  const std::int64_t first = a.pairs.offsets[i] + lane, last = a.pairs.offsets[i + 1];
  const double rest = a.rest ? -a.rest[i] : -INFINITY;
  double top = rest;
  for (std::int64_t e = first; e < last; e += 32) {
    const double score = a.h[a.pairs.columns[e]] - a.pairs.costs[e];
    a.shares[e] = score;
    top = fmax(top, score);
  }
  for (int step = 16; step > 0; step /= 2) top = fmax(top, __shfl_xor_sync(~0u, top, step));
  const bool empty = isinf(top);
  double sum = 0;
  for (std::int64_t e = first; e < last; e += 32) {
    const double w = empty ? 0 : exp((a.shares[e] - top) / a.eps);
    a.shares[e] = w;
    sum += w;
  }
  sum = warp_sum(sum) + (empty ? 0 : exp((rest - top) / a.eps));
  if (lane == 0) a.out[i] = empty ? INFINITY : -top - a.eps * log(sum);
  if (empty) return;
  for (std::int64_t e = first; e < last; e += 32) a.shares[e] /= sum;
}

__global__ void sparse_apply_kernel(const SparseApplyArgs a) {
  const std::int64_t i = warp_row(a.pairs);
  if (i < 0) return;
  const int lane = threadIdx.x % 32;
  const std::int64_t last = a.pairs.offsets[i + 1];
  const double scale = a.scale ? a.scale[i] : 1;
  double sum = 0;
  for (std::int64_t e = a.pairs.offsets[i] + lane; e < last; e += 32) {
    double w = a.shares ? scale * a.shares[e] : scale;
    if (a.power == 2) w *= w;
    sum += w * a.v[a.pairs.columns[e]];
  }
  sum = warp_sum(sum);
  if (lane == 0) a.out[i] = sum;
}

unsigned blocks_of(const Sparse& pairs) {
  return static_cast<unsigned>((pairs.rows * 32 + kSparseThreads - 1) / kSparseThreads);
}
}  // namespace

void sparse_softmin(const SparseSoftminArgs& args, Exec& exec) {
  const Current current(exec);
  sparse_softmin_kernel<<<blocks_of(args.pairs), kSparseThreads, 0, stream_of(exec)>>>(args);
  check_launch("sparse_softmin");
}

void sparse_apply(const SparseApplyArgs& args, Exec& exec) {
  const Current current(exec);
  sparse_apply_kernel<<<blocks_of(args.pairs), kSparseThreads, 0, stream_of(exec)>>>(args);
  check_launch("sparse_apply");
}
}  // namespace monge::kernels::cuda
