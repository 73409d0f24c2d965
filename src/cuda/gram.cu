// A thread block adds up its share of the rows, 32 at a time in shared memory, 4 x 4 products to a
// thread; another adds up the blocks' in order.
#include "kernels/gram.hpp"

#include <algorithm>

#include "cuda/answer.cuh"
#include "cuda/current.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kGramThreads = 256, kGramRows = 32, kEach = 4;
constexpr std::int64_t kGramBlocks = 264;  // by no card: results repeat

template <class T>
struct Gram {
  static constexpr int kThreads = kGramThreads;
  WeightedGramArgs<T> args;
  std::int64_t share;  // rows of a thread block
  double* parts;       // [thread blocks, kGramColumns, kGramColumns]

  __device__ void operator()(Block at) const {
    __shared__ double rows[kGramRows][kGramColumns], weights[kGramRows];
    await_previous();
    allow_next();
    const std::int64_t first = at.x * share, end = min(args.n, first + share);
    const int c0 = threadIdx.x / 16 * kEach, e0 = threadIdx.x % 16 * kEach;
    double sum[kEach][kEach] = {};
    for (std::int64_t i0 = first; i0 < end; i0 += kGramRows) {
      __syncthreads();
      for (int t = threadIdx.x; t < kGramRows * kGramColumns; t += kThreads) {
        const int r = t / kGramColumns, c = t % kGramColumns;
        const bool there = i0 + r < end && c < args.k;
        rows[r][c] = there ? static_cast<double>(args.values[(i0 + r) * args.k + c]) : 0;
        if (c == 0) weights[r] = i0 + r < end ? args.weight[i0 + r] : 0;
      }
      __syncthreads();
      for (int r = 0; r < kGramRows; ++r)
        for (int c = 0; c < kEach; ++c) {
          const double scaled = weights[r] * rows[r][c0 + c];
          for (int e = 0; e < kEach; ++e) sum[c][e] += scaled * rows[r][e0 + e];
        }
    }
    double* const to = parts + std::int64_t{at.x} * kGramColumns * kGramColumns;
    for (int c = 0; c < kEach; ++c)
      for (int e = 0; e < kEach; ++e) to[(c0 + c) * kGramColumns + e0 + e] = sum[c][e];
  }
};

struct AddGrams {
  static constexpr int kThreads = kGramThreads;
  const double* parts;
  std::int64_t count;
  int k;
  double* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const int entry = static_cast<int>(at.x) * kThreads + threadIdx.x;
    if (entry >= k * k) return;
    const int place = entry / k * kGramColumns + entry % k;
    double sum = 0;
    for (std::int64_t p = 0; p < count; ++p) sum += parts[p * kGramColumns * kGramColumns + place];
    out[entry] = sum;
  }
};
}  // namespace

template <class T>
void gram(const WeightedGramArgs<T>& args, Exec& exec) {
  const Current current(exec);
  const std::int64_t share =
      std::max<std::int64_t>(kGramRows, (args.n + kGramBlocks - 1) / kGramBlocks);
  const std::int64_t blocks = (args.n + share - 1) / share;
  constexpr std::int64_t kDouble = sizeof(double);
  const Scratch parts(exec, blocks * kGramColumns * kGramColumns * kDouble);
  auto* const sums = reinterpret_cast<double*>(parts.data());
  const int entries = args.k * args.k;
  const Answer answer(entries * kDouble);
  launch(Gram<T>{args, share, sums}, blocks, exec);
  launch(AddGrams{sums, blocks, args.k, answer.as<double>()},
         (entries + kGramThreads - 1) / kGramThreads, exec);
  wait(exec, "gram");
  std::copy_n(answer.as<double>(), entries, args.out);
}
template void gram(const WeightedGramArgs<float>&, Exec&);
template void gram(const WeightedGramArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
