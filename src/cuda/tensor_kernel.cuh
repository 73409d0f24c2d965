// The kernel of sweeps on Hopper's tensor cores. A thread block takes a tile of rows, 64 to each of
// its consumer warpgroups, at a time; one more warpgroup brings tiles of 128 columns (split.hpp)
// and their biases to shared memory. The consumers take turns at the tensor cores: while one
// multiplies the others work on exponentials. The blocks share all tiles evenly: each takes an
// equal stretch of the sequence of (row tile, column blocks), so that no card is left half empty by
// the last wave.
//
// The exponent of 2 of a pair is c dot + bias_j + origin_i, dot the product of the scaled halves:
//   bias_j = k (h_j / scale - |y_j|^2),  origin_i = N_i - k |x_i|^2,
// both computed in double and rounded once; what the origin's rounding took is put back at the end.
//
// A consumer says
//   kProducts, kSteps, kGroups  of its Scores
//   kStageBytes                 of shared memory
//   kColumnValues               floats for each column, which come with the tiles: 0, or a bias,
//                               k |y_j|^2 and what else it asks for
//   kStreamsValues              whether each tile is followed by one more stage, its coordinates of
//                               kWideChunks chunks from that which args names
// and, made of (args, block, memory, group), start() and segment(row tile, first, last column
// block). One whose stages are others has produce(args, block, memory), for one thread.
#pragma once
#include "cuda/launch.cuh"
#include "cuda/tensor_tiles.cuh"

namespace monge::cuda::tensor {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
template <class Consumer, class Args>
__device__ void produce_tiles(const Args& args, const Block& at, const Memory& memory) {
  constexpr int kSteps = Consumer::kSteps, kHalves = Consumer::kProducts == 3 ? 2 : 1;
  const int steps = args.rows.steps;
  const int chunks = kSteps > 0 ? 1 : (steps + kChunkSteps - 1) / kChunkSteps;
  Ring ring{args.stages};
  const auto stage = [&](std::uint32_t bytes, const auto& copy) {
    memory.empty[ring.at].wait(ring.phase ^ 1);
    memory.full[ring.at].arrive_and_expect(bytes);
    copy(memory.stages + ring.at * Consumer::kStageBytes, memory.full + ring.at);
    ring.advance();
  };
  for_each_segment(args, at, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
    TileWalk<Consumer::kGroups> walk(args, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    while (walk.next(tile, members)) {
      for (int chunk = 0; chunk < chunks; ++chunk) {
        const int depth = kSteps > 0 ? kSteps : min(kChunkSteps, steps - chunk * kChunkSteps);
        const auto bytes = static_cast<std::uint32_t>(kHalves * depth * int(kStepBytes));
        stage(kSteps > 0 ? bytes : 2 * bytes, [&](std::byte* to, hopper::Barrier* full) {
          if (kSteps == 0) {
            hopper::copy_bulk(to, args.rows.chunk(row_tile, chunk), bytes, full);
            to += bytes;
          }
          hopper::copy_bulk(to, args.cols.chunk(tile, chunk), bytes, full);
        });
      }
      if constexpr (Consumer::kStreamsValues) {
        // All hi, then all lo, as they stand where there is one chunk.
        constexpr std::int64_t kChunk = kChunkSteps * kStepBytes;
        const int left = steps - args.chunk * kChunkSteps;
        const int all = min(left, kWideChunks * kChunkSteps);
        stage(static_cast<std::uint32_t>(2 * all * int(kStepBytes)),
              [&](std::byte* to, hopper::Barrier* full) {
                for (int c = 0; c * kChunkSteps < all; ++c, to += kChunk) {
                  const std::byte* const from = args.cols.chunk(tile, args.chunk + c);
                  const auto bytes = static_cast<std::uint32_t>(
                      min(+kChunkSteps, left - c * kChunkSteps) * int(kStepBytes));
                  hopper::copy_bulk(to, from, bytes, full);
                  hopper::copy_bulk(to + kWideChunks * kChunk, from + bytes, bytes, full);
                }
              });
      }
    }
  });
}

template <class Consumer>
__device__ void produce_columns(const Tiles& args, const Block& at, const Memory& memory) {
  constexpr int kFloats = Consumer::kColumnValues * kTile;
  constexpr std::uint32_t kBytes = kFloats * sizeof(float);
  Ring ring{kColumnStages};
  for_each_segment(args, at, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
    TileWalk<Consumer::kGroups> walk(args, row_tile, first, last);
    std::int32_t tile;
    unsigned members;
    while (walk.next(tile, members)) {
      memory.columns_empty[ring.at].wait(ring.phase ^ 1);
      memory.columns_full[ring.at].arrive_and_expect(kBytes);
      hopper::copy_bulk(memory.columns + ring.at * kFloats,
                        args.columns + static_cast<std::int64_t>(tile) * kFloats, kBytes,
                        memory.columns_full + ring.at);
      ring.advance();
    }
  });
}

template <class Consumer, class Args>
__device__ __forceinline__ void run(const Args& args, const Block& at) {
  constexpr int kGroups = Consumer::kGroups;
  extern __shared__ __align__(128) std::byte shared[];
  constexpr int kColumnValues = Consumer::kColumnValues;
  __shared__ __align__(128) float columns[kColumnStages * kTile * std::max(kColumnValues, 1)];
  __shared__ hopper::Barrier full[kMostStages], empty[kMostStages], columns_full[kColumnStages],
      columns_empty[kColumnStages];
  const Memory memory{shared, columns, full, empty, columns_full, columns_empty};
  if (threadIdx.x == 0) {
    for (int s = 0; s < args.stages; ++s) {
      full[s].init(1);
      empty[s].init(4 * kGroups);
    }
    for (int s = 0; s < kColumnStages; ++s) {
      columns_full[s].init(1);
      columns_empty[s].init(4 * kGroups);
    }
    hopper::fence_barrier_init();
  }
  __syncthreads();
  await_previous();
  allow_next();
  const int group = threadIdx.x / 128;
  if (group == 0) {
    hopper::give_registers<producer_registers(kGroups)>();
    if (threadIdx.x == 0) {
      if constexpr (requires { Consumer::produce(args, at, memory); })
        Consumer::produce(args, at, memory);
      else
        produce_tiles<Consumer>(args, at, memory);
    }
    if (kColumnValues > 0 && threadIdx.x == 32) produce_columns<Consumer>(args, at, memory);
  } else {
    hopper::take_registers<consumer_registers(kGroups)>();
    Consumer consumer(args, at, memory, group - 1);
    consumer.start();
    for_each_segment(args, at, [&](std::int64_t row_tile, std::int64_t first, std::int64_t last) {
      consumer.segment(row_tile, first, last);
    });
  }
}
#endif

/// Launches it, as many stages as there is room for.
template <class Sweep, class Args>
void start_sweep(Args args, int stage, std::int64_t workers, Exec& exec) {
  args.stages = static_cast<int>(std::min<std::int64_t>(kMostStages, kStageMemory / stage));
  launch(Sweep{args}, workers, exec, static_cast<std::size_t>(args.stages) * stage);
}

// A thread is a row block.
struct Members {
  static constexpr int kThreads = 128;
  BlockList list;
  std::int64_t row_blocks;
  int words;
  std::uint32_t* members;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t r = static_cast<std::int64_t>(at.x) * kThreads + threadIdx.x;
    if (r >= row_blocks) return;
    std::int64_t entry = list.offsets[r];
    const std::int64_t end = list.offsets[r + 1];
    for (int word = 0; word < words; ++word) {
      std::uint32_t bits = 0;
      for (; entry < end && list.blocks[entry] / 32 == word; ++entry)
        bits |= 1u << list.blocks[entry] % 32;
      members[r * words + word] = bits;
    }
  }
};

inline std::int64_t member_bytes(const Pairs<float>& p) {
  if (!p.list) return 0;
  const std::int64_t column_blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  return (p.n + kRowBlock - 1) / kRowBlock * ((column_blocks + 31) / 32) * std::int64_t{4};
}

// The lists as bits, at `memory`.
inline void list_members(Tiles& args, const Pairs<float>& p, std::byte* memory, Exec& exec) {
  if (!p.list) return;
  const std::int64_t row_blocks = (p.n + kRowBlock - 1) / kRowBlock;
  auto* const members = reinterpret_cast<std::uint32_t*>(memory);
  launch(Members{*p.list, row_blocks, args.words, members}, (row_blocks + 127) / 128, exec);
  args.members = members;
}

// Once for all row tiles: a producer that computed them would be slower than the consumers.
template <class H>
struct ColumnValues {
  static constexpr int kThreads = 256;
  const H* h;
  std::int64_t m;
  double per_cost, norm_factor;
  const double* norms;
  int values;
  std::int64_t padded;
  float* columns;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t j = static_cast<std::int64_t>(at.x) * kThreads + threadIdx.x;
    if (j >= padded) return;
    const double norm = norm_factor * norms[j], bias = j < m ? h[j] * per_cost - norm : -INFINITY;
    float* const to = columns + j / kTile * values * kTile + j % kTile;
    to[0] = fmaxf(static_cast<float>(bias), kRemoved);
    if (values > 1) to[kTile] = static_cast<float>(norm);
  }
};

inline std::int64_t column_bytes(const Pairs<float>& p, int values) {
  return (p.m + kTile - 1) / kTile * kTile * values * std::int64_t{sizeof(float)};
}

inline TiledPoints tiled(const kernels::Panels<float>& points) {
  const SplitLayout layout(points.count, points.dim);
  const auto* const bytes = static_cast<const std::byte*>(points.split);
  return {.tiles = bytes + layout.tiles_at(),
          .tile_bytes = layout.tile_bytes(),
          .count = layout.tiles,
          .steps = static_cast<int>(layout.steps),
          .norms = reinterpret_cast<const double*>(bytes + layout.norms_at()),
          .header = static_cast<const SplitHeader*>(points.split)};
}

// Both sides and, at `memory`, column_bytes() and then member_bytes() of what columns and lists
// need; k: of an exponent of 2, per_cost of it for a unit of cost.
template <class H>
Tiles tiles_of(const Pairs<float>& p, const H* h, float k, double per_cost, int values,
               std::byte* memory, Exec& exec) {
  const std::int64_t blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  Tiles tiles{.rows = tiled(p.rows),
              .cols = tiled(p.cols),
              .columns = reinterpret_cast<const float*>(memory),
              .n = p.n,
              .column_blocks = blocks,
              .words = static_cast<int>((blocks + 31) / 32)};
  const std::int64_t columns = tiles.cols.count * kTile;
  const double norm_factor = p.form == Form::squared ? static_cast<double>(k) : 0.0;
  launch(ColumnValues<H>{h, p.m, per_cost, norm_factor, tiles.cols.norms, values, columns,
                         reinterpret_cast<float*>(memory)},
         (columns + 255) / 256, exec);
  list_members(tiles, p, memory + column_bytes(p, values), exec);
  return tiles;
}

inline std::int64_t row_tiles_of(const Pairs<float>& p, int groups) {
  return (p.n + kRowBlock * groups - 1) / (kRowBlock * groups);
}
inline Shares shares_of(const Pairs<float>& p, int groups) {
  const std::int64_t units = row_tiles_of(p, groups) * ((p.m + kColumnBlock - 1) / kColumnBlock);
  return {units, std::min<std::int64_t>(kMultiprocessors, units)};
}

}  // namespace monge::cuda::tensor
