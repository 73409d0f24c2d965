// The consumer of select: each warp counts, or writes, what its 8 rows have above their thresholds.
#pragma once
#include "cuda/weight_tile.cuh"
#include "kernels/top_k.hpp"

namespace monge::cuda::verbs {
template <class T>
class Select {
  static constexpr int kRows = kRowBlock / kWarps;  // of a warp

 public:
  using G = Tile<T>;
  using Args = kernels::SelectArgs<T>;
  static constexpr bool kRowFactors = false, kExact = false, kWeightings = false, kSlopes = false;
  static constexpr int kColumnValues = 0;
  static constexpr int kSharedBytes = WeightTile<T>::kBytes;
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ Select(const Args& args, const Pairs<T>& p, std::int64_t i0, const double*,
                    unsigned char* shared)
      : args_(args), n_(p.n), i_(i0 + threadIdx.x / 32 * kRows), tile_(shared) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      count_[r] = 0;
      threshold_[r] = i_ + r < n_ ? args.threshold[i_ + r] : infinity<T>();
    }
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
    const int lane = threadIdx.x % 32;
    const std::int64_t first = place.j0 + place.step * G::kWidth + lane * kLane;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (isinf(threshold_[r])) continue;
      T w[kLane];
      tile_.read(threadIdx.x / 32 * kRows + r, w);
      int before = 0, all = 0;  // what passes in lower lanes, and in the warp
#pragma unroll
      for (int c = 0; c < kLane; ++c) {
        const unsigned passing = __ballot_sync(~0u, w[c] >= threshold_[r]);
        before += __popc(passing & ((1u << lane) - 1));
        all += __popc(passing);
      }
      if (args_.columns && all > 0) {
        std::int64_t at = args_.offsets[i_ + r] + count_[r] + before;
#pragma unroll
        for (int c = 0; c < kLane; ++c) {
          if (!(w[c] >= threshold_[r])) continue;
          args_.columns[at] = first + c;
          args_.weights[at++] = w[c];
        }
      }
      count_[r] += all;
    }
    __syncthreads();
  }
  __device__ void end_block(std::int64_t, std::int64_t) {}

  __device__ void finish(int, int, int) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      if (!args_.columns && i_ + r < n_ && threadIdx.x % 32 == 0) args_.counts[i_ + r] = count_[r];
  }

 private:
  const Args& args_;
  std::int64_t n_, i_;  // i_: the warp's first row
  WeightTile<T> tile_;
  T threshold_[kRows];
  std::int64_t count_[kRows];
};
}  // namespace monge::cuda::verbs
