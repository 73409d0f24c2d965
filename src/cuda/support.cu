// The verbs on a support: a warp a row.
#include "kernels/support.hpp"

#include "cuda/current.cuh"
#include "cuda/launch.cuh"
#include "cuda/sparse_rows.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kSparseThreads = 128, kLanes = 32;

__global__ void sparse_softmin_kernel(const SparseSoftminArgs a) {
  const std::int64_t i = (std::int64_t{blockIdx.x} * kSparseThreads + threadIdx.x) / kLanes;
  softmin_row<kLanes>(a, i, i < a.pairs.rows);
}
__global__ void sparse_apply_kernel(const SparseApplyArgs a) {
  const std::int64_t i = (std::int64_t{blockIdx.x} * kSparseThreads + threadIdx.x) / kLanes;
  apply_row<kLanes>(a, i, i < a.pairs.rows);
}

unsigned blocks_of(const Sparse& pairs) {
  return static_cast<unsigned>((pairs.rows * kLanes + kSparseThreads - 1) / kSparseThreads);
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
