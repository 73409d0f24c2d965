// Sums of weights on Hopper's tensor cores (tensor_products.cuh): how rows get their origins, the
// columns their parts, and what the sums become.
#include "cuda/tensor_sums.cuh"

#include <algorithm>
#include <utility>

#include "cuda/coordinate.cuh"
#include "cuda/slices.cuh"
#include "cuda/tensor_origins.cuh"
#include "cuda/tensor_products.cuh"

namespace monge::cuda {
namespace tensor {
namespace {
constexpr double kLargestHalf = 65504;

// What a launch leaves of its parts.
struct Results {
  kernels::Panels<float> x;
  bool squared;
  double scale;
  float *gradient, *mass, *cost;
  int k0, count;      // coordinates of the gradient; count 1 without one
  int width;          // of the sums
  double least_mass;  // times 2^E, that fits
  int exponent;       // E of all rows at first
  std::int64_t workers;
};

// Rows that do not fit get their own E and their tile is wanted again.
struct SetResults {
  static constexpr int kThreads = 256;
  ProductArgs a;
  Origins origins;
  Results r;
  bool may_want;
  int* wanted;

  __device__ void operator()(Block block) const {
    await_previous();
    allow_next();
    const std::int64_t at = std::int64_t{block.x} * kThreads + threadIdx.x;
    const std::int64_t local = at / r.count, i = origins.first + local;
    const int k = static_cast<int>(at % r.count);
    const std::int64_t tile = local / kProductRows;
    if (tile >= a.row_tiles || i >= origins.n || (a.wanted && !a.wanted[tile])) return;
    const Shares shares{a.row_tiles * a.column_blocks, r.workers};
    const std::int64_t first = shares.worker_of(tile * a.column_blocks),
                       last = shares.worker_of((tile + 1) * a.column_blocks - 1);
    const auto sum = [&](const double* of, std::int64_t stride, int at) {
      double total = 0;
      for (std::int64_t worker = first; worker <= last; ++worker)
        total += of[(part_of(worker, tile) * kProductRows + local % kProductRows) * stride + at];
      return total;
    };
    const double mass = sum(a.masses, 1, 0);
    const bool fits = mass >= r.least_mass && mass <= kLargestHalf;
    if (may_want && !fits && mass > 0 && isfinite(mass)) {
      if (k == 0) {
        origins.set(local, r.exponent + 14 - ilogb(mass));
        wanted[tile] = 1;
      }
      return;
    }
    const double rescale = origins.rescale[local];
    if (r.gradient) {
      const double y = sum(a.sums, r.width, k) / a.cols.header->scale;
      const double slope = r.squared ? 2 * (mass * coordinate(r.x, i, r.k0 + k) - y) : -y;
      r.gradient[i * r.x.dim + r.k0 + k] = static_cast<float>(slope * r.scale * rescale);
    }
    if (r.k0 + k > 0) return;
    if (r.mass) r.mass[i] = static_cast<float>(mass * rescale);
    if (r.cost) {
      const double cost = sum(a.costs, 1, 0) + origins.norm_factor * origins.norms[i] * mass;
      r.cost[i] = static_cast<float>(cost / origins.per_cost * rescale);
    }
  }
};

template <bool VALUES>
void start(const ProductArgs& args, std::int64_t workers, Exec& exec) {
  switch (args.rows.steps) {
    case 1:
      return start_products<1, VALUES>(args, workers, exec);
    case 2:
      return start_products<2, VALUES>(args, workers, exec);
    case 4:
      return start_products<4, VALUES>(args, workers, exec);
    default:
      return start_products<0, VALUES>(args, workers, exec);
  }
}
}  // namespace
}  // namespace tensor

bool on_tensor_cores(const kernels::Pairs<float>& p) {
  const bool product = p.form == Form::dot || (p.form == Form::squared && p.rows.norms);
  return product && p.m > 0 && p.rows.split && p.cols.split && on_hopper();
}

void tensor_sums(const TensorSums& a, Exec& exec) {
  using namespace tensor;  // NOLINT(google-build-using-namespace): this backend's
  const auto& p = a.pairs;
  const bool squared = p.form == Form::squared, values = a.gradient != nullptr;
  const auto k = static_cast<float>(p.scale * kLog2E / a.eps);
  const double per_cost = static_cast<double>(k) / p.scale;
  const int dim = p.rows.dim, steps = static_cast<int>(SplitLayout(p.n, dim).steps);
  const int width = values ? width_of(steps > kChunkSteps ? 0 : steps) : 0;
  const std::int64_t all_tiles = row_tiles_of(p, kProductGroups);
  // Of a launch: its parts take up to 22 MiB.
  const std::int64_t most_tiles =
      std::min<std::int64_t>(all_tiles, !values      ? 16 * kMultiprocessors
                                        : width > 64 ? kMultiprocessors / 4
                                                     : kMultiprocessors);
  const std::int64_t blocks = (p.m + kColumnBlock - 1) / kColumnBlock;

  const std::int64_t most_workers = std::min<std::int64_t>(kMultiprocessors, most_tiles * blocks);
  const std::int64_t most_parts = part_of(most_workers - 1, most_tiles - 1) + 1;
  std::int64_t bytes = 0;
  const auto reserve = [&](std::int64_t size) {
    return std::exchange(bytes, bytes + (size + 255) / 256 * 256);
  };
  constexpr std::int64_t kDouble = sizeof(double);
  const std::int64_t at_columns = reserve(column_bytes(p, 2) + member_bytes(p)),
                     at_sums = reserve(most_parts * kProductRows * width * kDouble),
                     at_masses = reserve(most_parts * kProductRows * kDouble),
                     at_costs = reserve(most_parts * kProductRows * kDouble),
                     at_rescale = reserve(most_tiles * kProductRows * kDouble),
                     at_origins = reserve(most_tiles * kProductRows * std::int64_t{sizeof(float)}),
                     at_wanted = reserve(most_tiles * std::int64_t{sizeof(int)});
  const Scratch scratch(exec, bytes);
  std::byte* const memory = scratch.data();

  ProductArgs args{tiles_of(p, a.h, k, per_cost, 2, memory + at_columns, exec)};
  args.factor = k * (squared ? 2.0f : 1.0f);
  args.sums = reinterpret_cast<double*>(memory + at_sums);
  args.masses = reinterpret_cast<double*>(memory + at_masses);
  args.costs = reinterpret_cast<double*>(memory + at_costs);
  Origins origins{.first = 0,
                  .n = p.n,
                  .shift = a.shift,
                  .norms = args.rows.norms,
                  .per_cost = per_cost,
                  .norm_factor = squared ? static_cast<double>(k) : 0.0,
                  .origins = reinterpret_cast<float*>(memory + at_origins),
                  .rescale = reinterpret_cast<double*>(memory + at_rescale)};
  args.origins = origins.origins;
  int* const wanted = reinterpret_cast<int*>(memory + at_wanted);

  // A mass of 1 times 2^E: m columns that underflow are then 2^-18 of it, and it may be 16 times
  // smaller or as much larger as halves hold. Without values every float fits.
  const int exponent = values ? std::clamp(std::ilogb(static_cast<double>(p.m)) - 2, 0, 14) : 0;
  Results results{.x = p.rows,
                  .squared = squared,
                  .scale = p.scale,
                  .gradient = a.gradient,
                  .mass = a.mass,
                  .cost = a.cost,
                  .k0 = 0,
                  .count = 1,
                  .width = width,
                  .least_mass = std::min(0x1p-7 * static_cast<double>(p.m), 0x1p13),
                  .exponent = exponent,
                  .workers = 0};
  const auto slice = [&](std::int64_t first, std::int64_t count) {
    args.first_tile = first, args.row_tiles = count;
    origins.first = first * kProductRows;
    results.workers = std::min<std::int64_t>(kMultiprocessors, count * blocks);
    const std::int64_t rows = count * kProductRows;
    const auto sweep = [&](bool may_want, const int* only) {
      args.wanted = only;
      (values ? start<true> : start<false>)(args, results.workers, exec);
      launch(SetResults{args, origins, results, may_want, wanted},
             (rows * results.count + 255) / 256, exec);
    };
    launch(SetOrigins{origins, rows, exponent, kProductRows, wanted}, (rows + 255) / 256, exec);
    if (!values) return sweep(false, nullptr);
    for (int k0 = 0; k0 < dim; k0 += width) {
      args.chunk = k0 / (kStep * kChunkSteps);
      results.k0 = k0, results.count = std::min(width, dim - k0);
      sweep(k0 == 0, nullptr);
      if (k0 == 0) sweep(false, wanted);
    }
  };
  // Multiply-adds count for an eighth on tensor cores.
  const double sweeps = values ? static_cast<double>((dim + width - 1) / width) : 1.0;
  const double work =
      static_cast<double>(kProductRows) * static_cast<double>(p.m) * (dim + width) * sweeps / 8;
  verbs::in_slices(all_tiles, work, exec, slice, most_tiles);
}
}  // namespace monge::cuda
