#include "cuda/tensor_apply.hpp"

#include <utility>

#include "cuda/slices.cuh"
#include "cuda/tensor_apply.cuh"
#include "cuda/tensor_origins.cuh"

namespace monge::cuda {
namespace tensor {
namespace {
// The columns of V behind their biases; 0 beyond what there is.
struct PlaceValues {
  static constexpr int kThreads = 256;
  kernels::ApplyArgs<float> a;
  int k0, k, columns;  // of V, and of the sweep
  std::int64_t padded;
  float* to;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t j = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (j >= padded) return;
    float* const own = to + j / kTile * (1 + columns) * kTile + j % kTile;
    for (int c = 0; c < columns; ++c)
      own[(1 + c) * kTile] = j >= a.pairs.m || c >= k ? 0.0f
                             : a.v                    ? a.v[j * a.v_row + (k0 + c) * a.v_col]
                                                      : 1.0f;
  }
};

struct SetSums {
  static constexpr int kThreads = 256;
  ApplyTiles a;
  Origins origins;
  int tile_rows, columns, k0, k, stride;
  std::int64_t workers;
  float* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t entry = std::int64_t{at.x} * kThreads + threadIdx.x;
    const std::int64_t local = entry / k, i = origins.first + local;
    const int c = static_cast<int>(entry % k);
    const std::int64_t tile = local / tile_rows;
    if (tile >= a.row_tiles || i >= origins.n) return;
    const Shares shares{a.row_tiles * a.column_blocks, workers};
    const std::int64_t first = shares.worker_of(tile * a.column_blocks),
                       last = shares.worker_of((tile + 1) * a.column_blocks - 1);
    double total = 0;
    for (std::int64_t worker = first; worker <= last; ++worker)
      total += a.sums[(part_of(worker, tile) * tile_rows + local % tile_rows) * columns + c];
    out[i * stride + k0 + c] = static_cast<float>(total * origins.rescale[local]);
  }
};

template <int STEPS, int K>
void start_apply(const ApplyTiles& args, std::int64_t workers, Exec& exec) {
  start_sweep<ApplySweep<STEPS, K>>(args, stage_bytes(3, STEPS), workers, exec);
}
template <int K>
void start(const ApplyTiles& args, std::int64_t workers, Exec& exec) {
  switch (args.rows.steps) {
    case 1:
      return start_apply<1, K>(args, workers, exec);
    case 2:
      return start_apply<2, K>(args, workers, exec);
    case 4:
      return start_apply<4, K>(args, workers, exec);
    default:
      return start_apply<0, K>(args, workers, exec);
  }
}
}  // namespace
}  // namespace tensor

void tensor_apply(const kernels::ApplyArgs<float>& a, int k0, int k, Exec& exec) {
  using namespace tensor;  // NOLINT(google-build-using-namespace): this backend's
  const auto& p = a.pairs;
  const bool squared = p.form == Form::squared;
  // A weight's square is the weight at half of epsilon.
  const double eps = a.weighting == kernels::Weighting::squared ? a.eps / 2 : a.eps;
  const auto unit = static_cast<float>(p.scale * kLog2E / eps);
  const double per_cost = static_cast<double>(unit) / p.scale;
  const int columns = k > 1 ? kTensorColumns : 1;
  const int steps = static_cast<int>(SplitLayout(p.n, p.rows.dim).steps);
  const int groups = apply_groups(steps > kChunkSteps ? 0 : steps, columns);
  const int tile_rows = groups * kRowBlock;
  const std::int64_t all_tiles = row_tiles_of(p, groups);
  const std::int64_t most_tiles = std::min<std::int64_t>(all_tiles, 16 * kMultiprocessors);
  const std::int64_t blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  const std::int64_t most_workers = std::min<std::int64_t>(kMultiprocessors, most_tiles * blocks);
  const std::int64_t most_parts = part_of(most_workers - 1, most_tiles - 1) + 1;
  std::int64_t bytes = 0;
  const auto reserve = [&](std::int64_t size) {
    return std::exchange(bytes, bytes + (size + 255) / 256 * 256);
  };
  constexpr std::int64_t kDouble = sizeof(double), kFloat = sizeof(float);
  const std::int64_t at_columns = reserve(column_bytes(p, 1 + columns) + member_bytes(p)),
                     at_sums = reserve(most_parts * tile_rows * columns * kDouble),
                     at_rescale = reserve(most_tiles * tile_rows * kDouble),
                     at_origins = reserve(most_tiles * tile_rows * kFloat);
  const Scratch scratch(exec, bytes);
  std::byte* const memory = scratch.data();

  ApplyTiles args{tiles_of(p, a.h, unit, per_cost, 1 + columns, memory + at_columns, exec)};
  const std::int64_t padded = args.cols.count * kTile;
  launch(PlaceValues{a, k0, k, columns, padded, reinterpret_cast<float*>(memory + at_columns)},
         (padded + 255) / 256, exec);
  args.factor = unit * (squared ? 2.0f : 1.0f);
  args.sums = reinterpret_cast<double*>(memory + at_sums);
  Origins origins{.first = 0,
                  .n = p.n,
                  .shift = a.shift,
                  .norms = args.rows.norms,
                  .per_cost = per_cost,
                  .norm_factor = squared ? static_cast<double>(unit) : 0.0,
                  .origins = reinterpret_cast<float*>(memory + at_origins),
                  .rescale = reinterpret_cast<double*>(memory + at_rescale)};
  args.origins = origins.origins;
  const double work =
      static_cast<double>(tile_rows) * static_cast<double>(p.m) * (p.rows.dim / 8.0 + 16 + columns);
  verbs::in_slices(
      all_tiles, work, exec,
      [&](std::int64_t first, std::int64_t count) {
        args.first_tile = first, args.row_tiles = count;
        origins.first = first * tile_rows;
        const std::int64_t rows = count * tile_rows,
                           workers = std::min<std::int64_t>(kMultiprocessors, count * blocks);
        launch(SetOrigins{origins, rows, 0}, (rows + 255) / 256, exec);
        columns > 1 ? start<kTensorColumns>(args, workers, exec) : start<1>(args, workers, exec);
        launch(SetSums{args, origins, tile_rows, columns, k0, k, a.k, workers, a.out},
               (rows * k + 255) / 256, exec);
      },
      most_tiles);
}
}  // namespace monge::cuda
