// apply with few columns of V on Hopper's tensor cores: their products make the costs, as for
// softmin; weights meet values in float, so that nothing is lost to halves.
#pragma once
#include "cuda/tensor_kernel.cuh"
#include "cuda/tensor_scores.cuh"

namespace monge::cuda::tensor {
/// Row blocks to a thread block: more columns leave registers for two of them.
MONGE_HOST_DEVICE constexpr int apply_groups(int steps, int columns) {
  return columns > 1 ? 2 : consumers(3, steps);
}

/// Each thread block has a part of each row tile that it shares: see part_of().
struct ApplyTiles : Tiles {
  float factor = 1;                // of products, in the exponent of 2
  const float* origins = nullptr;  // [rows of the launch]; -inf: no weights
  double* sums = nullptr;          // [parts, rows of a tile, K]
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/// STEPS 0: any dimension.
template <int STEPS, int K>
class ApplyConsumer {
 public:
  static constexpr int kProducts = 3, kSteps = STEPS, kGroups = apply_groups(STEPS, K);
  static constexpr int kStageBytes = stage_bytes(kProducts, STEPS);
  static constexpr int kColumnValues = 1 + K;
  static constexpr bool kStreamsValues = false;

  __device__ __forceinline__ ApplyConsumer(const ApplyTiles& args, const Block& block,
                                           const Memory& memory, int group)
      : args_(args),
        block_(block),
        memory_(memory),
        group_(group),
        lane_(threadIdx.x % 32),
        quad_(threadIdx.x % 4),
        row_(group * kRowBlock + threadIdx.x % 128 / 32 * 16 + lane_ / 4),
        scores_(args, memory, group),
        column_{kColumnStages},
        factor_(args.factor / args.rows.header->scale / args.cols.header->scale) {}

  __device__ __forceinline__ void start() { scores_.start(); }

  __device__ __forceinline__ void segment(std::int64_t row_tile, std::int64_t first,
                                          std::int64_t last) {
    const std::int64_t local = row_tile - args_.first_tile;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      origin_[r] = args_.origins[local * kRows + row_ + 8 * r];
#pragma unroll
      for (int k = 0; k < K; ++k) total_[r][k] = 0;
    }
    clear();
    scores_.load_rows(row_tile * kRows + row_);
    TileWalk<kGroups> walk(args_, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    int since_flush = 0;
    float acc[64];
    while (walk.next(tile, members)) {
      scores_.multiply(acc, 0);
      scores_.multiply_rest(acc);
      hopper::wgmma_wait<0>();
      hopper::settle(acc);
      scores_.release();
      memory_.columns_full[column_.at].wait(column_.phase);
      if (members >> group_ & 1) {
        add(acc);
        if (++since_flush == kFlush) {
          flush();
          since_flush = 0;
        }
      }
      __syncwarp();
      if (lane_ == 0) memory_.columns_empty[column_.at].arrive();
      column_.advance();
    }
    flush();
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int k = 0; k < K; ++k) {
        double total = total_[r][k];
        for (int step = 1; step < 4; step *= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
        if (quad_ == 0)
          args_.sums[(part_of(block_.x, local) * kRows + row_ + 8 * r) * K + k] = total;
      }
  }

 private:
  static constexpr int kRows = kGroups * kRowBlock;

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int k = 0; k < K; ++k) sum_[r][k][0] = sum_[r][k][1] = 0;
  }

  __device__ __forceinline__ void add(const float (&acc)[64]) {
    const float* const columns = memory_.columns + column_.at * (kColumnValues * kTile) + 2 * quad_;
    const auto pair = [&](int value, int t) {
      return *reinterpret_cast<const float2*>(columns + value * kTile + 8 * t);
    };
#pragma unroll
    for (int t = 0; t < kTile / 8; ++t) {
      const float2 bias = pair(0, t);
      float w[2][2];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        w[r][0] = exp2_fast(fmaf(acc[4 * t + 2 * r], factor_, bias.x) + origin_[r]);
        w[r][1] = exp2_fast(fmaf(acc[4 * t + 2 * r + 1], factor_, bias.y) + origin_[r]);
      }
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const float2 v = pair(1 + k, t);
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          sum_[r][k][0] = fmaf(w[r][0], v.x, sum_[r][k][0]);
          sum_[r][k][1] = fmaf(w[r][1], v.y, sum_[r][k][1]);
        }
      }
    }
  }

  __device__ __forceinline__ void flush() {
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int k = 0; k < K; ++k)
        total_[r][k] += static_cast<double>(sum_[r][k][0] + sum_[r][k][1]);
    clear();
  }

  const ApplyTiles& args_;
  const Block& block_;
  const Memory& memory_;
  const int group_, lane_, quad_, row_;  // row_ of a row tile, and row_ + 8
  Scores<kProducts, STEPS, kGroups> scores_;
  Ring column_;
  const float factor_;
  float origin_[2], sum_[2][K][2];
  double total_[2][K];
};
#endif

template <int STEPS, int K>
struct ApplySweep {
  static constexpr int kThreads = threads(apply_groups(STEPS, K));
  ApplyTiles args;

  __device__ void operator()(Block block) const {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    run<ApplyConsumer<STEPS, K>>(args, block);
#endif
  }
};
}  // namespace monge::cuda::tensor
