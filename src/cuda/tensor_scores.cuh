// The first product of a consumer warpgroup on tensor cores: its 64 rows with a tile of columns.
#pragma once
#include "cuda/tensor_tiles.cuh"

namespace monge::cuda::tensor {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/// The rows of a consumer and its place in the ring of tiles.
template <int PRODUCTS, int STEPS, int GROUPS, int STAGE = stage_bytes(PRODUCTS, STEPS)>
class Scores {
 public:
  static constexpr bool kTurns = STEPS > 0 && PRODUCTS != kExponent;
  static constexpr int kBytes = static_cast<int>(kStepBytes);  // of a step in shared memory

  __device__ __forceinline__ Scores(const Tiles& args, const Memory& memory, int group)
      : args_(args),
        memory_(memory),
        group_(group),
        lane_(threadIdx.x % 32),
        steps_(args.rows.steps),
        chunks_(STEPS > 0 ? 1 : (steps_ + kChunkSteps - 1) / kChunkSteps),
        ring_{args.stages},
        freed_{args.stages} {}

  // Before the first tile.
  __device__ __forceinline__ void start() {
    if (kTurns && group_ == GROUPS - 1) hopper::named_arrive<256>(1);
  }

  // `at_row`: the thread's first row, of all.
  __device__ __forceinline__ void load_rows(std::int64_t at_row) {
    if constexpr (STEPS > 0) {
      const std::byte* const from = args_.rows.chunk(min(at_row / kTile, args_.rows.count - 1), 0) +
                                    at_row % kTile * 16 + threadIdx.x % 4 * 4;
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

  // Queues the products of one chunk, the first of them in place of what `acc` holds, or on top of
  // it. Small ones first where all rows are at hand: what they add is then not lost beside the
  // large one.
  __device__ __forceinline__ void multiply(float (&acc)[64], int chunk, bool on_top = false) {
    const std::uint32_t base = await_stage();
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
        hopper::wgmma_fence();
        if constexpr (PRODUCTS == 3) {
          hopper::wgmma(acc, operand(left, depth + s), operand(right, s), on_top || chunk + s > 0);
          hopper::wgmma(acc, operand(left, s), operand(right, depth + s), 1);
        }
        hopper::wgmma(acc, operand(left, s), operand(right, s),
                      PRODUCTS == 3 || on_top || chunk + s > 0);
      }
    }
    hopper::wgmma_commit();
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

  // The next stage, filled: its address.
  __device__ __forceinline__ std::uint32_t await_stage() {
    memory_.full[ring_.at].wait(ring_.phase);
    const std::uint32_t base = hopper::shared_address(memory_.stages + ring_.at * STAGE);
    ring_.advance();
    return base;
  }

  // The oldest stage that is not released: its address.
  __device__ __forceinline__ std::uint32_t oldest_stage() const {
    return hopper::shared_address(memory_.stages + freed_.at * STAGE);
  }

  __device__ __forceinline__ void release() {
    if (lane_ == 0) memory_.empty[freed_.at].arrive();
    freed_.advance();
  }

 private:
  static constexpr int kHeld = STEPS > 0 ? STEPS : 1;

  static __device__ __forceinline__ std::uint64_t operand(std::uint32_t base, int step) {
    return hopper::operand(base + step * kBytes, kBytes / 2);
  }

  const Tiles& args_;
  const Memory& memory_;
  const int group_, lane_, steps_, chunks_;
  Ring ring_, freed_;
  std::uint32_t hi_[kHeld][4], lo_[kHeld][4];  // the rows, where they fit
};
#endif
}  // namespace monge::cuda::tensor
