// Runs a consumer that leaves sums for each row: how the columns are split, and how the parts meet.
#pragma once
#include "cuda/slices.cuh"
#include "cuda/sweep.cuh"

namespace monge::cuda::verbs {
/// Adds the parts of `rows` rows from i0 up, in order.
template <class Store>
__global__ void combine_kernel(const double* partial, std::int64_t i0, std::int64_t rows,
                               std::int64_t stride, int sums, int parts, const Store store) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= rows * sums) return;
  double value = 0;
  for (int part = 0; part < parts; ++part) value += partial[part * stride * sums + at];
  store(i0 + at / sums, static_cast<int>(at % sums), value);
}

/// Into how many parts the columns are split, by shape alone: the least time on 132
/// multiprocessors, counted in column blocks, to which each thread block adds `overhead`.
/// `resident` thread blocks share a multiprocessor, and one alone does not fill it.
inline int parts_of(std::int64_t n, std::int64_t m, int resident, double overhead) {
  constexpr std::int64_t kProcessors = 132, kMost = 8 * kProcessors;
  const std::int64_t row_blocks = (n + kRowBlock - 1) / kRowBlock;
  const std::int64_t column_blocks = (m + kColumnBlock - 1) / kColumnBlock;
  std::int64_t best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (std::int64_t parts = 1; parts <= column_blocks; ++parts) {
    if (parts > 1 && parts * row_blocks > kMost) break;
    const std::int64_t load = (parts * row_blocks + kProcessors - 1) / kProcessors;
    const std::int64_t blocks = (column_blocks + parts - 1) / parts;
    const double time = static_cast<double>(std::max<std::int64_t>(load, resident)) *
                        (static_cast<double>(blocks) + overhead);
    if (time < least * 0.99) {
      least = time;
      best = parts;
    }
  }
  return static_cast<int>(best);
}

template <class T, class Score, class Consumer>
void set_shared_bytes(int bytes) {
  check(cudaFuncSetAttribute(sweep_kernel<T, Score, Consumer>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        "shared memory of a sweep");
}

/// Multiply-adds of a row block, roughly.
template <class T>
double work_of(const Pairs<T>& p, double extra) {
  return (sizeof(T) == 4 ? 1.0 : 2.0) * kRowBlock * static_cast<double>(p.m) *
         (p.rows.dim + 16 + extra);
}

/// Runs a consumer of row sums over all rows.
template <class Score, class Consumer, class T>
void sum_rows(SweepArgs<T> a, typename Consumer::Args args, Exec& exec) {
  constexpr int kSums = Consumer::kSums;
  const int bytes = Layout<T, Score, Consumer>::kBytes;
  set_shared_bytes<T, Score, Consumer>(bytes);
  const std::int64_t n = a.pairs.n;
  a.parts = parts_of(n, a.pairs.m, Consumer::kResident, 1);
  const std::int64_t all_rows = (n + kRowBlock - 1) / kRowBlock * kRowBlock;
  const Scratch partial(
      exec,
      a.parts > 1 ? a.parts * all_rows * kSums * static_cast<std::int64_t>(sizeof(double)) : 0);
  args.partial = reinterpret_cast<double*>(partial.data());
  const cudaStream_t stream = stream_of(exec);
  in_slices(all_rows / kRowBlock, work_of(a.pairs, kSums), exec,
            [&](std::int64_t first, std::int64_t count) {
              a.first_block = first;
              const dim3 grid(static_cast<unsigned>(count), a.parts);
              sweep_kernel<T, Score, Consumer><<<grid, kThreads, bytes, stream>>>(a, args);
              check_launch("sweep");
              if (a.parts == 1) return;
              const std::int64_t i0 = first * kRowBlock, rows = std::min(n - i0, count * kRowBlock);
              const auto blocks = static_cast<unsigned>((rows * kSums + 255) / 256);
              combine_kernel<<<blocks, 256, 0, stream>>>(args.partial, i0, rows, count * kRowBlock,
                                                         kSums, a.parts, args.store);
              check_launch("combine");
            });
}
}  // namespace monge::cuda::verbs
