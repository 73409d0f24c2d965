// A step's weights in shared memory by rows, for consumers that look at one row with one warp.
#pragma once
#include "cuda/sweep.cuh"

namespace monge::cuda::verbs {
template <class T>
class WeightTile {
  using G = Tile<T>;

 public:
  static constexpr int kLaneColumns = G::kWidth / 32;  // adjacent columns of a lane
  static constexpr int kBytes = kRowBlock * G::kWidth * static_cast<int>(sizeof(T));

  __device__ explicit WeightTile(unsigned char* shared) : w_(reinterpret_cast<T*>(shared)) {}

  __device__ void write(const T (&w)[G::kRows][4]) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) store4(at(G::row(r), G::group()), w[r]);
  }
  /// The lane's columns of a row.
  __device__ void read(int row, T (&w)[kLaneColumns]) const {
    const int column = threadIdx.x % 32 * kLaneColumns;
    const T* const from = at(row, column / 4) + column % 4;
    if constexpr (kLaneColumns == 4) {
      load4(from, w);
    } else {
#pragma unroll
      for (int c = 0; c < kLaneColumns; ++c) w[c] = from[c];
    }
  }

 private:
  /// 4 columns of a row. Threads that write side by side are rows apart: moving each row's columns
  /// about spreads them over the banks.
  __device__ T* at(int row, int four) const {
    return w_ + row * G::kWidth + ((four ^ (row / 4 % 8)) * 4);
  }
  T* w_;
};
}  // namespace monge::cuda::verbs
