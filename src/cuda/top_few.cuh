// The consumer of top_k for k <= 32: candidates go straight from the registers that hold a step's
// weights to a short queue of their row. A full queue is sorted and merged, by one warp in
// registers, into the row's list. Which candidate queues first is chance; what the lists hold in
// the end is not.
#pragma once
#include "cuda/best.cuh"
#include "cuda/sweep.cuh"

namespace monge::cuda::verbs {
inline constexpr int kFew = 32;

template <class T>
class TopFew {
 public:
  using G = Tile<T>;
  using Args = BestArgs<T>;
  static constexpr bool kRowFactors = false, kExact = false, kWeightings = false, kSlopes = false;
  static constexpr int kColumnValues = 0;
  static constexpr int kSharedBytes =
      kRowBlock * (2 * kFew * static_cast<int>(sizeof(T) + 4) + static_cast<int>(sizeof(T)) + 4);
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ TopFew(const Args& args, const Pairs<T>&, std::int64_t, const double*,
                    unsigned char* shared)
      : args_(args),
        list_{reinterpret_cast<T*>(shared), nullptr},
        queue_{list_.weights + kRowBlock * kFew, nullptr},
        threshold_(queue_.weights + kRowBlock * kFew),
        waiting_(reinterpret_cast<int*>(threshold_ + kRowBlock)) {
    list_.columns = reinterpret_cast<std::uint32_t*>(waiting_ + kRowBlock);
    queue_.columns = list_.columns + kRowBlock * kFew;
    for (int at = threadIdx.x; at < kRowBlock * kFew; at += kThreads)
      list_.weights[at] = 0, list_.columns[at] = kNoColumn;
    if (threadIdx.x < kRowBlock) threshold_[threadIdx.x] = 0, waiting_[threadIdx.x] = 0;
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) sum_[r] = 0, total_[r] = 0;
  }

  __device__ void stage(std::int64_t, T*) const {}
  __device__ void begin_step(const Place&) {}

  template <class Score>
  __device__ void add(const Score&, const Place& place, const T*, const T*,
                      const T (&w)[G::kRows][4]) {
    const auto column = static_cast<std::uint32_t>(place.j0 + place.step * G::kWidth + G::column());
    if (args_.sums) {
#pragma unroll
      for (int r = 0; r < G::kRows; ++r) sum_[r] += (w[r][0] + w[r][1]) + (w[r][2] + w[r][3]);
    }
    // The lists hold lower columns alone, so that an equal weight is no better; but among the
    // candidates of one step it may be: those that found a full queue try again with >=.
    unsigned left = 0;  // bit 4 r + c
    for (bool again = false;; again = true) {
      bool crowded = false;
#pragma unroll
      for (int q = 0; q < G::kRows; q += 4) {
        T threshold[4];
        load4(threshold_ + G::row(q), threshold);
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          const T(&four)[4] = w[q + r];
          if (again ? !(left >> (q + r) * 4 & 15)
                    : !(max(max(four[0], four[1]), max(four[2], four[3])) > threshold[r]))
            continue;
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            const unsigned bit = 1u << ((q + r) * 4 + c);
            const bool better =
                again ? (left & bit) && four[c] >= threshold[r] : four[c] > threshold[r];
            left &= ~bit;
            if (!better || enqueue(G::row(q + r), four[c], column + c)) continue;
            left |= bit;
            crowded = true;
          }
        }
      }
      if (!__syncthreads_or(crowded)) return;
      for (int row = threadIdx.x / 32; row < kRowBlock; row += kWarps)
        if (waiting_[row] >= kFew) settle(row);
      __syncthreads();
    }
  }
  __device__ void end_step(const Place&) {}
  __device__ void end_block(std::int64_t, std::int64_t) {
    if (!args_.sums) return;
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) {
      total_[r] += sum_[r];
      sum_[r] = 0;
    }
  }

  __device__ void finish(int part, int, int) {
    __syncthreads();
    const std::int64_t first = part * args_.rows + std::int64_t{blockIdx.x} * kRowBlock;
    const int lane = threadIdx.x % 32;
    for (int row = threadIdx.x / 32; row < kRowBlock; row += kWarps) {
      settle(row);
      args_.weights[(first + row) * kFew + lane] = list_.weights[row * kFew + lane];
      args_.columns[(first + row) * kFew + lane] = list_.columns[row * kFew + lane];
    }
    if (!args_.sums) return;
    __syncthreads();
    double* const warps = reinterpret_cast<double*>(list_.weights);  // no longer needed
    G::leave_row_sums(total_, warps);
    __syncthreads();
    if (threadIdx.x >= kRowBlock) return;
    double sum = 0;
    for (int w = 0; w < G::kRowParts; ++w) sum += warps[w * kRowBlock + threadIdx.x];
    args_.sums[first + threadIdx.x] = sum;
  }

 private:
  /// False where the row's queue is full.
  __device__ bool enqueue(int row, T weight, std::uint32_t column) {
    const int at = atomicAdd(waiting_ + row, 1);
    if (at >= kFew) return false;
    queue_.weights[row * kFew + at] = weight;
    queue_.columns[row * kFew + at] = column;
    return true;
  }

  /// One warp. A lane holds one entry of the queue, then of the list.
  __device__ void settle(int row) {
    const int lane = threadIdx.x % 32, count = min(waiting_[row], kFew);
    __syncwarp();
    if (count == 0) return;
    T weight = lane < count ? queue_.weights[row * kFew + lane] : T(0);
    std::uint32_t column = lane < count ? queue_.columns[row * kFew + lane] : kNoColumn;
#pragma unroll
    for (int run = 2; run <= 32; run *= 2)
#pragma unroll
      for (int distance = run / 2; distance > 0; distance /= 2)
        exchange(weight, column, distance, (lane & run) == 0 || run == 32);
    const T opposite = __shfl_sync(~0u, weight, 31 - lane);
    const std::uint32_t opposite_column = __shfl_sync(~0u, column, 31 - lane);
    weight = list_.weights[row * kFew + lane];
    column = list_.columns[row * kFew + lane];
    if (before(opposite, opposite_column, weight, column))
      weight = opposite, column = opposite_column;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) exchange(weight, column, distance, true);
    list_.weights[row * kFew + lane] = weight;
    list_.columns[row * kFew + lane] = column;
    if (lane == args_.k - 1) threshold_[row] = weight;
    if (lane == 0) waiting_[row] = 0;
    __syncwarp();
  }
  __device__ static void exchange(T& weight, std::uint32_t& column, int distance, bool falling) {
    const T other = __shfl_xor_sync(~0u, weight, distance);
    const std::uint32_t other_column = __shfl_xor_sync(~0u, column, distance);
    const bool wants_larger = ((threadIdx.x & distance) == 0) == falling;
    if (before(other, other_column, weight, column) == wants_larger)
      weight = other, column = other_column;
  }

  const Args& args_;
  Entries<T> list_, queue_;  // [kRowBlock, kFew]
  T* threshold_;             // [kRowBlock] weights that may be among the best are above it
  int* waiting_;             // [kRowBlock] entries of the queue, and those that found it full
  T sum_[G::kRows];
  double total_[G::kRows];
};
}  // namespace monge::cuda::verbs
