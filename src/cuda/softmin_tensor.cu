// softmin of products on Hopper's tensor cores. A thread block takes a tile of rows, 64 to each of
// its consumer warpgroups, at a time; one more warpgroup brings tiles of 128 columns (split.hpp) and
// their biases to shared memory. The consumers take turns at the tensor cores: while one multiplies
// the others work on exponentials. The blocks share all tiles evenly: each takes an equal stretch of
// the sequence of (row tile, column blocks), so that no card is left half empty by the last wave.
//
// The exponent of 2 of a pair is c dot + bias_j + origin_i, dot the product of the scaled halves:
//   bias_j = k (h_j / scale - |y_j|^2),  origin_i = N_i - k |x_i|^2,
// both computed in double and rounded once; what the origin's rounding took is put back at the end.
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdlib>

#include "cuda/hopper.cuh"
#include "cuda/launch.cuh"
#include "cuda/softmin_sweep.cuh"
#include "cuda/split.hpp"

namespace monge::cuda {
namespace {
constexpr int kMultiprocessors = 132;  // of an H100 or H200; fixed, as results depend on it
constexpr int kBiases = 8;             // tiles whose biases are under way
constexpr int kMostStages = 8;
constexpr std::int64_t kStageMemory = 192 * 1024;
constexpr int kExponent = 0;           // in place of a number of products: see exponent_sweep
constexpr float kOut = 60000;          // an exponent that no pair of that kind has
constexpr float kRemoved = -1e30f;  // a bias instead of -inf, as 0 (-inf) is NaN
constexpr int kFlush = 8;           // tiles, 1024 columns, that are summed in float

struct TiledPoints {
  const std::byte* tiles;
  std::int64_t tile_bytes, count;  // count of tiles
  int steps;
  const double* norms;
  const SplitHeader* header;
  __device__ const std::byte* chunk(std::int64_t tile, int chunk) const {
    return tiles + tile * tile_bytes +
           static_cast<std::int64_t>(chunk) * (2 * kChunkSteps * kStepBytes);
  }
};

TiledPoints tiled(const void* split, const kernels::Panels<float>& points) {
  const SplitLayout layout(points.count, points.dim);
  const auto* const bytes = static_cast<const std::byte*>(split);
  return {.tiles = bytes + layout.tiles_at(),
          .tile_bytes = layout.tile_bytes(),
          .count = layout.tiles,
          .steps = static_cast<int>(layout.steps),
          .norms = reinterpret_cast<const double*>(bytes + layout.norms_at()),
          .header = static_cast<const SplitHeader*>(split)};
}

struct TensorArgs {
  Sweep<float> sweep;
  TiledPoints rows, cols;
  const float* biases;           // [cols.count, kTile]
  const std::uint32_t* members;  // [row blocks, words] bits of column blocks; null: all
  int words;
  std::int64_t row_tiles;
  int stages;
};

/// Rows to a thread block: 64 to each consumer. What fits the registers: accumulators of 64, and the
/// rows themselves where there are at most 64 coordinates. Three products leave room for three
/// consumers, one for four; where rows are streamed two, with two sets of accumulators each.
MONGE_HOST_DEVICE constexpr int consumers(int products, int steps) { return steps == 0 ? 2 : products == 3 ? 3 : 4; }
MONGE_HOST_DEVICE constexpr int threads(int groups) { return 128 * (groups + 1); }
MONGE_HOST_DEVICE constexpr int consumer_registers(int groups) { return groups == 2 ? 232 : groups == 3 ? 160 : 112; }
MONGE_HOST_DEVICE constexpr int producer_registers(int groups) { return groups == 2 ? 40 : 32; }

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
/// Tiles of 128 columns that any row block of a row tile wants.
template <int GROUPS>
class TileWalk {
 public:
  __device__ TileWalk(const TensorArgs& args, std::int64_t row_tile, std::int64_t first,
                      std::int64_t last)
      : args_(args),
        row_block_(static_cast<std::int32_t>(row_tile) * GROUPS),
        tile_(static_cast<std::int32_t>(2 * first)),
        end_(static_cast<std::int32_t>(min(2 * last, args.cols.count))) {}

  /// False at the end. Bit g of `members` is set where consumer g wants the tile.
  __device__ bool next(std::int32_t& tile, unsigned& members) {
    while (tile_ < end_) {
      if (args_.members && tile_ % 2 == 0) members_ = wanted(tile_ / 2);
      if (members_ != 0) {
        tile = tile_++;
        members = members_;
        return true;
      }
      tile_ += 2;
    }
    return false;
  }

 private:
  __device__ unsigned wanted(std::int32_t block) const {
    unsigned members = 0;
#pragma unroll
    for (int g = 0; g < GROUPS; ++g) {
      const std::int64_t row_block = row_block_ + g;
      if (row_block * kRowBlock < args_.sweep.args.pairs.n)
        members |= (args_.members[row_block * args_.words + block / 32] >> block % 32 & 1) << g;
    }
    return members;
  }
  const TensorArgs& args_;
  std::int32_t row_block_, tile_, end_;
  unsigned members_ = ~0u;
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

// 2^x on the FMA and integer units, for a share of the pairs where the exponential unit is the
// limit: 2^n from the rounding constant's low bits, 2^f by minimax on |f| <= 1/2. Relative error
// 2.5e-7 where exact, else 1e-4.
template <bool EXACT>
__device__ __forceinline__ float exp2_polynomial(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 2^23
  x = fminf(fmaxf(x, -126.0f), 127.0f);  // 2^127 is enough to have the row redone
  const float rounded = x + kMagic;
  const float f = x - (rounded - kMagic);
  float p;
  if constexpr (EXACT) {
    p = fmaf(f, 0.0013276478687573995f, 0.0096755417045280200f);
    p = fmaf(p, f, 0.055507132478029821f);
    p = fmaf(p, f, 0.24022119713913720f);
    p = fmaf(p, f, 0.69314696708851291f);
    p = fmaf(p, f, 1.0000000716584092f);
  } else {
    p = fmaf(f, 0.055483278f, 0.24160233f);
    p = fmaf(p, f, 0.69327003f);
    p = fmaf(p, f, 0.99992806f);
  }
  return __int_as_float(__float_as_int(p) + (__float_as_int(rounded) << 23));
}

struct Memory {
  std::byte* stages;
  float* biases;  // [kBiases][kTile]
  hopper::Barrier *full, *empty, *bias_full, *bias_empty;
};

/// One of the two warpgroups that multiply and add up exponentials.
template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL, int GROUPS>
class Consumer {
 public:
  __device__ __forceinline__ Consumer(const TensorArgs& args, const Memory& memory, int group)
      : args_(args),
        memory_(memory),
        group_(group),
        lane_(threadIdx.x % 32),
        quad_(threadIdx.x % 4),
        row_(group * kRowBlock + threadIdx.x % 128 / 32 * 16 + lane_ / 4),
        steps_(args.rows.steps),
        chunks_(STEPS > 0 ? 1 : (steps_ + kChunkSteps - 1) / kChunkSteps),
        ring_{args.stages},
        freed_{args.stages},
        bias_{kBiases} {
    if (kComplete) return;
    const bool squared = args.sweep.args.pairs.form == Form::squared;
    factor_ = args.sweep.k * (squared ? 2.0f : 1.0f) / args.rows.header->scale / args.cols.header->scale;
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
  __device__ __forceinline__ void start() {
    if (kTurns && group_ == GROUPS - 1) hopper::named_arrive<256>(1);
  }

 private:
  using Walk = TileWalk<GROUPS>;

  __device__ __forceinline__ void take_turns(Walk& walk) {
    float acc[64];
    std::int32_t tile;
    unsigned members;
    while (walk.next(tile, members)) {
      multiply(acc, 0);
      hopper::wgmma_wait<0>();
      release();
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
  }

  static constexpr bool kComplete = PRODUCTS == kExponent;
  static constexpr bool kTurns = STEPS > 0 && !kComplete && POLYNOMIAL < 8;
  static constexpr int kPolynomial = POLYNOMIAL % 8;
  static constexpr int kStageBytes = stage_bytes(PRODUCTS, STEPS);
  static constexpr int kBytes = static_cast<int>(kStepBytes);  // of a step in shared memory
  static constexpr int kHeld = STEPS > 0 ? STEPS : 1;

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
      origin_[r] =
          LARGEST ? 0.0f : static_cast<float>(whole - norm_factor_ * args_.rows.norms[i]);
    }
    if constexpr (STEPS > 0) {
      const std::int64_t at_row = row_tile * (GROUPS * kRowBlock) + row_;
      const std::byte* const from = args_.rows.chunk(min(at_row / kTile, args_.rows.count - 1), 0) +
                                    at_row % kTile * 16 + quad_ * 4;
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
    if (kTurns) hopper::named_wait<256>(1 + group_);
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
      if (kTurns) hopper::named_arrive<256>(group_ == GROUPS - 1 ? 1 : 2 + group_);
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

  static __device__ __forceinline__ float sum_of(const float (&v)[4]) {
    return LARGEST ? fmaxf(fmaxf(v[0], v[1]), fmaxf(v[2], v[3])) : (v[0] + v[1]) + (v[2] + v[3]);
  }

  __device__ __forceinline__ void release() {
    if (lane_ == 0) memory_.empty[freed_.at].arrive();
    freed_.advance();
  }

  __device__ __forceinline__ void add(float (&acc)[64], unsigned members) {
    hopper::settle(acc);
    if (!kComplete) memory_.bias_full[bias_.at].wait(bias_.phase);
    if (members >> group_ & 1) {
      const float* const biases = memory_.biases + bias_.at * kTile + 2 * quad_;
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
          else if ((t % 2 * 4 + (e + t / 2) % 4) * kPolynomial % 8 + kPolynomial >= 8)
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
        result = result > (kComplete ? -kOut / 2 : kRemoved / 2) ? (result - norm) / args_.sweep.per_cost : -INFINITY;
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
  const Memory& memory_;
  const int group_, lane_, quad_, row_;  // row_ of a row tile, and row_ + 8
  const int steps_, chunks_;
  Ring ring_, freed_, bias_;
  float factor_;
  double norm_factor_;
  std::uint32_t hi_[kHeld][4], lo_[kHeld][4];  // the rows, where they fit
  float origin_[2], value_[2][4];  // sums apart: short chains, or each waits for the last
  double total_[2];
  int since_flush_ = 0;
};

template <int PRODUCTS, int STEPS, int GROUPS>
__device__ void produce_tiles(const TensorArgs& args, const Memory& memory) {
  constexpr int kHalves = PRODUCTS == 3 ? 2 : 1;
  constexpr int kStageBytes = stage_bytes(PRODUCTS, STEPS);
  const int steps = args.rows.steps;
  const int chunks = STEPS > 0 ? 1 : (steps + kChunkSteps - 1) / kChunkSteps;
  Ring ring{args.stages};
  for_each_segment(args, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
    TileWalk<GROUPS> walk(args, row_tile, first, last);
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

template <int GROUPS>
__device__ void produce_biases(const TensorArgs& args, const Memory& memory) {
  constexpr std::uint32_t kBytes = kTile * sizeof(float);
  Ring ring{kBiases};
  for_each_segment(args, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
    TileWalk<GROUPS> walk(args, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    while (walk.next(tile, members)) {
      memory.bias_empty[ring.at].wait(ring.phase ^ 1);
      memory.bias_full[ring.at].arrive_and_expect(kBytes);
      hopper::copy_bulk(memory.biases + ring.at * kTile,
                        args.biases + static_cast<std::int64_t>(tile) * kTile, kBytes,
                        memory.bias_full + ring.at);
      ring.advance();
    }
  });
}
#endif

template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL, int GROUPS>
__global__ void __launch_bounds__(threads(GROUPS), 1)
    tensor_kernel(const __grid_constant__ TensorArgs args) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(128) std::byte shared[];
  __shared__ __align__(128) float biases[kBiases * kTile];
  __shared__ hopper::Barrier full[kMostStages], empty[kMostStages], bias_full[kBiases],
      bias_empty[kBiases];
  const Memory memory{shared, biases, full, empty, bias_full, bias_empty};
  if (threadIdx.x == 0) {
    for (int s = 0; s < args.stages; ++s) {
      full[s].init(1);
      empty[s].init(4 * GROUPS);
    }
    for (int s = 0; s < kBiases; ++s) {
      bias_full[s].init(1);
      bias_empty[s].init(4 * GROUPS);
    }
    hopper::fence_barrier_init();
  }
  __syncthreads();
  await_previous();
  allow_next();
  const int group = threadIdx.x / 128;
  if (group == 0) {
    hopper::give_registers<producer_registers(GROUPS)>();
    if (threadIdx.x == 0) produce_tiles<PRODUCTS, STEPS, GROUPS>(args, memory);
    if (PRODUCTS != kExponent && threadIdx.x == 32) produce_biases<GROUPS>(args, memory);
  } else {
    hopper::take_registers<consumer_registers(GROUPS)>();
    Consumer<PRODUCTS, STEPS, LARGEST, POLYNOMIAL, GROUPS> consumer(args, memory, group - 1);
    consumer.start();
    for_each_segment(args, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
      consumer.segment(row_tile, first, last);
    });
  }
#endif
}

// Once for all row tiles: a producer that computed them would be slower than the consumers.
__global__ void bias_kernel(const SoftminArgs<float> a, double k, double per_cost,
                            const double* norms, std::int64_t padded, float* biases) {
  await_previous();
  allow_next();
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (j >= padded) return;
  double bias = -INFINITY;
  if (j < a.pairs.m) {
    bias = a.h[j] * per_cost;
    if (a.pairs.form == Form::squared) bias -= k * norms[j];
  }
  biases[j] = fmaxf(static_cast<float>(bias), kRemoved);
}

// A thread is a row block.
__global__ void members_kernel(BlockList list, std::int64_t row_blocks, int words,
                               std::uint32_t* members) {
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (r >= row_blocks) return;
  std::int64_t at = list.offsets[r];
  const std::int64_t end = list.offsets[r + 1];
  for (int word = 0; word < words; ++word) {
    std::uint32_t bits = 0;
    for (; at < end && list.blocks[at] / 32 == word; ++at) bits |= 1u << list.blocks[at] % 32;
    members[r * words + word] = bits;
  }
}

std::int64_t member_bytes(const Pairs<float>& p) {
  if (!p.list) return 0;
  const std::int64_t column_blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  return (p.n + kRowBlock - 1) / kRowBlock * ((column_blocks + 31) / 32) * std::int64_t{4};
}

// The lists as bits, at `memory`.
void list_members(TensorArgs& args, std::byte* memory, cudaStream_t stream) {
  const auto& p = args.sweep.args.pairs;
  if (!p.list) return;
  const std::int64_t row_blocks = (p.n + kRowBlock - 1) / kRowBlock;
  auto* const members = reinterpret_cast<std::uint32_t*>(memory);
  members_kernel<<<static_cast<unsigned>((row_blocks + 127) / 128), 128, 0, stream>>>(
      *p.list, row_blocks, args.words, members);
  check_launch("softmin, its lists");
  args.members = members;
}

std::int64_t row_tiles_of(const Pairs<float>& p, int groups) {
  return (p.n + kRowBlock * groups - 1) / (kRowBlock * groups);
}
Shares shares_of(const Pairs<float>& p, int groups) {
  const std::int64_t units =
      row_tiles_of(p, groups) * ((p.m + kColumnBlock - 1) / kColumnBlock);
  return {units, std::min<std::int64_t>(kMultiprocessors, units)};
}

Parts parts_of(const Pairs<float>& p, int groups) {
  const std::int64_t row_tiles = row_tiles_of(p, groups);
  const std::int64_t workers = shares_of(p, groups).workers;
  Parts parts;
  parts.column_blocks = parts.part_blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  parts.count = static_cast<int>((workers + row_tiles - 1) / row_tiles) + 1;
  return parts;
}

template <int PRODUCTS, int STEPS, bool LARGEST, int POLYNOMIAL, int GROUPS>
void start(TensorArgs args, cudaStream_t stream) {
  const auto& p = args.sweep.args.pairs;
  const int bytes = stage_bytes(PRODUCTS, STEPS);
  args.stages = static_cast<int>(std::min<std::int64_t>(kMostStages, kStageMemory / bytes));
  args.row_tiles = row_tiles_of(p, GROUPS);
  const auto kernel = tensor_kernel<PRODUCTS, STEPS, LARGEST, POLYNOMIAL, GROUPS>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             args.stages * bytes),
        "softmin on tensor cores");
  cuda::launch(kernel, static_cast<unsigned>(shares_of(p, GROUPS).workers), threads(GROUPS),
               args.stages * bytes, stream, args);
}

// Three-dimensional points for exponent_sweep: what their 16 halves are, see there.
__global__ void pack_kernel(const SoftminArgs<float> a, double k, double per_cost, bool largest,
                            std::int64_t row_tiles, std::byte* rows, std::byte* cols) {
  await_previous();
  const bool is_row = blockIdx.x < row_tiles;
  const std::int64_t tile = is_row ? blockIdx.x : blockIdx.x - row_tiles;
  const auto& points = is_row ? a.pairs.rows : a.pairs.cols;
  const std::int64_t i = tile * kTile + threadIdx.x;
  const float to_scale = static_cast<float>(sqrt(2 * k));
  __half hi[3], lo[3], rest[3];
  double rest_value = -kOut, norm = 0;
  bool fits = true;
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    hi[c] = lo[c] = __half(0.0f);
    if (i >= points.count || c >= points.dim) continue;
    const float x = coordinates(points, i)[c * kPanel] * to_scale;
    fits &= fabsf(x) <= 128;
    hi[c] = __float2half_rn(x);
    lo[c] = __float2half_rn(x - __half2float(hi[c]));
    const double kept = static_cast<double>(__half2float(hi[c])) + __half2float(lo[c]);
    norm += kept * kept;
  }
  if (i < points.count) {
    rest_value = is_row ? (largest ? 0 : whole_shift<float>(a.shift, i, per_cost))
                        : a.h[i] * per_cost;
    const bool removed = rest_value == -INFINITY;
    rest_value -= norm / 2;
    fits &= fabs(rest_value) <= (is_row ? 8192 : kOut) && norm <= 16384;
    if (removed || !fits) {  // out of range: every sum it is in becomes infinite, and is redone
      rest_value = removed ? -kOut : kOut;
      for (int c = 0; c < 3; ++c) hi[c] = lo[c] = __half(0.0f);
    }
  }
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    rest[c] = __double2half(rest_value);
    rest_value -= static_cast<double>(__half2float(rest[c]));
  }
  const __half one(1.0f), zero(0.0f);
  __align__(16) const __half of_row[16] = {hi[0], hi[1], hi[2], lo[0], lo[1], lo[2], hi[0], hi[1],
                                           hi[2], one,   one,   one,   rest[0], rest[1], rest[2], zero};
  __align__(16) const __half of_col[16] = {hi[0], hi[1], hi[2], hi[0], hi[1], hi[2], lo[0], lo[1],
                                           lo[2], rest[0], rest[1], rest[2], one, one, one, zero};
  const auto* const from = reinterpret_cast<const uint4*>(is_row ? of_row : of_col);
  auto* const to = reinterpret_cast<uint4*>((is_row ? rows : cols) + tile * kStepBytes);
  to[threadIdx.x] = from[0];
  to[kTile + threadIdx.x] = from[1];
}

void launch_exponent(const Sweep<float>& sweep, bool largest, cudaStream_t stream) {
  const auto& a = sweep.args;
  const std::int64_t row_tiles = (a.pairs.n + kTile - 1) / kTile;
  const std::int64_t col_tiles = (a.pairs.m + kTile - 1) / kTile;
  std::byte* const rows = sweep.packed;
  std::byte* const cols = rows + row_tiles * kStepBytes;
  cuda::launch(pack_kernel, static_cast<unsigned>(row_tiles + col_tiles), kTile, 0, stream, a,
               sweep.k, sweep.per_cost, largest, row_tiles, rows, cols);
  TensorArgs args{.sweep = sweep,
                  .rows = {rows, kStepBytes, row_tiles, 1, nullptr, nullptr},
                  .cols = {cols, kStepBytes, col_tiles, 1, nullptr, nullptr},
                  .biases = nullptr,
                  .members = nullptr,
                  .words = static_cast<int>((sweep.parts.column_blocks + 31) / 32),
                  .row_tiles = 0,
                  .stages = 0};
  list_members(args, cols + col_tiles * kStepBytes, stream);
  if (largest) return start<kExponent, 1, true, 0, 4>(args, stream);
  const char* v = getenv("POLYE");
  if (v && atoi(v) == 1) return start<kExponent, 1, false, 1, 4>(args, stream);
  if (v && atoi(v) == 2) return start<kExponent, 1, false, 2, 4>(args, stream);
  if (v && atoi(v) == 3) return start<kExponent, 1, false, 3, 4>(args, stream);
  start<kExponent, 1, false, 0, 4>(args, stream);
}

template <int STEPS>
void launch_products(const Sweep<float>& sweep, bool largest, cudaStream_t stream) {
  const auto& a = sweep.args;
  constexpr int kAccurate = consumers(3, STEPS), kFast = consumers(1, STEPS);
  TensorArgs args{
      .sweep = sweep,
      .rows = tiled(a.split_rows, a.pairs.rows),
      .cols = tiled(a.split_cols, a.pairs.cols),
      .biases = reinterpret_cast<const float*>(sweep.packed),
      .members = nullptr,
      .words = static_cast<int>((sweep.parts.column_blocks + 31) / 32),
      .row_tiles = 0,
      .stages = 0};
  const std::int64_t columns = args.cols.count * kTile;
  cuda::launch(bias_kernel, static_cast<unsigned>((columns + 255) / 256), 256, 0, stream, a,
               sweep.k, sweep.per_cost, args.cols.norms, columns,
               reinterpret_cast<float*>(sweep.packed));
  list_members(args, sweep.packed + columns * std::int64_t{sizeof(float)}, stream);
  const bool accurate = a.precision == kernels::Precision::accurate;
  if (largest)  // one product: a shift need not be exact
    return accurate ? start<1, STEPS, true, 0, kAccurate>(args, stream)
                    : start<1, STEPS, true, 0, kFast>(args, stream);
  if (accurate) return start<3, STEPS, false, 0, kAccurate>(args, stream);
  if constexpr (STEPS == 4) {
    const char* v = getenv("POLYT");
    if (v && atoi(v) == 1) return start<1, STEPS, false, 1, kFast>(args, stream);
    if (v && atoi(v) == 8) return start<1, STEPS, false, 8, kFast>(args, stream);
    if (v && atoi(v) == 9) return start<1, STEPS, false, 9, kFast>(args, stream);
  }
  start<1, STEPS, false, 0, kFast>(args, stream);
}
}  // namespace

SweepPlan<float> tensor_sweep(const SoftminArgs<float>& args) {
  const auto& p = args.pairs;
  SweepPlan<float> plan{.run = launch_products<0>, .parts = {}, .in_units_of_scale = true};
  const std::int64_t steps = SplitLayout(p.n, p.rows.dim).steps;
  if (steps == 1) plan.run = launch_products<1>;
  if (steps == 2) plan.run = launch_products<2>;
  if (steps == 4) plan.run = launch_products<4>;
  const int groups = consumers(args.precision == kernels::Precision::accurate ? 3 : 1,
                               steps <= kChunkSteps ? static_cast<int>(steps) : 0);
  plan.parts = parts_of(p, groups);
  plan.packed_bytes = (p.m + kTile - 1) / kTile * kTile * std::int64_t{sizeof(float)} +
                      member_bytes(p);
  return plan;
}

SweepPlan<float> exponent_sweep(const SoftminArgs<float>& args) {
  const auto& p = args.pairs;
  return {.run = launch_exponent,
          .parts = parts_of(p, 4),
          .in_units_of_scale = true,
          .packed_bytes = ((p.n + kTile - 1) / kTile + (p.m + kTile - 1) / kTile) * kStepBytes +
                          member_bytes(p)};
}
}  // namespace monge::cuda
