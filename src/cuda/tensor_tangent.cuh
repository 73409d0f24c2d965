// tangent on Hopper's tensor cores. A first product makes a tile's weights; a second, of points
// with directions, its
//   t_ij = row_i + col_j + y_j.a_i + x_i.b_j + what costs add,
// a third sums w_ij t_ij values_j as tensor_products.cuh sums weights: u = w t, relative to the
// row's sum of |u|, is a left operand of halves; what halves cannot hold costs at most 2^-25 m
// beside a sum of m / 4 or more. That sum must be known: a sweep without values comes first. All
// operands are streamed, rows too, so that any dimension and two accumulators have room.
#pragma once
#include <cuda_fp16.h>

#include "cuda/tensor_kernel.cuh"
#include "cuda/tensor_scores.cuh"

namespace monge::cuda::tensor {
constexpr int kTangentGroups = 2, kTangentRows = kTangentGroups * kRowBlock;
constexpr int kTangentFlush = 4;                    // tiles
constexpr int kTangentWidth = kChunkSteps * kStep;  // coordinates that a sweep sums
constexpr int kTangentTotals = 4;                   // mass, sum, sum of |u|, costs

/// Of one direction. The second product is of (moved_rows, cols) and (rows, moved_cols), those that
/// have tiles.
struct TangentTiles : Tiles {
  TiledPoints moved_rows{}, moved_cols{}, values{};
  float factor = 1;                // of the first product, in the exponent of 2
  double moved = 0;                // of the second
  const float* cost = nullptr;     // null: 0
  double per_cost = 1;             // units of the exponent of 2
  const float* origins = nullptr;  // [rows of the launch]; -inf: no weights
  const float* row = nullptr;      // [n padded to tiles]; null: t is 1
  int chunk = 0;                   // of the values
  double* sums = nullptr;          // [parts, kTangentRows, kTangentWidth] or kTangentTotals
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
template <bool VALUES>
class TangentConsumer {
 public:
  static constexpr int kProducts = 3, kSteps = 0, kGroups = kTangentGroups;
  static constexpr int kStageBytes = stage_bytes(kProducts, kSteps);
  static constexpr int kColumnValues = 3;  // bias, k |y_j|^2, col

  __device__ __forceinline__ TangentConsumer(const TangentTiles& args, const Block& block,
                                             const Memory& memory, int group)
      : args_(args),
        block_(block),
        memory_(memory),
        group_(group),
        lane_(threadIdx.x % 32),
        quad_(threadIdx.x % 4),
        chunks_((args.rows.steps + kChunkSteps - 1) / kChunkSteps),
        row_(group * kRowBlock + threadIdx.x % 128 / 32 * 16 + lane_ / 4),
        scores_(args, memory, group),
        column_{kColumnStages},
        factor_(args.factor / args.rows.header->scale / args.cols.header->scale) {
    if (!args.row) return;
    // Scales of directions are such that either product has the same.
    if (args.moved_rows.tiles)
      moved_ =
          static_cast<float>(args.moved / args.moved_rows.header->scale / args.cols.header->scale);
    else if (args.moved_cols.tiles)
      moved_ =
          static_cast<float>(args.moved / args.rows.header->scale / args.moved_cols.header->scale);
    if (args.cost) of_cost_ = static_cast<float>(-*args.cost / args.per_cost * factor_);
  }

  static __device__ __forceinline__ void produce(const TangentTiles& args, const Block& at,
                                                 const Memory& memory) {
    const int steps = args.rows.steps, chunks = (steps + kChunkSteps - 1) / kChunkSteps;
    Ring ring{args.stages};
    const auto stage = [&](std::uint32_t bytes, const auto& copy) {
      memory.empty[ring.at].wait(ring.phase ^ 1);
      memory.full[ring.at].arrive_and_expect(bytes);
      copy(memory.stages + ring.at * kStageBytes, memory.full + ring.at);
      ring.advance();
    };
    const auto depth = [&](int chunk) {
      return static_cast<std::uint32_t>(min(+kChunkSteps, steps - chunk * kChunkSteps)) *
             static_cast<std::uint32_t>(kStepBytes);
    };
    for_each_segment(args, at, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
      TileWalk<kGroups> walk(args, row_tile, first, last);
      std::int32_t tile;
      unsigned members;
      const auto product = [&](const TiledPoints& rows, const TiledPoints& cols) {
        if (!rows.tiles || !cols.tiles) return;
        for (int chunk = 0; chunk < chunks; ++chunk) {
          const std::uint32_t bytes = 2 * depth(chunk);
          stage(2 * bytes, [&](std::byte* to, hopper::Barrier* full) {
            hopper::copy_bulk(to, rows.chunk(row_tile, chunk), bytes, full);
            hopper::copy_bulk(to + bytes, cols.chunk(tile, chunk), bytes, full);
          });
        }
      };
      while (walk.next(tile, members)) {
        product(args.rows, args.cols);
        if (args.row) {
          product(args.moved_rows, args.cols);
          product(args.rows, args.moved_cols);
        }
        if constexpr (VALUES) {
          const std::uint32_t bytes = depth(args.chunk);
          stage(2 * bytes, [&](std::byte* to, hopper::Barrier* full) {
            const std::byte* const from = args.values.chunk(tile, args.chunk);
            hopper::copy_bulk(to, from, bytes, full);
            hopper::copy_bulk(to + kLow, from + bytes, bytes, full);
          });
        }
      }
    });
  }

  __device__ __forceinline__ void start() {}

  __device__ __forceinline__ void segment(std::int64_t row_tile, std::int64_t first,
                                          std::int64_t last) {
    begin(row_tile);
    TileWalk<kGroups> walk(args_, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    float acc[64], moved[64];
#pragma unroll
    for (int t = 0; t < 64; ++t) moved[t] = 0;
    const auto product = [&](float(&to)[64], bool on_top) {
      for (int chunk = 0; chunk < chunks_; ++chunk) {
        scores_.multiply(to, chunk, on_top);
        hopper::wgmma_wait<0>();
        hopper::settle(to);
        scores_.release();
      }
    };
    while (walk.next(tile, members)) {
      product(acc, false);
      if (args_.row) {
        if (args_.moved_rows.tiles) product(moved, false);
        if (args_.moved_cols.tiles) product(moved, args_.moved_rows.tiles != nullptr);
      }
      std::uint32_t values = 0;
      if constexpr (VALUES) values = scores_.await_stage();
      memory_.columns_full[column_.at].wait(column_.phase);
      if (members >> group_ & 1) {
        add(acc, moved, values);
        if (++since_flush_ == kTangentFlush) flush();
      }
      if constexpr (VALUES) scores_.release();
      __syncwarp();
      if (lane_ == 0) memory_.columns_empty[column_.at].arrive();
      column_.advance();
    }
    finish();
  }

 private:
  static constexpr int kBytes = static_cast<int>(kStepBytes);
  static constexpr int kLow = kChunkSteps * kBytes;  // from hi to lo of the values
  static constexpr int kSums = VALUES ? kTangentWidth / 2 : 1;

  __device__ __forceinline__ void begin(std::int64_t row_tile) {
    const std::int64_t local = row_tile - args_.first_tile;
    at_ = part_of(block_.x, local) * kTangentRows + row_;
    since_flush_ = 0;
    fresh_ = true;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      origin_[r] = args_.origins[local * kTangentRows + row_ + 8 * r];
      term_[r] = args_.row ? args_.row[row_tile * kTangentRows + row_ + 8 * r] : 1.0f;
#pragma unroll
      for (int a = 0; a < kTangentTotals; ++a) total_[r][a] = 0;
    }
    clear();
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int t = 0; t < kSums; ++t) sum_[t] = 0;
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int a = 0; a < kTangentTotals; ++a) few_[r][a] = 0;
  }

  // 16 columns at a time, so that the products of some run beside the exponentials of the next.
  __device__ __forceinline__ void add(const float (&acc)[64], const float (&moved)[64],
                                      std::uint32_t values) {
    const float* const columns = memory_.columns + column_.at * (kColumnValues * kTile) + 2 * quad_;
    const bool varies = args_.row != nullptr;
#pragma unroll
    for (int s = 0; s < kTile / 16; ++s) {
      std::uint32_t hi[4], lo[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int t = 2 * s + e / 2, r = e % 2;
        const float2 bias = *reinterpret_cast<const float2*>(columns + 8 * t);
        const float2 col = *reinterpret_cast<const float2*>(columns + 2 * kTile + 8 * t);
        const float2 norm = *reinterpret_cast<const float2*>(columns + kTile + 8 * t);
        float u[2];
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const float p = acc[4 * t + 2 * r + c];
          const float w = exp2_fast(fmaf(p, factor_, c ? bias.y : bias.x) + origin_[r]);
          const float own = varies ? (c ? col.y : col.x) + term_[r] : term_[r];
          u[c] = w * fmaf(p, of_cost_, fmaf(moved[4 * t + 2 * r + c], moved_, own));
          if constexpr (!VALUES) {
            few_[r][0] += w;
            few_[r][1] += u[c];
            few_[r][2] += fabsf(u[c]);
            few_[r][3] = fmaf(u[c], fmaf(p, -factor_, c ? norm.y : norm.x), few_[r][3]);
          }
        }
        if constexpr (VALUES) {
          const __half2 high = __floats2half2_rn(u[0], u[1]);
          const float2 held = __half22float2(high);
          const __half2 low = __floats2half2_rn(u[0] - held.x, u[1] - held.y);
          hi[e] = *reinterpret_cast<const std::uint32_t*>(&high);
          lo[e] = *reinterpret_cast<const std::uint32_t*>(&low);
        }
      }
      if constexpr (VALUES) {
        const std::uint32_t at = values + s * 256;  // 16 points of 16 bytes
        const std::uint64_t v = hopper::operand_over_points(at, kBytes / 2);
        hopper::wgmma_fence();
        hopper::wgmma_over_points(sum_, lo, v);
        hopper::wgmma_over_points(sum_, hi, hopper::operand_over_points(at + kLow, kBytes / 2));
        hopper::wgmma_over_points(sum_, hi, v);
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
    if constexpr (VALUES) {
#pragma unroll
      for (int t = 0; t < kTangentWidth / 8; ++t)
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          auto* const to = reinterpret_cast<double2*>(args_.sums + (at_ + 8 * r) * kTangentWidth +
                                                      8 * t + 2 * quad_);
          double2 sum = fresh_ ? double2{0, 0} : *to;
          sum.x += static_cast<double>(sum_[4 * t + 2 * r]);
          sum.y += static_cast<double>(sum_[4 * t + 2 * r + 1]);
          *to = sum;
        }
    } else {
#pragma unroll
      for (int r = 0; r < 2; ++r)
#pragma unroll
        for (int a = 0; a < kTangentTotals; ++a) total_[r][a] += static_cast<double>(few_[r][a]);
    }
    since_flush_ = 0;
    fresh_ = false;
    clear();
  }

  __device__ __forceinline__ void finish() {
    flush();
    if constexpr (!VALUES) {
#pragma unroll
      for (int r = 0; r < 2; ++r)
#pragma unroll
        for (int a = 0; a < kTangentTotals; ++a) {
          double total = total_[r][a];
          for (int step = 1; step < 4; step *= 2)
            total += __shfl_xor_sync(0xffffffffu, total, step);
          if (quad_ == 0) args_.sums[(at_ + 8 * r) * kTangentTotals + a] = total;
        }
    }
  }

  const TangentTiles& args_;
  const Block& block_;
  const Memory& memory_;
  const int group_, lane_, quad_, chunks_, row_;  // row_ of a row tile, and row_ + 8
  Scores<kProducts, kSteps, kGroups> scores_;
  Ring column_;
  const float factor_;
  float moved_ = 0, of_cost_ = 0;
  std::int64_t at_;  // the row among all parts
  float origin_[2], term_[2], few_[2][kTangentTotals], sum_[kSums];
  double total_[2][kTangentTotals];
  int since_flush_;
  bool fresh_;
};
#endif

template <bool VALUES>
struct TangentSweep {
  static constexpr int kThreads = threads(kTangentGroups);
  TangentTiles args;

  __device__ void operator()(Block block) const {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    run<TangentConsumer<VALUES>>(args, block);
#endif
  }
};
}  // namespace monge::cuda::tensor
