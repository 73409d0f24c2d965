// A thread block takes a block of rows at a time down the tree of the columns, all nodes of a level
// together, and writes what it keeps to a common pool in the order of arrival; the lists are then
// put in theirs.
#include "kernels/choose.hpp"

#include <algorithm>

#include "cuda/answer.cuh"
#include "cuda/current.cuh"
#include "kernels/entries.hpp"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kChooseThreads = 128;
constexpr std::int64_t kChoosers = 132 * 6;                    // thread blocks at most
constexpr std::int64_t kNodeMemory = std::int64_t{256} << 20;  // of theirs
constexpr std::int64_t kUsual = 384;                           // blocks that a list has

/// How many threads before this one say yes; `total` of all.
__device__ int place_of(bool yes, int& total) {
  constexpr int kWarps = kChooseThreads / 32;
  __shared__ int counts[kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const unsigned votes = __ballot_sync(~0u, yes);
  __syncthreads();  // of the call before
  if (lane == 0) counts[warp] = __popc(votes);
  __syncthreads();
  int before = __popc(votes & ((1u << lane) - 1));
  total = 0;
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) before += counts[w];
    total += counts[w];
  }
  return before;
}

struct Choose {
  static constexpr int kThreads = kChooseThreads, kResident = 6;
  ChooseArgs args;
  Choosing how;
  std::int64_t rows, cols;  // blocks
  std::int32_t* nodes;      // [thread blocks, 2, cols]
  std::int32_t* pool;
  std::int64_t capacity;  // of the pool
  unsigned long long* used;
  std::int64_t *starts, *counts;  // [rows] in the pool
  double* loss;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    std::int32_t* const memory = nodes + at.x * 2 * cols;
    for (std::int64_t row = at.x; row < rows; row += at.width) choose(row, memory, memory + cols);
  }

  __device__ void choose(std::int64_t row, std::int32_t* from, std::int32_t* to) const {
    __shared__ unsigned long long held[Choosing::kBuckets];
    __shared__ int number[Choosing::kBuckets];
    __shared__ Choosing::Cut cut;
    __shared__ std::int64_t start;
    const std::int64_t here = args.rows.first[kBlockLevel] + row;
    const NodeBox box = args.rows.boxes[here];
    const Plane plane = args.rows.planes[here];
    for (int b = threadIdx.x; b < Choosing::kBuckets; b += kThreads) held[b] = number[b] = 0;
    if (threadIdx.x == 0) from[0] = 0;
    int count = 1;
    for (int level = args.cols.levels - 2; level >= kColumnLevel; --level) {
      __syncthreads();
      int next = 0;
      for (int first = 0; first < 2 * count; first += kThreads) {
        const int t = first + static_cast<int>(threadIdx.x);
        const std::int64_t node = t < 2 * count ? 2 * std::int64_t{from[t / 2]} + t % 2 : 0;
        bool stays = t < 2 * count && node < args.cols.count(level);
        if (stays) {
          const std::int64_t across = args.cols.first[level] + node;
          stays = !(pair_bound(box, plane, args.cols.boxes[across], args.cols.planes[across],
                               args.scale) <= how.least);
        }
        int total;
        const int place = place_of(stays, total);
        if (stays) to[next + place] = static_cast<std::int32_t>(node);
        next += total;
      }
      count = next;
      std::int32_t* const other = from;
      from = to;
      to = other;
    }
    if (count == 0) {
      count = 1;
      if (threadIdx.x == 0) from[0] = static_cast<std::int32_t>(nearest_block(args, row));
    }
    __syncthreads();
    for (int t = threadIdx.x; t < count; t += kThreads) {
      const std::uint64_t holds = how.held(args, row, from[t]);
      const int b = Choosing::bucket(holds);
      to[t] = b;
      atomicAdd(held + b, static_cast<unsigned long long>(holds));
      atomicAdd(number + b, 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      cut = Choosing::cut(held, number, count);
      loss[row] = how.loss(cut);
      start = static_cast<std::int64_t>(atomicAdd(used, static_cast<unsigned long long>(cut.kept)));
      starts[row] = start;
      counts[row] = cut.kept;
    }
    __syncthreads();
    if (start + cut.kept > capacity) return;
    std::int64_t kept = start;
    for (int first = 0; first < count; first += kThreads) {
      const int t = first + static_cast<int>(threadIdx.x);
      const bool stays = t < count && to[t] >= cut.bucket;
      int total;
      const int place = place_of(stays, total);
      if (stays) pool[kept + place] = from[t];
      kept += total;
    }
    __syncthreads();
  }
};

/// A warp moves the list of a block of rows.
struct Arrange {
  static constexpr int kThreads = 256, kRows = kThreads / 32;
  const std::int32_t* pool;
  const std::int64_t *starts, *offsets;
  std::int64_t rows;
  std::int32_t* blocks;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t row = std::int64_t{at.x} * kRows + threadIdx.x / 32;
    if (row >= rows) return;
    const std::int64_t to = offsets[row], count = offsets[row + 1] - to;
    for (std::int64_t e = threadIdx.x % 32; e < count; e += 32)
      blocks[to + e] = pool[starts[row] + e];
  }
};
}  // namespace

Choice choose(const ChooseArgs& args, Exec& exec) {
  const Current current(exec);
  const std::int64_t rows = args.rows.count(kBlockLevel), cols = args.cols.count(kColumnLevel);
  constexpr std::int64_t kBytes = sizeof(std::int32_t);
  const std::int64_t choosers =
      std::min({rows, kChoosers, std::max<std::int64_t>(132, kNodeMemory / (2 * kBytes * cols))});
  const Scratch nodes(exec, choosers * 2 * cols * kBytes);
  const Scratch lists(exec, (2 * rows + 1) * static_cast<std::int64_t>(sizeof(std::int64_t)));
  auto* const starts = reinterpret_cast<std::int64_t*>(lists.data());
  auto* const counts = starts + rows;
  auto* const used = reinterpret_cast<unsigned long long*>(counts + rows);
  Choice out{Buffer<std::int64_t>(rows + 1, exec.device), {}, Buffer<double>(rows, exec.device)};
  for (std::int64_t capacity = rows * std::min(cols, kUsual);;) {
    const Scratch pool(exec, capacity * kBytes);
    auto* const found = reinterpret_cast<std::int32_t*>(pool.data());
    cuda::each(FillArgs<std::int64_t>{0, reinterpret_cast<std::int64_t*>(used)}, 1, exec);
    launch(Choose{args, Choosing(args), rows, cols, reinterpret_cast<std::int32_t*>(nodes.data()),
                  found, capacity, used, starts, counts, out.loss.data()},
           choosers, exec);
    const std::int64_t kept = scan(counts, rows, out.offsets.data(), exec);
    if (kept > capacity) {
      capacity = kept;
      continue;
    }
    out.blocks = Buffer<std::int32_t>(kept, exec.device);
    launch(Arrange{found, starts, out.offsets.data(), rows, out.blocks.data()},
           (rows + Arrange::kRows - 1) / Arrange::kRows, exec);
    return out;
  }
}
}  // namespace monge::kernels::cuda
