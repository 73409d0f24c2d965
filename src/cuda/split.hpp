// Points for the tensor cores: every coordinate times a power of two `scale` as the sum of two
// half-precision numbers, hi + lo, which keeps 22 bits. Made once per set of points; a sweep loads
// tiles of it as they lie in memory.
//
// Contents, in order:
//   SplitHeader, padded to 256 bytes
//   norms  double[tiles * 128]: |x|^2 of the float coordinates, without the scale; 0 in the padding
//   tiles  of 128 points, each a row of chunks of 64 coordinates (the last may have fewer, a
//          multiple of 16; up to 64 dimensions 16, 32 or 64): first all hi of the chunk, then all
//          lo. Coordinate k of point i of a chunk stands at halves[(k / 8 * 128 + i) * 8 + k % 8].
// Padding is zero.
#pragma once
#include <cstdint>

#include "kernels/math.hpp"
#include "monge/core/exec.hpp"

namespace monge::cuda {
inline constexpr int kTile = 128, kStep = 16, kChunkSteps = 4;
inline constexpr std::int64_t kStepBytes = kTile * kStep * 2;  // of hi or of lo

struct SplitHeader {
  float scale;  // a power of two; the largest coordinate becomes 2^4 to 2^5
};
inline constexpr std::int64_t kSplitHeaderBytes = 256;

struct SplitLayout {
  std::int64_t tiles, steps;  // steps of 16 coordinates
  MONGE_HOST_DEVICE constexpr SplitLayout(std::int64_t count, int dim)
      : tiles((count + kTile - 1) / kTile), steps((dim + kStep - 1) / kStep) {
    if (steps == 3) steps = 4;
  }
  MONGE_HOST_DEVICE constexpr std::int64_t tile_bytes() const { return 2 * steps * kStepBytes; }
  MONGE_HOST_DEVICE constexpr std::int64_t norms_at() const { return kSplitHeaderBytes; }
  MONGE_HOST_DEVICE constexpr std::int64_t tiles_at() const {
    return norms_at() + tiles * kTile * static_cast<std::int64_t>(sizeof(double));
  }
  MONGE_HOST_DEVICE constexpr std::int64_t bytes() const {
    return tiles_at() + tiles * tile_bytes();
  }
};

/// Writes SplitLayout(points.count, points.dim).bytes() bytes at `out`, aligned to 256, on the
/// current device.
void split(const kernels::Panels<float>& points, void* out, Exec& exec);

/// Directions of points, row-major; data null: none.
struct MovedPoints {
  const float* data = nullptr;
  std::int64_t count = 0, stride = 0;
  int dim = 0;
  void* out = nullptr;  // as split() writes it, but for the norms
};
/// Both with scales such that moved_rows x cols and rows x moved_cols have the same.
void split_moved(const MovedPoints& moved_rows, const MovedPoints& moved_cols,
                 const SplitHeader* rows, const SplitHeader* cols, Exec& exec);
}  // namespace monge::cuda
