#include "cuda/tensor_tangent.hpp"

#include <algorithm>
#include <utility>

#include "cuda/slices.cuh"
#include "cuda/tensor_origins.cuh"
#include "cuda/tensor_tangent.cuh"

namespace monge::cuda {
namespace tensor {
namespace {
using Args = kernels::TangentArgs<float>;

// What of t does not depend on the pair: for the points of a side whose own moves are `own`,
//   term - along x.own + cost_r c of its norm.
struct SetTerms {
  static constexpr int kThreads = 256;
  kernels::Panels<float> points;
  const float *term, *own;  // of the direction, `stride` and `own_stride` apart; null: 0
  std::int64_t stride, own_stride, padded;
  double along;
  const float* cost;
  const double* norms;
  double cost_per_norm;
  float* out;
  bool in_columns;  // as the third value of a tile's columns

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i >= padded) return;
    double value = 0;
    if (i < points.count) {
      if (term) value = term[i * stride];
      if (own) {
        const float* const x = coordinates(points, i);
        double product = 0;
        for (int k = 0; k < points.dim; ++k)
          product = fma(static_cast<double>(x[k * kPanel]),
                        static_cast<double>(own[i * own_stride + k]), product);
        value -= along * product;
      }
      if (cost) value += *cost * cost_per_norm * norms[i];
    }
    const std::int64_t to = in_columns ? (i / kTile * 3 + 2) * kTile + i % kTile : i;
    out[to] = static_cast<float>(value);
  }
};

// What a sweep needs to know of each of its rows: the totals of the first one, and the scales of
// those with values.
struct RowState {
  double mass, sum, rescale_moved, rescale_plain;
};

__device__ double total(const TangentTiles& a, std::int64_t workers, std::int64_t local,
                        const double* sums, int width, int at) {
  const std::int64_t tile = local / kTangentRows;
  const Shares shares{a.row_tiles * a.column_blocks, workers};
  const std::int64_t first = shares.worker_of(tile * a.column_blocks),
                     last = shares.worker_of((tile + 1) * a.column_blocks - 1);
  double value = 0;
  for (std::int64_t worker = first; worker <= last; ++worker)
    value += sums[(part_of(worker, tile) * kTangentRows + local % kTangentRows) * width + at];
  return value;
}

struct SetTotals {
  static constexpr int kThreads = 256;
  TangentTiles a;
  Origins origins;
  std::int64_t workers, rows;
  int exponent;  // of a row's sum of |u|, and of its mass, in sweeps with values
  float *sum, *costs;
  std::int64_t stride;
  RowState* states;
  float *moved_origins, *plain_origins;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t local = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (local >= rows) return;
    const std::int64_t i = origins.first + local;
    const auto get = [&](int of) {
      return total(a, workers, local, a.sums, kTangentTotals, of) * origins.rescale[local];
    };
    const bool there = i < origins.n;
    const double mass = there ? get(0) : 0, moved = there ? get(1) : 0, size = there ? get(2) : 0;
    if (there && sum) sum[i * stride] = static_cast<float>(moved);
    if (there && costs)
      costs[i * stride] = static_cast<float>(
          (get(3) + origins.norm_factor * origins.norms[i] * moved) / origins.per_cost);
    RowState state{mass, moved, 0, 0};
    const auto place = [&](double of, float& origin, double& rescale) {
      origin = -INFINITY;
      rescale = of == 0 ? 0 : NAN;
      if (!(of > 0 && isfinite(of))) return;
      const double exact =
          origins.shift[i] * origins.per_cost - origins.norm_factor * origins.norms[i];
      origin = static_cast<float>(exact + exponent - ilogb(of));
      rescale = exp2(exact - static_cast<double>(origin));
    };
    place(size, moved_origins[local], state.rescale_moved);
    place(mass, plain_origins[local], state.rescale_plain);
    states[local] = state;
  }
};

struct SetGradient {
  static constexpr int kThreads = 256;
  TangentTiles a;  // of the values
  kernels::Panels<float> x;
  const RowState* states;
  std::int64_t workers, first, n;
  const double *moved, *plain;  // sums; plain null: none
  const float *own, *center;    // own: a of the direction, where curved; null: 0
  const SplitHeader *cols, *moved_cols;
  bool squared;
  double scale;
  std::int64_t stride;  // of own and out
  int k0, count;
  float* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t entry = std::int64_t{at.x} * kThreads + threadIdx.x;
    const std::int64_t local = entry / count, i = first + local;
    const int at_k = static_cast<int>(entry % count), k = k0 + at_k;
    if (local >= a.row_tiles * kTangentRows || i >= n) return;
    const RowState state = states[local];
    const auto sum = [&](const double* of, const SplitHeader* header, double rescale) {
      return total(a, workers, local, of, kTangentWidth, at_k) / header->scale * rescale;
    };
    double value = -sum(moved, cols, state.rescale_moved);
    if (squared) value += state.sum * coordinates(x, i)[k * kPanel];
    if (own && squared) value += state.mass * own[i * stride + k];
    if (plain) value -= sum(plain, moved_cols, state.rescale_plain);
    value *= (squared ? 2 : 1) * scale;
    if (center) value -= state.sum * center[i * x.dim + k];
    out[i * stride + k] = static_cast<float>(value);
  }
};

template <bool VALUES>
void start(const TangentTiles& args, std::int64_t workers, Exec& exec) {
  start_sweep<TangentSweep<VALUES>>(args, stage_bytes(3, 0), workers, exec);
}
}  // namespace
}  // namespace tensor

void tensor_tangent(const kernels::TangentArgs<float>& a, Exec& exec) {
  using namespace tensor;  // NOLINT(google-build-using-namespace): this backend's
  const auto& p = a.pairs;
  const bool squared = p.form == Form::squared, points = a.gradient != nullptr;
  const auto unit = static_cast<float>(p.scale * kLog2E / a.eps);
  const double per_cost = static_cast<double>(unit) / p.scale;
  const double norm_factor = squared ? static_cast<double>(unit) : 0.0;
  const int dim = p.rows.dim;
  const bool bends = points && a.curved && a.b;
  const std::int64_t all_tiles = row_tiles_of(p, kTangentGroups);
  const std::int64_t most_tiles =
      std::min<std::int64_t>(all_tiles, points ? kMultiprocessors : 16 * kMultiprocessors);
  const std::int64_t blocks = (p.m + kColumnBlock - 1) / kColumnBlock;
  const std::int64_t most_workers = std::min<std::int64_t>(kMultiprocessors, most_tiles * blocks);
  const std::int64_t most_parts = part_of(most_workers - 1, most_tiles - 1) + 1;
  const std::int64_t most_rows = most_tiles * kTangentRows;
  const SplitLayout row_layout(p.n, dim), col_layout(p.m, dim);
  std::int64_t bytes = 0;
  const auto reserve = [&](std::int64_t size) {
    return std::exchange(bytes, bytes + (size + 255) / 256 * 256);
  };
  constexpr std::int64_t kDouble = sizeof(double), kFloat = sizeof(float);
  const std::int64_t part = most_parts * kTangentRows * kDouble;
  const std::int64_t at_columns = reserve(column_bytes(p, 3) + member_bytes(p)),
                     at_terms = reserve(row_layout.tiles * kTile * kFloat),
                     at_rows = reserve(a.a ? row_layout.bytes() : 0),
                     at_cols = reserve(a.b ? col_layout.bytes() : 0),
                     at_totals = reserve(part * kTangentTotals),
                     at_moved = reserve(points ? part * kTangentWidth : 0),
                     at_plain = reserve(bends ? part * kTangentWidth : 0),
                     at_rescale = reserve(most_rows * kDouble),
                     at_origins = reserve(3 * most_rows * kFloat),
                     at_states = reserve(most_rows * std::int64_t{sizeof(RowState)});
  const Scratch scratch(exec, bytes);
  std::byte* const memory = scratch.data();
  const auto doubles = [&](std::int64_t at) { return reinterpret_cast<double*>(memory + at); };

  TangentTiles args{tiles_of(p, a.h, unit, per_cost, 3, memory + at_columns, exec)};
  args.factor = unit * (squared ? 2.0f : 1.0f);
  args.per_cost = per_cost;
  const double along = static_cast<double>(a.slope) * p.scale * (squared ? 2 : 1);
  args.moved = along;
  auto* const row_terms = reinterpret_cast<float*>(memory + at_terms);
  auto* const columns = reinterpret_cast<float*>(memory + at_columns);
  Origins origins{.first = 0,
                  .n = p.n,
                  .shift = a.shift,
                  .norms = args.rows.norms,
                  .per_cost = per_cost,
                  .norm_factor = norm_factor,
                  .origins = reinterpret_cast<float*>(memory + at_origins),
                  .rescale = doubles(at_rescale)};
  auto* const states = reinterpret_cast<RowState*>(memory + at_states);
  const std::int64_t stride = std::int64_t{a.count} * dim;

  for (int r = 0; r < a.count; ++r) {
    const auto of = [&](const float* all, std::int64_t each) { return all ? all + r * each : all; };
    const float *const own = of(a.a, dim), *const opposite = of(a.b, dim);
    args.cost = of(a.cost, 1);
    const auto set = [&](const kernels::Panels<float>& side, const float* term, const float* moves,
                         const double* norms, float* out, bool in_columns) {
      const std::int64_t padded = SplitLayout(side.count, dim).tiles * kTile;
      launch(SetTerms{.points = side,
                      .term = of(term, 1),
                      .own = squared ? moves : nullptr,
                      .stride = a.count,
                      .own_stride = stride,
                      .padded = padded,
                      .along = along,
                      .cost = args.cost,
                      .norms = norms,
                      .cost_per_norm = norm_factor / per_cost,
                      .out = out,
                      .in_columns = in_columns},
             (padded + 255) / 256, exec);
    };
    set(p.rows, a.row, own, args.rows.norms, row_terms, false);
    set(p.cols, a.col, opposite, args.cols.norms, columns, true);
    if (own || opposite) {
      split_moved({own, p.n, stride, dim, memory + at_rows},
                  {opposite, p.m, stride, dim, memory + at_cols}, args.rows.header,
                  args.cols.header, exec);
      const auto moved = [&](kernels::Panels<float> side, const float* moves, std::int64_t at) {
        side.split = memory + at;
        return moves ? tiled(side) : TiledPoints{};
      };
      args.moved_rows = moved(p.rows, own, at_rows);
      args.moved_cols = moved(p.cols, opposite, at_cols);
    }
    const auto slice = [&](std::int64_t first, std::int64_t count) {
      args.first_tile = first, args.row_tiles = count;
      origins.first = first * kTangentRows;
      const std::int64_t rows = count * kTangentRows,
                         workers = std::min<std::int64_t>(kMultiprocessors, count * blocks);
      TangentTiles sweep = args;
      sweep.origins = origins.origins;
      sweep.row = row_terms;
      sweep.sums = doubles(at_totals);
      launch(SetOrigins{origins, rows, 0}, (rows + 255) / 256, exec);
      start<false>(sweep, workers, exec);
      float* const moved_origins = origins.origins + most_rows;
      float* const plain_origins = moved_origins + most_rows;
      // As tensor_sums.cu has a mass of 1: below m / 4 and below half of what halves hold.
      const int exponent = std::clamp(std::ilogb(static_cast<double>(p.m)) - 2, 0, 14);
      launch(
          SetTotals{sweep, origins, workers, rows, exponent, a.sum ? a.sum + r : nullptr,
                    a.costs ? a.costs + r : nullptr, a.count, states, moved_origins, plain_origins},
          (rows + 255) / 256, exec);
      if (!points) return;
      for (int k0 = 0; k0 < dim; k0 += kTangentWidth) {
        sweep.chunk = k0 / kTangentWidth;
        sweep.origins = moved_origins;
        sweep.row = row_terms;
        sweep.values = args.cols;
        sweep.sums = doubles(at_moved);
        start<true>(sweep, workers, exec);
        if (bends) {
          TangentTiles plain = sweep;
          plain.origins = plain_origins;
          plain.row = nullptr;
          plain.values = args.moved_cols;
          plain.sums = doubles(at_plain);
          start<true>(plain, workers, exec);
        }
        const int width = std::min(kTangentWidth, dim - k0);
        launch(SetGradient{.a = sweep,
                           .x = p.rows,
                           .states = states,
                           .workers = workers,
                           .first = origins.first,
                           .n = p.n,
                           .moved = doubles(at_moved),
                           .plain = bends ? doubles(at_plain) : nullptr,
                           .own = a.curved ? own : nullptr,
                           .center = a.center,
                           .cols = args.cols.header,
                           .moved_cols = args.moved_cols.header,
                           .squared = squared,
                           .scale = p.scale,
                           .stride = stride,
                           .k0 = k0,
                           .count = width,
                           .out = a.gradient + r * dim},
               (rows * width + 255) / 256, exec);
      }
    };
    // Multiply-adds count for an eighth on tensor cores.
    const double sweeps = 1.0 + (points ? (1.0 + bends) * ((dim + 63) / 64) : 0.0);
    const double work = static_cast<double>(kTangentRows) * static_cast<double>(p.m) *
                        (3.0 * dim + 64) / 8 * sweeps;
    verbs::in_slices(all_tiles, work, exec, slice, most_tiles);
  }
}
}  // namespace monge::cuda
