// hard: one warp a row; each lane keeps the best of its columns, ties to the lower one.
#include "kernels/hard.hpp"

#include "cuda/current.cuh"
#include "cuda/slices.cuh"
#include "cuda/sum_rows.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;         // NOLINT(google-build-using-namespace): the backend's own
using namespace monge::cuda::verbs;  // NOLINT(google-build-using-namespace)

namespace {
template <class T>
__global__ void hard_kernel(const SweepArgs<T> sweep, const HardArgs<T> a, std::int64_t first,
                            std::int64_t last) {
  const std::int64_t i = first + (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  if (i >= last) return;
  const int lane = threadIdx.x % 32;
  T best = -infinity<T>();
  std::int64_t column = -1;
  const Columns columns(sweep, i / kRowBlock, 0);
  for (std::int64_t entry = columns.first; entry < columns.last; ++entry)
    for (int t = lane; t < kColumnBlock; t += 32) {
      const std::int64_t j = columns.j0(entry) + t;
      if (j >= a.pairs.m) break;
      const T score = a.h[j] - pair_cost(a.pairs, i, j);
      if (score > best) best = score, column = j;
    }
  for (int step = 16; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(~0u, best, step);
    const std::int64_t there = __shfl_xor_sync(~0u, column, step);
    if (other > best || (other == best && there < column)) best = other, column = there;
  }
  if (lane == 0) a.out[i] = -best, a.columns[i] = column;
}
}  // namespace

template <class T>
void hard(const HardArgs<T>& a, Exec& exec) {
  if (a.pairs.n == 0) return;
  const Current current(exec);
  const SweepArgs<T> sweep(a.pairs, a.h, nullptr, 1);
  in_slices((a.pairs.n + kRowBlock - 1) / kRowBlock, work_of(a.pairs, 2), exec,
            [&](std::int64_t first, std::int64_t count) {
              const std::int64_t i0 = first * kRowBlock;
              const std::int64_t rows = std::min(count * kRowBlock, a.pairs.n - i0);
              const auto blocks = static_cast<unsigned>((rows * 32 + kThreads - 1) / kThreads);
              hard_kernel<<<blocks, kThreads, 0, stream_of(exec)>>>(sweep, a, i0, i0 + rows);
              check_launch("hard");
            });
}
template void hard<float>(const HardArgs<float>&, Exec&);
template void hard<double>(const HardArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
