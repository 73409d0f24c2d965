// apply with few columns of V: the sums of a row stay in registers.
#pragma once
#include "cuda/row_sums.cuh"

namespace monge::cuda::verbs {
/// Columns [0, k) of v, k <= K.
template <class T, int K>
class ApplyFew {
 public:
  using G = Tile<T>;
  struct Store {
    T* out;
    std::int64_t stride;
    int k;
    __device__ void operator()(std::int64_t i, int a, double value) const {
      if (a < k) out[i * stride + a] = static_cast<T>(value);
    }
  };
  struct Args {
    const T* v;  // null: ones
    std::int64_t v_row, v_col;
    int k;
    Store store;
    double* partial = nullptr;
  };
  static constexpr bool kRowFactors = true, kExact = false, kWeightings = true, kSlopes = false;
  static constexpr int kColumnValues = K, kSums = K;
  static constexpr int kSharedBytes = RowSums<G, K>::kSharedBytes;
  static constexpr int kResident = sizeof(T) == 4 && K <= 4 ? 2 : 1;

  __device__ ApplyFew(const Args& args, const Pairs<T>& p, std::int64_t i0, const double* factors,
                      unsigned char* shared)
      : args_(args), n_(p.n), m_(p.m), i0_(i0), rows_(shared, factors) {}

  __device__ void stage(std::int64_t j0, T* to) const {
    if (!args_.v) return;
    const std::int64_t j = j0 + threadIdx.x;
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const bool there = j < m_ && k < args_.k;
      __pipeline_memcpy_async(to + k * kColumnBlock + threadIdx.x,
                              args_.v + (there ? j * args_.v_row + k * args_.v_col : 0), sizeof(T),
                              there ? 0 : sizeof(T));
    }
  }

  __device__ void begin_step(const Place&) {}
  template <class Score>
  __device__ void add(const Score&, const Place& place, const T*, const T* values,
                      const T (&w)[G::kRows][4]) {
    if (K == 1 && !args_.v) {
#pragma unroll
      for (int r = 0; r < G::kRows; ++r)
#pragma unroll
        for (int c = 0; c < 4; ++c) rows_.sum[r][0] += w[r][c];
      return;
    }
#pragma unroll
    for (int k = 0; k < K; ++k) {
      T v[4];
      load4(values + k * kColumnBlock + place.step * G::kWidth + G::column(), v);
#pragma unroll
      for (int r = 0; r < G::kRows; ++r)
#pragma unroll
        for (int c = 0; c < 4; ++c) rows_.sum[r][k] = fma(w[r][c], v[c], rows_.sum[r][k]);
    }
  }
  __device__ void end_step(const Place&) {}
  __device__ void end_block(std::int64_t, std::int64_t) { rows_.end_block(); }
  __device__ void finish(int part, int block, int blocks) {
    rows_.finish(i0_, n_, args_.partial, part, block, blocks, args_.store);
  }

 private:
  const Args& args_;
  std::int64_t n_, m_, i0_;
  RowSums<G, K> rows_;
};
}  // namespace monge::cuda::verbs
