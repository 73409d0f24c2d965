// softmin of squared distances in up to three dimensions on tensor cores: one step of 16 terms is
// the whole exponent, so that nothing is left to do for a pair but its exponential.
#include <cuda_fp16.h>

#include "cuda/tensor_softmin.cuh"

namespace monge::cuda {
namespace tensor {
namespace {
constexpr int kExponentGroups = 4;
constexpr int kExponentPolynomial = 2;  // of 8 pairs: 12.7 ms, 14.3 with none, 13.9 with three
// Three-dimensional points for exponent_sweep: what their 16 halves are, see there.
struct ExponentTiles {
  static constexpr int kThreads = kTile;
  SoftminArgs<float> a;
  double k, per_cost;
  bool largest;
  std::int64_t row_tiles;
  std::byte *rows, *cols;

  __device__ void operator()(Block at) const {
    await_previous();
    const bool is_row = at.x < row_tiles;
    const std::int64_t tile = is_row ? at.x : at.x - row_tiles;
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
      rest_value =
          is_row ? (largest ? 0 : whole_shift<float>(a.shift, i, per_cost)) : a.h[i] * per_cost;
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
    __align__(16)
        const __half of_row[16] = {hi[0], hi[1], hi[2], lo[0], lo[1],   lo[2],   hi[0],   hi[1],
                                   hi[2], one,   one,   one,   rest[0], rest[1], rest[2], zero};
    __align__(16)
        const __half of_col[16] = {hi[0], hi[1],   hi[2],   hi[0],   hi[1], hi[2], lo[0], lo[1],
                                   lo[2], rest[0], rest[1], rest[2], one,   one,   one,   zero};
    const auto* const from = reinterpret_cast<const uint4*>(is_row ? of_row : of_col);
    auto* const to = reinterpret_cast<uint4*>((is_row ? rows : cols) + tile * kStepBytes);
    to[threadIdx.x] = from[0];
    to[kTile + threadIdx.x] = from[1];
  }
};

void launch_exponent(const Sweep<float>& sweep, bool largest, Exec& exec) {
  const auto& a = sweep.args;
  const std::int64_t row_tiles = (a.pairs.n + kTile - 1) / kTile;
  const std::int64_t col_tiles = (a.pairs.m + kTile - 1) / kTile;
  std::byte* const rows = sweep.packed;
  std::byte* const cols = rows + row_tiles * kStepBytes;
  launch(ExponentTiles{a, sweep.k, sweep.per_cost, largest, row_tiles, rows, cols},
         row_tiles + col_tiles, exec);
  TensorArgs args{{.rows = {rows, kStepBytes, row_tiles, 1, nullptr, nullptr},
                   .cols = {cols, kStepBytes, col_tiles, 1, nullptr, nullptr},
                   .columns = nullptr,
                   .n = a.pairs.n,
                   .column_blocks = sweep.parts.column_blocks,
                   .words = static_cast<int>((sweep.parts.column_blocks + 31) / 32)},
                  sweep};
  list_members(args, a.pairs, cols + col_tiles * kStepBytes, exec);
  if (largest) return start<kExponent, 1, true, 0, kExponentGroups>(args, exec);
  start<kExponent, 1, false, kExponentPolynomial, kExponentGroups>(args, exec);
}

}  // namespace
}  // namespace tensor

SweepPlan<float> exponent_sweep(const SoftminArgs<float>& args) {
  const auto& p = args.pairs;
  return {.run = tensor::launch_exponent,
          .parts = tensor::parts_of(p, tensor::kExponentGroups),
          .in_units_of_scale = true,
          .packed_bytes = ((p.n + kTile - 1) / kTile + (p.m + kTile - 1) / kTile) * kStepBytes +
                          tensor::member_bytes(p)};
}
}  // namespace monge::cuda
