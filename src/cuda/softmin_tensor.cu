// softmin of products on Hopper's tensor cores. A thread block takes 128 rows at a time: one
// warpgroup brings tiles of 128 columns (split.hpp) and their biases to shared memory, two others
// multiply 64 rows each. These keep two tiles of accumulators, so that the products of the next
// tile run while the exponentials of this one do; with two warpgroups the tensor cores always have
// work queued. The blocks share all tiles evenly: each takes an equal stretch of the sequence of
// (row tile, column blocks), so that no card is left half empty by the last wave.
//
// The exponent of 2 of a pair is c dot + bias_j + origin_i, dot the product of the scaled halves:
//   bias_j = k (h_j / scale - |y_j|^2),  origin_i = N_i - k |x_i|^2,
// both computed in double and rounded once; what the origin's rounding took is put back at the end.
#include <algorithm>
#include <cstdlib>

#include "cuda/hopper.cuh"
#include "cuda/launch.cuh"
#include "cuda/softmin_sweep.cuh"
#include "cuda/split.hpp"

namespace monge::cuda {
namespace {
constexpr int kThreads = 3 * 128;
constexpr int kConsumerWarps = 8;
constexpr int kMultiprocessors = 132;  // of an H100 or H200; fixed, as results depend on it
constexpr int kBiases = 8;             // tiles whose biases are under way
constexpr int kMostStages = 8;
constexpr std::int64_t kStageMemory = 192 * 1024;
constexpr float kRemoved = -1e30f;  // a bias instead of -inf, as 0 (-inf) is NaN
constexpr int kFlush = 8;           // tiles, 1024 columns, that are summed in float

struct SplitPoints {
  const std::byte* data;
  SplitLayout layout;
  __device__ float scale() const { return reinterpret_cast<const SplitHeader*>(data)->scale; }
  __device__ const double* norms() const {
    return reinterpret_cast<const double*>(data + layout.norms_at());
  }
  __device__ const std::byte* chunk(std::int64_t tile, int chunk) const {
    return data + layout.tiles_at() + tile * layout.tile_bytes() +
           static_cast<std::int64_t>(chunk) * (2 * kChunkSteps * kStepBytes);
  }
};

struct TensorArgs {
  Sweep<float> sweep;
  BlockList list;
  SplitPoints rows, cols;
  std::int64_t row_tiles;
  int stages;
};

/// Of the `units` (row tile, column block) in sequence, worker g of G has [begin(g), begin(g + 1)).
struct Shares {
  std::int64_t units, workers;
  MONGE_HOST_DEVICE std::int64_t begin(std::int64_t worker) const {
    return worker * units / workers;
  }
  MONGE_HOST_DEVICE std::int64_t worker_of(std::int64_t unit) const {
    return ((unit + 1) * workers - 1) / units;
  }
};

MONGE_HOST_DEVICE constexpr int stage_bytes(int products, int steps) {
  const int halves = products == 3 ? 2 : 1;
  return static_cast<int>(kStepBytes) * halves * (steps ? steps : 2 * kChunkSteps);
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/// Tiles of 128 columns that either row block of a row tile wants.
class TileWalk {
 public:
  __device__ TileWalk(const TensorArgs& args, std::int64_t row_tile, std::int64_t first,
                      std::int64_t last)
      : a_(args.list, args.sweep.args.pairs.list, 2 * row_tile, first, last),
        b_(args.list, args.sweep.args.pairs.list,
           has_second(args, row_tile) ? 2 * row_tile + 1 : 2 * row_tile, first, last),
        tiles_(static_cast<std::int32_t>(args.cols.layout.tiles)) {}

  /// False at the end. Bit w of `members` is set where warpgroup w wants the tile.
  __device__ bool next(std::int32_t& tile, unsigned& members) {
    if (second_ >= 0 && second_ < tiles_) {
      tile = second_;
      members = members_;
      second_ = -1;
      return true;
    }
    if (a_.done() && b_.done()) return false;
    const std::int32_t block = min(a_.peek(), b_.peek());
    members_ = 0;
    if (!a_.done() && a_.peek() == block) members_ |= 1, a_.next();
    if (!b_.done() && b_.peek() == block) members_ |= 2, b_.next();
    tile = 2 * block;
    second_ = tile + 1;
    members = members_;
    return true;
  }

 private:
  static __device__ bool has_second(const TensorArgs& args, std::int64_t row_tile) {
    return row_tile * kTile + kRowBlock < args.sweep.args.pairs.n;
  }
  BlockWalk a_, b_;
  std::int32_t tiles_, second_ = -1;
  unsigned members_ = 0;
};

/// A position in a ring of shared buffers.
struct Ring {
  int size, at = 0;
  std::uint32_t phase = 0;
  __device__ void advance() {
    if (++at == size) at = 0, phase ^= 1;
  }
};

// body(row tile, first column block, one past the last) for this thread block's stretch.
template <class Body>
__device__ void for_each_segment(const TensorArgs& args, const Body& body) {
  const std::int64_t blocks = args.sweep.parts.column_blocks;
  const Shares shares{args.row_tiles * blocks, gridDim.x};
  std::int64_t unit = shares.begin(blockIdx.x);
  const std::int64_t end = shares.begin(blockIdx.x + 1);
  while (unit < end) {
    const std::int64_t row_tile = unit / blocks, first = unit - row_tile * blocks;
    const std::int64_t last = min(blocks, first + (end - unit));
    body(row_tile, first, last);
    unit += last - first;
  }
}

// 2^x on the FMA and integer units, relative error 1e-4: for the fast mode, whose limit the
// exponential unit is.
__device__ __forceinline__ float exp2_rough(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 2^23
  x = fminf(fmaxf(x, -126.0f), 127.0f);
  const float rounded = x + kMagic;
  const float f = x - (rounded - kMagic);
  float p = fmaf(f, 0.05550713f, 0.24022650f);
  p = fmaf(p, f, 0.69314718f);
  p = fmaf(p, f, 1.0f);
  return __int_as_float(__float_as_int(p) + (__float_as_int(rounded) << 23));
}

struct Memory {
  std::byte* stages;
  float* biases;  // [kBiases][kTile]
  hopper::Barrier *full, *empty, *bias_full, *bias_empty;
};

/// One of the two warpgroups that multiply and add up exponentials.
template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL>
class Consumer {
 public:
  __device__ __forceinline__ Consumer(const TensorArgs& args, const Memory& memory, int group)
      : args_(args),
        memory_(memory),
        group_(group),
        lane_(threadIdx.x % 32),
        quad_(threadIdx.x % 4),
        row_(group * kRowBlock + threadIdx.x % 128 / 32 * 16 + lane_ / 4),
        steps_(static_cast<int>(args.rows.layout.steps)),
        chunks_(STEPS > 0 ? 1 : (steps_ + kChunkSteps - 1) / kChunkSteps),
        ring_{args.stages},
        freed_{args.stages},
        bias_{kBiases} {
    const bool squared = args.sweep.args.pairs.form == Form::squared;
    factor_ = args.sweep.k * (squared ? 2.0f : 1.0f) / args.rows.scale() / args.cols.scale();
    norm_factor_ = squared ? static_cast<double>(args.sweep.k) : 0;
  }

  // Column blocks [first, last) of a row tile.
  __device__ __forceinline__ void segment(std::int64_t row_tile, std::int64_t first,
                                          std::int64_t last) {
    begin(row_tile);
    float acc0[64], acc1[64];
    TileWalk walk(args_, row_tile, first, last);
    std::int32_t tile;
    unsigned members0, members1, members2;
    if (walk.next(tile, members0)) {
      bool one = walk.next(tile, members1), two = one && walk.next(tile, members2);
      multiply(acc0, 0);
      multiply_rest(acc0);
      // No branch between a product and its wait, or the compiler serialises them.
      while (two) {
        multiply(acc1, 0);
        hopper::wgmma_wait<1>();
        release();
        add(acc0, members0);
        multiply_rest(acc1);
        multiply(acc0, 0);
        hopper::wgmma_wait<1>();
        release();
        add(acc1, members1);
        multiply_rest(acc0);
        members0 = members2;
        one = walk.next(tile, members1);
        two = one && walk.next(tile, members2);
      }
      if (one) {
        multiply(acc1, 0);
        hopper::wgmma_wait<1>();
        release();
        add(acc0, members0);
        multiply_rest(acc1);
        hopper::wgmma_wait<0>();
        release();
        add(acc1, members1);
      } else {
        hopper::wgmma_wait<0>();
        release();
        add(acc0, members0);
      }
    }
    finish(row_tile, last);
  }

 private:
  static constexpr int kStageBytes = stage_bytes(PRODUCTS, STEPS);
  static constexpr int kBytes = static_cast<int>(kStepBytes);  // of a step in shared memory
  static constexpr int kHeld = STEPS > 0 ? STEPS : 1;

  __device__ __forceinline__ void begin(std::int64_t row_tile) {
    const auto& a = args_.sweep.args;
    since_flush_ = 0;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const std::int64_t i = min(row_tile * kTile + row_ + 8 * r, a.pairs.n - 1);
      const double whole = LARGEST ? 0 : whole_shift<float>(a.shift, i, args_.sweep.per_cost);
      origin_[r] =
          LARGEST ? 0.0f : static_cast<float>(whole - norm_factor_ * args_.rows.norms()[i]);
      total_[r] = 0;
      value_[r] = LARGEST ? -INFINITY : 0;
    }
    if constexpr (STEPS > 0) {
      const std::byte* const from = args_.rows.chunk(row_tile, 0) + row_ * 16 + quad_ * 4;
#pragma unroll
      for (int s = 0; s < STEPS; ++s)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const std::byte* const at = from + s * kBytes + e / 2 * (kBytes / 2) + e % 2 * 128;
          hi_[s][e] = *reinterpret_cast<const std::uint32_t*>(at);
          if (PRODUCTS == 3)
            lo_[s][e] = *reinterpret_cast<const std::uint32_t*>(at + STEPS * kBytes);
        }
    }
  }

  static __device__ __forceinline__ std::uint64_t operand(std::uint32_t base, int step) {
    return hopper::operand(base + step * kBytes, kBytes / 2);
  }

  // Queues the products of one chunk. Small ones first where all rows are at hand: what they add
  // is then not lost beside the large one.
  __device__ __forceinline__ void multiply(float (&acc)[64], int chunk) {
    memory_.full[ring_.at].wait(ring_.phase);
    const std::uint32_t base = hopper::shared_address(memory_.stages + ring_.at * kStageBytes);
    hopper::wgmma_fence();
    if constexpr (STEPS > 0) {
      if constexpr (PRODUCTS == 3) {
#pragma unroll
        for (int s = 0; s < STEPS; ++s) hopper::wgmma(acc, lo_[s], operand(base, s), s > 0);
#pragma unroll
        for (int s = 0; s < STEPS; ++s) hopper::wgmma(acc, hi_[s], operand(base, STEPS + s), 1);
      }
#pragma unroll
      for (int s = 0; s < STEPS; ++s)
        hopper::wgmma(acc, hi_[s], operand(base, s), PRODUCTS == 3 || s > 0);
    } else {
      const int depth = min(kChunkSteps, steps_ - chunk * kChunkSteps);
      const std::uint32_t left = base + group_ * kRowBlock * 16;
      const std::uint32_t right = base + (PRODUCTS == 3 ? 2 : 1) * depth * kBytes;
      for (int s = 0; s < depth; ++s) {
        if constexpr (PRODUCTS == 3) {
          hopper::wgmma(acc, operand(left, depth + s), operand(right, s), chunk + s > 0);
          hopper::wgmma(acc, operand(left, s), operand(right, depth + s), 1);
        }
        hopper::wgmma(acc, operand(left, s), operand(right, s), PRODUCTS == 3 || chunk + s > 0);
      }
    }
    hopper::wgmma_commit();
    ring_.advance();
  }

  __device__ __forceinline__ void multiply_rest(float (&acc)[64]) {
    if constexpr (STEPS == 0) {
      for (int chunk = 1; chunk < chunks_; ++chunk) {
        multiply(acc, chunk);
        hopper::wgmma_wait<1>();
        release();
      }
    }
  }

  __device__ __forceinline__ void release() {
    if (lane_ == 0) memory_.empty[freed_.at].arrive();
    freed_.advance();
  }

  __device__ __forceinline__ void add(float (&acc)[64], unsigned members) {
    hopper::settle(acc);
    memory_.bias_full[bias_.at].wait(bias_.phase);
    if (members >> group_ & 1) {
      const float* const biases = memory_.biases + bias_.at * kTile + 2 * quad_;
#pragma unroll
      for (int t = 0; t < 16; ++t) {
        const float2 b = *reinterpret_cast<const float2*>(biases + 8 * t);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const float score = fmaf(acc[4 * t + e], factor_, e % 2 ? b.y : b.x);
          float& to = value_[e / 2];
          if constexpr (LARGEST)
            to = fmaxf(to, score);
          else if (t % 4 == 3 && e < POLYNOMIAL)
            to += exp2_rough(score + origin_[e / 2]);
          else
            to += exp2_fast(score + origin_[e / 2]);
        }
      }
      if (!LARGEST && ++since_flush_ == kFlush) {
        since_flush_ = 0;
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          total_[r] += static_cast<double>(value_[r]);
          value_[r] = 0;
        }
      }
    }
    __syncwarp();
    if (lane_ == 0) memory_.bias_empty[bias_.at].arrive();
    bias_.advance();
  }

  __device__ __forceinline__ void finish(std::int64_t row_tile, std::int64_t last) {
    const auto& a = args_.sweep.args;
    const std::int64_t blocks = args_.sweep.parts.column_blocks;
    const Shares shares{args_.row_tiles * blocks, gridDim.x};
    const auto part = static_cast<int>(blockIdx.x - shares.worker_of(row_tile * blocks));
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      double result = LARGEST ? static_cast<double>(value_[r])
                              : total_[r] + static_cast<double>(value_[r]);
      for (int step = 1; step < 4; step *= 2) {
        const double other = __shfl_xor_sync(0xffffffffu, result, step);
        result = LARGEST ? fmax(result, other) : result + other;
      }
      const std::int64_t i = row_tile * kTile + row_ + 8 * r;
      if (quad_ != 0 || i >= a.pairs.n) continue;
      const double norm = norm_factor_ * args_.rows.norms()[i];
      if (LARGEST) {
        result = result > kRemoved / 2 ? (result - norm) / args_.sweep.per_cost : -INFINITY;
      } else {  // what rounding took from the origin
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
  const Memory& memory_;
  const int group_, lane_, quad_, row_;  // row_ of a row tile, and row_ + 8
  const int steps_, chunks_;
  Ring ring_, freed_, bias_;
  float factor_;
  double norm_factor_;
  std::uint32_t hi_[kHeld][4], lo_[kHeld][4];  // the rows, where they fit
  float origin_[2], value_[2];
  double total_[2];
  int since_flush_ = 0;
};

template <int PRODUCTS, int STEPS>
__device__ void produce_tiles(const TensorArgs& args, const Memory& memory) {
  constexpr int kHalves = PRODUCTS == 3 ? 2 : 1;
  constexpr int kStageBytes = stage_bytes(PRODUCTS, STEPS);
  const int steps = static_cast<int>(args.rows.layout.steps);
  const int chunks = STEPS > 0 ? 1 : (steps + kChunkSteps - 1) / kChunkSteps;
  Ring ring{args.stages};
  for_each_segment(args, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
    TileWalk walk(args, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    while (walk.next(tile, members))
      for (int chunk = 0; chunk < chunks; ++chunk) {
        const int depth = STEPS > 0 ? STEPS : min(kChunkSteps, steps - chunk * kChunkSteps);
        const auto bytes = static_cast<std::uint32_t>(kHalves * depth * int(kStepBytes));
        memory.empty[ring.at].wait(ring.phase ^ 1);
        std::byte* const to = memory.stages + ring.at * kStageBytes;
        hopper::Barrier* const full = memory.full + ring.at;
        full->arrive_and_expect(STEPS > 0 ? bytes : 2 * bytes);
        if constexpr (STEPS > 0) {
          hopper::copy_bulk(to, args.cols.chunk(tile, 0), bytes, full);
        } else {
          hopper::copy_bulk(to, args.rows.chunk(row_tile, chunk), bytes, full);
          hopper::copy_bulk(to + bytes, args.cols.chunk(tile, chunk), bytes, full);
        }
        ring.advance();
      }
  });
}

__device__ void produce_biases(const TensorArgs& args, const Memory& memory) {
  const auto& a = args.sweep.args;
  const int lane = threadIdx.x % 32;
  const double k = args.sweep.k, per_cost = args.sweep.per_cost;
  const double norm_factor = a.pairs.form == Form::squared ? k : 0;
  Ring ring{kBiases};
  for_each_segment(args, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
    TileWalk walk(args, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    while (walk.next(tile, members)) {
      float bias[kTile / 32];
#pragma unroll
      for (int t = 0; t < kTile / 32; ++t) {
        const std::int64_t j = static_cast<std::int64_t>(tile) * kTile + t * 32 + lane;
        const double score =
            j < a.pairs.m ? a.h[j] * per_cost - norm_factor * args.cols.norms()[j] : -INFINITY;
        bias[t] = fmaxf(static_cast<float>(score), kRemoved);
      }
      memory.bias_empty[ring.at].wait(ring.phase ^ 1);
#pragma unroll
      for (int t = 0; t < kTile / 32; ++t)
        memory.biases[ring.at * kTile + t * 32 + lane] = bias[t];
      __syncwarp();
      if (lane == 0) memory.bias_full[ring.at].arrive();
      ring.advance();
    }
  });
}
#endif

template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL>
__global__ void __launch_bounds__(kThreads, 1)
    tensor_kernel(const __grid_constant__ TensorArgs args) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(128) std::byte shared[];
  __shared__ __align__(16) float biases[kBiases * kTile];
  __shared__ hopper::Barrier full[kMostStages], empty[kMostStages], bias_full[kBiases],
      bias_empty[kBiases];
  const Memory memory{shared, biases, full, empty, bias_full, bias_empty};
  if (threadIdx.x == 0) {
    for (int s = 0; s < args.stages; ++s) {
      full[s].init(1);
      empty[s].init(kConsumerWarps);
    }
    for (int s = 0; s < kBiases; ++s) {
      bias_full[s].init(1);
      bias_empty[s].init(kConsumerWarps);
    }
    hopper::fence_barrier_init();
  }
  __syncthreads();
  const int group = threadIdx.x / 128;
  if (group == 0) {
    hopper::give_registers<40>();
    if (threadIdx.x == 0) produce_tiles<PRODUCTS, STEPS>(args, memory);
    if (threadIdx.x / 32 == 1) produce_biases(args, memory);
  } else {
    hopper::take_registers<232>();
    Consumer<PRODUCTS, STEPS, LARGEST, POLYNOMIAL> consumer(args, memory, group - 1);
    for_each_segment(args, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
      consumer.segment(row_tile, first, last);
    });
  }
#endif
}

Shares shares_of(const Pairs<float>& p) {
  const std::int64_t row_tiles = (p.n + kTile - 1) / kTile;
  const std::int64_t units = row_tiles * ((p.m + kColumnBlock - 1) / kColumnBlock);
  return {units, std::min<std::int64_t>(kMultiprocessors, units)};
}

template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL>
void start(TensorArgs args, cudaStream_t stream) {
  const auto& p = args.sweep.args.pairs;
  const int bytes = stage_bytes(PRODUCTS, STEPS);
  args.stages = static_cast<int>(std::min<std::int64_t>(kMostStages, kStageMemory / bytes));
  const auto kernel = tensor_kernel<PRODUCTS, STEPS, LARGEST, POLYNOMIAL>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             args.stages * bytes),
        "softmin on tensor cores");
  kernel<<<static_cast<unsigned>(shares_of(p).workers), kThreads, args.stages * bytes, stream>>>(
      args);
  check_launch("softmin on tensor cores");
}

template <int STEPS>
void launch(const Sweep<float>& sweep, bool largest, cudaStream_t stream) {
  const auto& a = sweep.args;
  const TensorArgs args{
      .sweep = sweep,
      .list = a.pairs.list ? *a.pairs.list : BlockList{},
      .rows = {static_cast<const std::byte*>(a.split_rows), {a.pairs.n, a.pairs.rows.dim}},
      .cols = {static_cast<const std::byte*>(a.split_cols), {a.pairs.m, a.pairs.cols.dim}},
      .row_tiles = (a.pairs.n + kTile - 1) / kTile,
      .stages = 0};
  // A shift need not be exact.
  if (largest) return start<1, STEPS, true, 0>(args, stream);
  if (a.precision == kernels::Precision::accurate) return start<3, STEPS, false, 0>(args, stream);
  const char* v = getenv("POLYT");
  if (v && atoi(v) == 2) return start<1, STEPS, false, 2>(args, stream);
  if (v && atoi(v) == 4) return start<1, STEPS, false, 4>(args, stream);
  start<1, STEPS, false, 0>(args, stream);
}
}  // namespace

SweepPlan<float> tensor_sweep(const SoftminArgs<float>& args) {
  const auto& p = args.pairs;
  SweepPlan<float> plan{.run = launch<0>, .parts = {}, .in_units_of_scale = true};
  const std::int64_t steps = SplitLayout(p.n, p.rows.dim).steps;
  if (steps == 1) plan.run = launch<1>;
  if (steps == 2) plan.run = launch<2>;
  if (steps == 4) plan.run = launch<4>;
  const std::int64_t row_tiles = (p.n + kTile - 1) / kTile;
  plan.parts.column_blocks = plan.parts.part_blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  const Shares shares = shares_of(p);
  plan.parts.count = static_cast<int>((shares.workers + row_tiles - 1) / row_tiles) + 1;
  return plan;
}
}  // namespace monge::cuda
