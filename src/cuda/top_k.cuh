// The consumer of top_k for any k: each warp keeps the best of its 8 rows.
#pragma once
#include "cuda/best.cuh"
#include "cuda/weight_tile.cuh"

namespace monge::cuda::verbs {
/// InShared: list and queue stand in shared memory, else in the arrays themselves.
template <class T, bool InShared>
class TopK {
  static constexpr int kRows = kRowBlock / kWarps;  // of a warp

 public:
  using G = Tile<T>;
  static constexpr int kLargest = 64;        // size that fits into shared memory,
  static constexpr int kNeeded = 160 << 10;  // of so many bytes
  using Args = BestArgs<T>;
  static constexpr bool kRowFactors = false, kExact = false, kWeightings = false, kSlopes = false;
  static constexpr int kColumnValues = 0;
  // Lists come on top of it.
  static constexpr int kSharedBytes =
      WeightTile<T>::kBytes + kRowBlock * static_cast<int>(sizeof(T) + sizeof(int));
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ TopK(const Args& args, const Pairs<T>&, std::int64_t, const double*,
                  unsigned char* shared)
      : args_(args),
        tile_(shared),
        first_(std::int64_t{blockIdx.x} * kRowBlock),
        threshold_(reinterpret_cast<T*>(shared + WeightTile<T>::kBytes)),
        waiting_(reinterpret_cast<int*>(threshold_ + kRowBlock)),
        lists_(shared + kSharedBytes) {
    for (int r = 0; r < kRows; ++r) {
      waiting_[row(r)] = 0;
      threshold_[row(r)] = 0;
      list(row(r)).clear(0, args.size);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) sum_[r] = 0;
  }

  __device__ void stage(std::int64_t, T*) const {}
  __device__ void begin_step(const Place&) {}
  template <class Score>
  __device__ void add(const Score&, const Place&, const T*, const T*, const T (&w)[G::kRows][4]) {
    tile_.write(w);
  }

  __device__ void end_step(const Place& place) {
    constexpr int kLane = WeightTile<T>::kLaneColumns;
    __syncthreads();
    unsigned passing = 0;  // rows that have a candidate
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      T w[kLane];
      tile_.read(row(r), w);
      T largest = w[0], sum = w[0];
#pragma unroll
      for (int c = 1; c < kLane; ++c) {
        largest = max(largest, w[c]);
        sum += w[c];
      }
      sum_[r] += sum;
      // The list holds lower columns alone: an equal weight is no better.
      if (__any_sync(~0u, largest > threshold_[row(r)])) passing |= 1u << r;
    }
    const auto first =
        static_cast<std::uint32_t>(place.j0 + place.step * G::kWidth) + threadIdx.x % 32 * kLane;
    for (; passing; passing &= passing - 1) {
      const int r = row(__ffs(passing) - 1);
      const T start = threshold_[r];
      T w[kLane];
      tile_.read(r, w);
#pragma unroll
      for (int c = 0; c < kLane; ++c) enqueue(r, w[c], first + c, start);
    }
    __syncthreads();
  }
  __device__ void end_block(std::int64_t, std::int64_t) {}

  __device__ void finish(int part, int, int) {
    const int lane = threadIdx.x % 32;
    for (int r = 0; r < kRows; ++r) {
      settle(row(r));
      if constexpr (InShared) {
        const std::int64_t at = (part * args_.rows + first_ + row(r)) * args_.size;
        for (int e = lane; e < args_.size; e += 32) {
          args_.weights[at + e] = list(row(r)).weights[e];
          args_.columns[at + e] = list(row(r)).columns[e];
        }
      }
    }
    if (!args_.sums) return;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int step = 16; step > 0; step /= 2) sum_[r] += __shfl_xor_sync(~0u, sum_[r], step);
      if (lane == 0) args_.sums[part * args_.rows + first_ + row(r)] = sum_[r];
    }
  }

 private:
  /// The warp's row r, counted from the tile's first.
  __device__ static int row(int r) { return threadIdx.x / 32 * kRows + r; }
  __device__ Entries<T> list(int row) const {
    if constexpr (InShared) return shared_entries(row);
    const std::int64_t at = (first_ + row) * args_.size;  // a single part then
    return {args_.weights + at, args_.columns + at};
  }
  __device__ Entries<T> queue(int row) const {
    if constexpr (InShared) return shared_entries(kRowBlock + row);
    const std::int64_t at = (first_ + row) * args_.size;
    return {args_.queue_weights + at, args_.queue_columns + at};
  }
  __device__ Entries<T> shared_entries(int index) const {
    T* const weights = reinterpret_cast<T*>(lists_);
    const auto columns = reinterpret_cast<std::uint32_t*>(weights + 2 * kRowBlock * args_.size);
    return {weights + index * args_.size, columns + index * args_.size};
  }

  /// At most one candidate of every lane; the queue is emptied first where they might not fit.
  /// `start`: the threshold before this step, whose columns come in any order.
  __device__ void enqueue(int row, T weight, std::uint32_t column, T start) {
    unsigned passing = __ballot_sync(~0u, weight > start && weight >= threshold_[row]);
    if (passing == 0) return;
    int waiting = waiting_[row];
    if (waiting + __popc(passing) > args_.size) {
      settle(row);
      waiting = 0;
      passing = __ballot_sync(~0u, weight > start && weight >= threshold_[row]);
    }
    const int lane = threadIdx.x % 32;
    if (passing >> lane & 1) {
      const int at = waiting + __popc(passing & ((1u << lane) - 1));
      queue(row).weights[at] = weight;
      queue(row).columns[at] = column;
    }
    __syncwarp();
    if (lane == 0) waiting_[row] = waiting + __popc(passing);
    __syncwarp();
  }

  __device__ void settle(int row) {
    const int waiting = waiting_[row];
    if (waiting == 0) return;
    absorb(list(row), queue(row), waiting, args_.size);
    if (threadIdx.x % 32 == 0) {
      waiting_[row] = 0;
      threshold_[row] = list(row).weights[args_.k - 1];
    }
    __syncwarp();
  }

  const Args& args_;
  WeightTile<T> tile_;
  std::int64_t first_;  // row of the slice
  T* threshold_;        // [kRowBlock] only weights above it can be among the best
  int* waiting_;        // [kRowBlock] candidates in the queue
  unsigned char* lists_;
  double sum_[kRows];
};
}  // namespace monge::cuda::verbs
