// What sweeps on tensor cores are made of: tiles of points, the share of each thread block, and the
// walk over tiles that producers and consumers take alike.
#pragma once
#include <algorithm>

#include "cuda/hopper.cuh"
#include "cuda/launch.cuh"
#include "cuda/softmin_sweep.cuh"
#include "cuda/split.hpp"

namespace monge::cuda::tensor {
constexpr int kMultiprocessors = 132;  // of an H100 or H200; fixed, as results depend on it
constexpr int kColumnStages = 8;       // tiles whose columns' values are under way
constexpr int kMostStages = 8;
constexpr int kWideChunks = 2;  // of values to a stage, where rows do not fit registers
constexpr std::int64_t kStageMemory = 192 * 1024;
constexpr int kExponent = 0;        // in place of a number of products: see exponent_sweep
constexpr float kOut = 60000;       // an exponent that no pair of that kind has
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

/// What the producers and consumers of a sweep share.
struct Tiles {
  TiledPoints rows, cols;
  const float* columns;  // [cols.count, values, kTile]: see tensor_kernel.cuh
  std::int64_t n, column_blocks;
  int words;                               // of a row block's members
  const std::uint32_t* members = nullptr;  // [row blocks, words] bits of column blocks; null: all
  std::int64_t first_tile = 0, row_tiles = 0;  // the row tiles of a launch
  const int* wanted = nullptr;                 // [row_tiles] 0: left out; null: none is
  int stages = 0;
};

/// Rows to a thread block: 64 to each consumer. What fits the registers: accumulators of 64, and
/// the rows themselves where there are at most 64 coordinates. Three products leave room for three
/// consumers, one for four (n = 50 000, d = 64: 17.5 ms, 19.3 with three); where rows are streamed
/// two, with two sets of accumulators each.
MONGE_HOST_DEVICE constexpr int consumers(int products, int steps) {
  return steps == 0 ? 2 : products == 3 ? 3 : 4;
}
MONGE_HOST_DEVICE constexpr int threads(int groups) { return 128 * (groups + 1); }
MONGE_HOST_DEVICE constexpr int consumer_registers(int groups) {
  return groups == 2 ? 232 : groups == 3 ? 160 : 112;
}
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

/// Each thread block has a part of each row tile that it shares. In their sequence either number
/// grows, so that the sum of both names a part.
MONGE_HOST_DEVICE constexpr std::int64_t part_of(std::int64_t worker, std::int64_t tile) {
  return worker + tile;
}

MONGE_HOST_DEVICE constexpr int stage_bytes(int products, int steps) {
  const int halves = products == 3 ? 2 : 1;
  return static_cast<int>(kStepBytes) * halves * (steps ? steps : 2 * kChunkSteps);
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/// Tiles of 128 columns that any row block of a row tile wants.
template <int GROUPS>
class TileWalk {
 public:
  __device__ TileWalk(const Tiles& args, std::int64_t row_tile, std::int64_t first,
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
      if (row_block * kRowBlock < args_.n)
        members |= (args_.members[row_block * args_.words + block / 32] >> block % 32 & 1) << g;
    }
    return members;
  }
  const Tiles& args_;
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
__device__ void for_each_segment(const Tiles& args, const Block& at, const Body& body) {
  const std::int64_t blocks = args.column_blocks;
  const Shares shares{args.row_tiles * blocks, at.width};
  std::int64_t unit = shares.begin(at.x);
  const std::int64_t end = shares.begin(at.x + 1);
  while (unit < end) {
    const std::int64_t row_tile = unit / blocks, first = unit - row_tile * blocks;
    const std::int64_t last = min(blocks, first + (end - unit));
    if (!args.wanted || args.wanted[row_tile]) body(args.first_tile + row_tile, first, last);
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
  float* columns;  // [kColumnStages, values, kTile]
  hopper::Barrier *full, *empty, *columns_full, *columns_empty;
};

#endif
}  // namespace monge::cuda::tensor
