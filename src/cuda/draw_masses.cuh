// The first half of draw: the mass of every column block of every requested row.
#pragma once
#include "cuda/sum_rows.cuh"

namespace monge::cuda::verbs {
/// masses[row * blocks + column block], every addition in double: with float sums the odds of a
/// column would depend on its block.
template <class T>
class BlockMasses {
 public:
  using G = Tile<T>;
  struct Args {
    double* masses;
    std::int64_t blocks;
  };
  static constexpr bool kRowFactors = false, kExact = true, kWeightings = false, kSlopes = false;
  static constexpr int kColumnValues = 0;
  static constexpr int kSharedBytes = kWarps * kRowBlock * static_cast<int>(sizeof(double));
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ BlockMasses(const Args& args, const Pairs<T>& p, std::int64_t i0, const double*,
                         unsigned char* shared)
      : args_(args), n_(p.n), i0_(i0), warps_(reinterpret_cast<double*>(shared)) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) sum_[r] = 0;
  }

  __device__ void stage(std::int64_t, T*) const {}
  __device__ void begin_step(const Place&) {}
  template <class Score>
  __device__ void add(const Score&, const Place&, const T*, const T*, const T (&w)[G::kRows][4]) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) sum_[r] += static_cast<double>(w[r][c]);
  }
  __device__ void end_step(const Place&) {}

  __device__ void end_block(std::int64_t, std::int64_t j0) {
    G::leave_row_sums(sum_, warps_);
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) sum_[r] = 0;
    __syncthreads();
    const std::int64_t i = i0_ + threadIdx.x;
    if (threadIdx.x < kRowBlock && i < n_) {
      double mass = 0;
      for (int w = 0; w < G::kRowParts; ++w) mass += warps_[w * kRowBlock + threadIdx.x];
      args_.masses[i * args_.blocks + j0 / kColumnBlock] = mass;
    }
    // The sweep synchronises before the next block's sums are written.
  }
  __device__ void finish(int, int, int) {}

 private:
  const Args& args_;
  std::int64_t n_, i0_;
  double* warps_;  // [kWarps, kRowBlock]
  double sum_[G::kRows];
};
}  // namespace monge::cuda::verbs
