// Sums of a row's weights on Hopper's tensor cores: mass_i = sum_j w_ij, cost_i = sum_j w_ij c_ij
// and, where wanted, sum_j w_ij y_jk. For these the weights of a tile, made of its first product,
// stay in registers as the left operand of a second one, whose right operand is the tile of points
// once more, summed over points.
//
// Float accuracy takes halves twice: w 2^E = hi + lo as y is split, and hi hi + hi lo + lo hi. What
// halves cannot hold below 2^-24 costs a weight at most 2^-25, so m of them 2^-25 m beside their
// sum 2^E mass_i; above 65504 nothing fits. So E is chosen for a mass of about 1, as plans have it,
// and rows whose mass turns out not to fit are swept again with an E of their own: then 2^E mass_i
// is 2^14 to 2^15. Errors are relative to mass_i max |y|, not to each coordinate's own size.
//
// hi and lo of y stand side by side and could be one operand: two wide products instead of three.
// But that takes 64 sums for 64 coordinates, and beside the rows in registers ptxas 13.0 made code
// of it that lost these.
//
// Products are summed in float over kProductFlush tiles, as tensor cores do (towards zero, up to
// 2^-23 for each of 24 additions a tile), then in double.
#pragma once
#include <cuda_fp16.h>

#include "cuda/tensor_kernel.cuh"
#include "cuda/tensor_scores.cuh"

namespace monge::cuda::tensor {
constexpr int kProductGroups = 2, kProductRows = kProductGroups * kRowBlock;
constexpr int kProductFlush = 4;  // tiles

/// Coordinates of which a launch makes the sums: all of up to 64, else those of two chunks, as many
/// as the registers hold.
MONGE_HOST_DEVICE constexpr int width_of(int steps) {
  return kStep * (steps > 0 ? steps : kWideChunks * kChunkSteps);
}

struct ProductArgs : Tiles {
  float factor = 1;                            // of products, in the exponent of 2
  const float* origins = nullptr;              // [rows of the launch]; -inf: no weights
  int chunk = 0;                               // the first of those that are summed
  double* sums = nullptr;                      // [parts, kProductRows, width]
  double *masses = nullptr, *costs = nullptr;  // [parts, kProductRows]; costs in units of the
                                               // exponent of 2, without those of |x_i|^2
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/// STEPS 0: any dimension, two chunks of it summed.
template <int STEPS, bool VALUES>
class ProductConsumer {
 public:
  static constexpr int kProducts = 3, kSteps = STEPS, kGroups = kProductGroups;
  static constexpr int kStageBytes = stage_bytes(kProducts, STEPS);
  static constexpr int kColumnValues = 2;
  static constexpr bool kStreamsValues = VALUES && STEPS == 0;

  __device__ __forceinline__ ProductConsumer(const ProductArgs& args, const Block& block,
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
    begin(row_tile);
    TileWalk<kGroups> walk(args_, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    float acc[64];
    while (walk.next(tile, members)) {
      scores_.multiply(acc, 0);
      scores_.multiply_rest(acc);
      hopper::wgmma_wait<0>();
      hopper::settle(acc);
      std::uint32_t values = scores_.oldest_stage();
      if constexpr (kStreamsValues) {
        scores_.release();
        values = scores_.await_stage();
      }
      memory_.columns_full[column_.at].wait(column_.phase);
      if (members >> group_ & 1) {
        add(acc, values);
        if (++since_flush_ == kProductFlush) flush();
      }
      scores_.release();
      __syncwarp();
      if (lane_ == 0) memory_.columns_empty[column_.at].arrive();
      column_.advance();
    }
    finish();
  }

 private:
  static constexpr int kWidth = VALUES ? width_of(STEPS) : 0;  // coordinates that are summed
  static constexpr int kBytes = static_cast<int>(kStepBytes);
  static constexpr int kLow = width_of(STEPS) / kStep * kBytes;  // from hi to lo

  __device__ __forceinline__ void begin(std::int64_t row_tile) {
    const std::int64_t local = row_tile - args_.first_tile;
    at_ = part_of(block_.x, local) * kProductRows + row_;
    since_flush_ = 0;
    fresh_ = true;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      origin_[r] = args_.origins[local * kProductRows + row_ + 8 * r];
      mass_total_[r] = cost_total_[r] = 0;
    }
    clear();
    scores_.load_rows(row_tile * kProductRows + row_);
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int t = 0; t < kWidth / 2; ++t) sum_[t] = 0;
#pragma unroll
    for (int r = 0; r < 2; ++r) mass_[r][0] = mass_[r][1] = cost_[r][0] = cost_[r][1] = 0;
  }

  // 16 columns at a time, so that the products of some run beside the exponentials of the next.
  __device__ __forceinline__ void add(const float (&acc)[64], std::uint32_t values) {
    const float* const columns = memory_.columns + column_.at * (kColumnValues * kTile) + 2 * quad_;
#pragma unroll
    for (int s = 0; s < kTile / 16; ++s) {
      std::uint32_t hi[4], lo[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int t = 2 * s + e / 2, r = e % 2;
        const float2 b = *reinterpret_cast<const float2*>(columns + 8 * t);
        const float2 n = *reinterpret_cast<const float2*>(columns + kTile + 8 * t);
        const float p0 = acc[4 * t + 2 * r], p1 = acc[4 * t + 2 * r + 1];
        const float w0 = exp2_fast(fmaf(p0, factor_, b.x) + origin_[r]);
        const float w1 = exp2_fast(fmaf(p1, factor_, b.y) + origin_[r]);
        mass_[r][0] += w0;
        mass_[r][1] += w1;
        cost_[r][0] = fmaf(w0, fmaf(p0, -factor_, n.x), cost_[r][0]);
        cost_[r][1] = fmaf(w1, fmaf(p1, -factor_, n.y), cost_[r][1]);
        if constexpr (VALUES) {
          const __half2 high = __floats2half2_rn(w0, w1);
          const float2 held = __half22float2(high);
          const __half2 low = __floats2half2_rn(w0 - held.x, w1 - held.y);
          hi[e] = *reinterpret_cast<const std::uint32_t*>(&high);
          lo[e] = *reinterpret_cast<const std::uint32_t*>(&low);
        }
      }
      if constexpr (VALUES) {
        const std::uint32_t at = values + s * 256;  // 16 points of 16 bytes
        const std::uint64_t y = hopper::operand_over_points(at, kBytes / 2);
        hopper::wgmma_fence();
        hopper::wgmma_over_points(sum_, lo, y);
        hopper::wgmma_over_points(sum_, hi, hopper::operand_over_points(at + kLow, kBytes / 2));
        hopper::wgmma_over_points(sum_, hi, y);
      }
    }
    if constexpr (VALUES) {
      hopper::wgmma_commit();
      hopper::wgmma_wait<0>();
      hopper::settle(sum_);
    }
  }

  // A row's sums belong to one thread block until it has swept its part: no other is in the way.
  __device__ __forceinline__ void flush() {
#pragma unroll
    for (int t = 0; t < kWidth / 8; ++t)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        auto* const to =
            reinterpret_cast<double2*>(args_.sums + (at_ + 8 * r) * kWidth + 8 * t + 2 * quad_);
        double2 sum = fresh_ ? double2{0, 0} : *to;
        sum.x += static_cast<double>(sum_[4 * t + 2 * r]);
        sum.y += static_cast<double>(sum_[4 * t + 2 * r + 1]);
        *to = sum;
      }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      mass_total_[r] += static_cast<double>(mass_[r][0] + mass_[r][1]);
      cost_total_[r] += static_cast<double>(cost_[r][0] + cost_[r][1]);
    }
    since_flush_ = 0;
    fresh_ = false;
    clear();
  }

  __device__ __forceinline__ void finish() {
    flush();
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      double mass = mass_total_[r], cost = cost_total_[r];
      for (int step = 1; step < 4; step *= 2) {
        mass += __shfl_xor_sync(0xffffffffu, mass, step);
        cost += __shfl_xor_sync(0xffffffffu, cost, step);
      }
      if (quad_ != 0) continue;
      args_.masses[at_ + 8 * r] = mass;
      args_.costs[at_ + 8 * r] = cost;
    }
  }

  const ProductArgs& args_;
  const Block& block_;
  const Memory& memory_;
  const int group_, lane_, quad_, row_;  // row_ of a row tile, and row_ + 8
  Scores<kProducts, STEPS, kGroups> scores_;
  Ring column_;
  const float factor_;
  std::int64_t at_;  // the row among all parts
  float origin_[2], mass_[2][2], cost_[2][2], sum_[kWidth > 0 ? kWidth / 2 : 1];
  double mass_total_[2], cost_total_[2];
  int since_flush_;
  bool fresh_;
};
#endif

template <int STEPS, bool VALUES>
struct ProductSums {
  static constexpr int kThreads = threads(kProductGroups);
  ProductArgs args;

  __device__ void operator()(Block block) const {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    run<ProductConsumer<STEPS, VALUES>>(args, block);
#endif
  }
};

template <int STEPS, bool VALUES>
void start_products(const ProductArgs& args, std::int64_t workers, Exec& exec) {
  start_sweep<ProductSums<STEPS, VALUES>>(args, stage_bytes(3, STEPS), workers, exec);
}
}  // namespace monge::cuda::tensor
