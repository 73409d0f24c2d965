// One coordinate of a float point: of its panel, or of its halves where only these are kept.
#pragma once
#include <cuda_fp16.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/softmin_sweep.cuh"
#include "cuda/split.hpp"

namespace monge::cuda {
__device__ inline float split_coordinate(const kernels::Panels<float>& points, std::int64_t i,
                                         std::int64_t k) {
  constexpr std::int64_t kChunk = kChunkSteps * kStep;
  const SplitLayout layout(points.count, points.dim);
  const auto* const bytes = static_cast<const std::byte*>(points.split);
  const std::int64_t chunk = k / kChunk, within = k % kChunk;
  const std::int64_t steps = min(std::int64_t{kChunkSteps}, layout.steps - chunk * kChunkSteps);
  const auto* const hi =
      reinterpret_cast<const __half*>(bytes + layout.tiles_at() + i / kTile * layout.tile_bytes() +
                                      chunk * 2 * kChunkSteps * kStepBytes);
  const std::int64_t at = (within / 8 * kTile + i % kTile) * 8 + within % 8;
  const float scale = reinterpret_cast<const SplitHeader*>(bytes)->scale;
  return (__half2float(hi[at]) +
          __half2float(hi[at + steps * kStepBytes / std::int64_t{sizeof(__half)}])) /
         scale;
}

template <class T>
__device__ T coordinate(const kernels::Panels<T>& points, std::int64_t i, std::int64_t k) {
  if constexpr (sizeof(T) == 4)
    if (!points.data) return split_coordinate(points, i, k);
  return coordinates(points, i)[k * kPanel];
}
}  // namespace monge::cuda
