// softmin on tensor cores: consumers that multiply, take exponentials and add up.
#pragma once
#include "cuda/tensor_kernel.cuh"
#include "cuda/tensor_scores.cuh"

namespace monge::cuda::tensor {
struct TensorArgs : Tiles {
  Sweep<float> sweep;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/// One of the warpgroups that multiply and add up exponentials.
template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL, int GROUPS>
class Consumer {
 public:
  static constexpr int kProducts = PRODUCTS, kSteps = STEPS, kGroups = GROUPS;
  static constexpr int kStageBytes = stage_bytes(PRODUCTS, STEPS);
  static constexpr int kColumnValues = PRODUCTS == kExponent ? 0 : 1;
  static constexpr bool kStreamsValues = false;

  __device__ __forceinline__ Consumer(const TensorArgs& args, const Block& at, const Memory& memory,
                                      int group)
      : args_(args),
        at_(at),
        memory_(memory),
        group_(group),
        lane_(threadIdx.x % 32),
        quad_(threadIdx.x % 4),
        row_(group * kRowBlock + threadIdx.x % 128 / 32 * 16 + lane_ / 4),
        scores_(args, memory, group),
        bias_{kColumnStages} {
    if (kComplete) return;
    const bool squared = args.sweep.args.pairs.form == Form::squared;
    factor_ =
        args.sweep.k * (squared ? 2.0f : 1.0f) / args.rows.header->scale / args.cols.header->scale;
    norm_factor_ = squared ? static_cast<double>(args.sweep.k) : 0;
  }

  // Column blocks [first, last) of a row tile.
  __device__ __forceinline__ void segment(std::int64_t row_tile, std::int64_t first,
                                          std::int64_t last) {
    begin(row_tile);
    TileWalk<GROUPS> walk(args_, row_tile, first, last);
    STEPS > 0 ? take_turns(walk) : keep_two(walk);
    finish(row_tile, last);
  }

  // Before the first segment.
  __device__ __forceinline__ void start() { scores_.start(); }

 private:
  using Walk = TileWalk<GROUPS>;

  __device__ __forceinline__ void take_turns(Walk& walk) {
    float acc[64];
    std::int32_t tile;
    unsigned members;
    while (walk.next(tile, members)) {
      scores_.multiply(acc, 0);
      hopper::wgmma_wait<0>();
      scores_.release();
      add(acc, members);
    }
  }

  // One consumer's products run while its other accumulators are added up.
  __device__ __forceinline__ void keep_two(Walk& walk) {
    float acc0[64], acc1[64];
    std::int32_t tile;
    unsigned members0, members1, members2;
    if (walk.next(tile, members0)) {
      bool one = walk.next(tile, members1), two = one && walk.next(tile, members2);
      scores_.multiply(acc0, 0);
      scores_.multiply_rest(acc0);
      // No branch between a product and its wait, or the compiler serialises them.
      while (two) {
        scores_.multiply(acc1, 0);
        hopper::wgmma_wait<1>();
        scores_.release();
        add(acc0, members0);
        scores_.multiply_rest(acc1);
        scores_.multiply(acc0, 0);
        hopper::wgmma_wait<1>();
        scores_.release();
        add(acc1, members1);
        scores_.multiply_rest(acc0);
        members0 = members2;
        one = walk.next(tile, members1);
        two = one && walk.next(tile, members2);
      }
      if (one) {
        scores_.multiply(acc1, 0);
        hopper::wgmma_wait<1>();
        scores_.release();
        add(acc0, members0);
        scores_.multiply_rest(acc1);
        hopper::wgmma_wait<0>();
        scores_.release();
        add(acc1, members1);
      } else {
        hopper::wgmma_wait<0>();
        scores_.release();
        add(acc0, members0);
      }
    }
  }

  static constexpr bool kComplete = PRODUCTS == kExponent;

  __device__ __forceinline__ void begin(std::int64_t row_tile) {
    const auto& a = args_.sweep.args;
    since_flush_ = 0;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      total_[r] = 0;
#pragma unroll
      for (int e = 0; e < 4; ++e) value_[r][e] = LARGEST ? -INFINITY : 0;
      if (kComplete) continue;
      const std::int64_t i = min(row_tile * (GROUPS * kRowBlock) + row_ + 8 * r, a.pairs.n - 1);
      const double whole = LARGEST ? 0 : whole_shift<float>(a.shift, i, args_.sweep.per_cost);
      origin_[r] = LARGEST ? 0.0f : static_cast<float>(whole - norm_factor_ * args_.rows.norms[i]);
    }
    scores_.load_rows(row_tile * (GROUPS * kRowBlock) + row_);
  }

  static __device__ __forceinline__ float sum_of(const float (&v)[4]) {
    return LARGEST ? fmaxf(fmaxf(v[0], v[1]), fmaxf(v[2], v[3])) : (v[0] + v[1]) + (v[2] + v[3]);
  }

  __device__ __forceinline__ void add(float (&acc)[64], unsigned members) {
    hopper::settle(acc);
    if (!kComplete) memory_.columns_full[bias_.at].wait(bias_.phase);
    if (members >> group_ & 1) {
      const float* const biases = memory_.columns + bias_.at * kTile + 2 * quad_;
#pragma unroll
      for (int t = 0; t < 16; ++t) {
        const float2 b = kComplete ? float2{} : *reinterpret_cast<const float2*>(biases + 8 * t);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          float score = acc[4 * t + e];
          if (!kComplete) score = fmaf(score, factor_, e % 2 ? b.y : b.x) + origin_[e / 2];
          float& to = value_[e / 2][(2 * t + e) % 4];
          if constexpr (LARGEST)
            to = fmaxf(to, score);
          else if ((t % 2 * 4 + (e + t / 2) % 4) * POLYNOMIAL % 8 + POLYNOMIAL >= 8)
            to += exp2_polynomial<kComplete>(score);
          else
            to += exp2_fast(score);
        }
      }
      if (!LARGEST && ++since_flush_ == kFlush) {
        since_flush_ = 0;
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          total_[r] += static_cast<double>(sum_of(value_[r]));
#pragma unroll
          for (int e = 0; e < 4; ++e) value_[r][e] = 0;
        }
      }
    }
    if (kComplete) return;
    __syncwarp();
    if (lane_ == 0) memory_.columns_empty[bias_.at].arrive();
    bias_.advance();
  }

  __device__ __forceinline__ void finish(std::int64_t row_tile, std::int64_t last) {
    const auto& a = args_.sweep.args;
    const std::int64_t blocks = args_.column_blocks;
    const Shares shares{args_.row_tiles * blocks, at_.width};
    const auto part = static_cast<int>(at_.x - shares.worker_of(row_tile * blocks));
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      double result = static_cast<double>(sum_of(value_[r]));
      if (!LARGEST) result += total_[r];
      for (int step = 1; step < 4; step *= 2) {
        const double other = __shfl_xor_sync(0xffffffffu, result, step);
        result = LARGEST ? fmax(result, other) : result + other;
      }
      const std::int64_t i = row_tile * (GROUPS * kRowBlock) + row_ + 8 * r;
      if (quad_ != 0 || i >= a.pairs.n) continue;
      const double norm = kComplete ? 0 : norm_factor_ * args_.rows.norms[i];
      if (LARGEST) {
        result = result > (kComplete ? -kOut / 2 : kRemoved / 2)
                     ? (result - norm) / args_.sweep.per_cost
                     : -INFINITY;
      } else if (!kComplete) {  // what rounding took from the origin
        const double whole = whole_shift<float>(a.shift, i, args_.sweep.per_cost);
        result *= exp2(whole - norm - static_cast<double>(origin_[r]));
      }
      args_.sweep.partial[part * a.pairs.n + i] = result;
      if (last == blocks)  // parts that this row tile does not have
        for (int none = part + 1; none < args_.sweep.parts.count; ++none)
          args_.sweep.partial[none * a.pairs.n + i] = LARGEST ? -INFINITY : 0;
    }
  }

  const TensorArgs& args_;
  const Block& at_;
  const Memory& memory_;
  const int group_, lane_, quad_, row_;  // row_ of a row tile, and row_ + 8
  Scores<PRODUCTS, STEPS, GROUPS> scores_;
  Ring bias_;
  float factor_;
  double norm_factor_;
  float origin_[2], value_[2][4];  // sums apart: short chains, or each waits for the last
  double total_[2];
  int since_flush_ = 0;
};

#endif

template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL, int GROUPS>
struct TensorSums {
  static constexpr int kThreads = threads(GROUPS);
  TensorArgs args;

  __device__ void operator()(Block at) const {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    run<Consumer<PRODUCTS, STEPS, LARGEST, POLYNOMIAL, GROUPS>>(args, at);
#endif
  }
};

inline Parts parts_of(const Pairs<float>& p, int groups) {
  const std::int64_t row_tiles = row_tiles_of(p, groups);
  const std::int64_t workers = shares_of(p, groups).workers;
  Parts parts;
  parts.column_blocks = parts.part_blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  parts.count = static_cast<int>((workers + row_tiles - 1) / row_tiles) + 1;
  return parts;
}

template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL, int GROUPS>
void start(TensorArgs args, Exec& exec) {
  const auto& p = args.sweep.args.pairs;
  const int bytes = stage_bytes(PRODUCTS, STEPS);
  args.stages = static_cast<int>(std::min<std::int64_t>(kMostStages, kStageMemory / bytes));
  args.row_tiles = row_tiles_of(p, GROUPS);
  launch(TensorSums<PRODUCTS, STEPS, LARGEST, POLYNOMIAL, GROUPS>{args},
         shares_of(p, GROUPS).workers, exec, static_cast<std::size_t>(args.stages) * bytes);
}
}  // namespace monge::cuda::tensor
