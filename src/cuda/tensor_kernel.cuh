// softmin of products on Hopper's tensor cores. A thread block takes a tile of rows, 64 to each of
// its consumer warpgroups, at a time; one more warpgroup brings tiles of 128 columns (split.hpp)
// and their biases to shared memory. The consumers take turns at the tensor cores: while one
// multiplies the others work on exponentials. The blocks share all tiles evenly: each takes an
// equal stretch of the sequence of (row tile, column blocks), so that no card is left half empty by
// the last wave.
//
// The exponent of 2 of a pair is c dot + bias_j + origin_i, dot the product of the scaled halves:
//   bias_j = k (h_j / scale - |y_j|^2),  origin_i = N_i - k |x_i|^2,
// both computed in double and rounded once; what the origin's rounding took is put back at the end.
#pragma once
#include "cuda/launch.cuh"
#include "cuda/tensor_consumer.cuh"

namespace monge::cuda::tensor {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
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

// A thread is a row block.
static __global__ void members_kernel(BlockList list, std::int64_t row_blocks, int words,
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

inline std::int64_t member_bytes(const Pairs<float>& p) {
  if (!p.list) return 0;
  const std::int64_t column_blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  return (p.n + kRowBlock - 1) / kRowBlock * ((column_blocks + 31) / 32) * std::int64_t{4};
}

// The lists as bits, at `memory`.
inline void list_members(TensorArgs& args, std::byte* memory, cudaStream_t stream) {
  const auto& p = args.sweep.args.pairs;
  if (!p.list) return;
  const std::int64_t row_blocks = (p.n + kRowBlock - 1) / kRowBlock;
  auto* const members = reinterpret_cast<std::uint32_t*>(memory);
  members_kernel<<<static_cast<unsigned>((row_blocks + 127) / 128), 128, 0, stream>>>(
      *p.list, row_blocks, args.words, members);
  check_launch("softmin, its lists");
  args.members = members;
}

inline std::int64_t row_tiles_of(const Pairs<float>& p, int groups) {
  return (p.n + kRowBlock * groups - 1) / (kRowBlock * groups);
}
inline Shares shares_of(const Pairs<float>& p, int groups) {
  const std::int64_t units = row_tiles_of(p, groups) * ((p.m + kColumnBlock - 1) / kColumnBlock);
  return {units, std::min<std::int64_t>(kMultiprocessors, units)};
}

inline Parts parts_of(const Pairs<float>& p, int groups) {
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

}  // namespace monge::cuda::tensor
