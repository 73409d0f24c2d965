// pull of products on Hopper's tensor cores: sums of weighted coordinates (tensor_products.cuh)
// become gradients.
#include <algorithm>
#include <utility>

#include "cuda/pull_tensor.cuh"
#include "cuda/slices.cuh"
#include "cuda/tensor_products.cuh"

namespace monge::cuda {
namespace tensor {
namespace {
constexpr double kLargestHalf = 65504;

// Row `local` of a launch is row first + local of all.
struct Origins {
  std::int64_t first, n;
  const float* shift;
  const double* norms;
  double per_cost, norm_factor;
  float* origins;   // of the exponent of 2, with E in it
  double* rescale;  // what makes of sums with that origin sums of weights

  __device__ void set(std::int64_t local, int exponent) const {
    const std::int64_t i = first + local;
    const bool swept = i < n && isfinite(shift[i]);
    const double exact = swept ? shift[i] * per_cost - norm_factor * norms[i] : -INFINITY;
    origins[local] = static_cast<float>(exact + exponent);
    rescale[local] = swept ? exp2(exact - static_cast<double>(origins[local])) : 0.0;
  }
};

__global__ void origin_kernel(const Origins origins, std::int64_t rows, int exponent, int* wanted) {
  await_previous();
  const std::int64_t local = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (local >= rows) return;
  origins.set(local, exponent);
  if (local % kProductRows == 0) wanted[local / kProductRows] = 0;
}

struct Gradient {
  kernels::Panels<float> x;
  bool squared;
  double factor;
  float* out;
  int k0, count;      // coordinates
  int width;          // of the sums
  double least_mass;  // times 2^E, that fits
  int exponent;       // E of all rows at first
  std::int64_t workers;
};

// Rows that do not fit get their own E and their tile is wanted again.
__global__ void gradient_kernel(const ProductArgs a, const Origins origins, const Gradient g,
                                bool may_want, int* wanted) {
  await_previous();
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t local = at / g.count, i = origins.first + local;
  const int k = static_cast<int>(at % g.count);
  const std::int64_t tile = local / kProductRows;
  if (tile >= a.row_tiles || i >= origins.n || (a.wanted && !a.wanted[tile])) return;
  const PartRange parts({a.row_tiles * a.column_blocks, g.workers}, tile, a.column_blocks);
  const std::int64_t rows = a.row_tiles * kProductRows;
  double mass = 0, sum = 0;
  for (int part = 0; part < parts.count; ++part) {
    mass += a.masses[part * rows + local];
    sum += a.sums[(part * rows + local) * g.width + k];
  }
  const bool fits = mass >= g.least_mass && mass <= kLargestHalf;
  if (may_want && !fits && mass > 0 && isfinite(mass)) {
    if (k == 0) {
      origins.set(local, g.exponent + 14 - ilogb(mass));
      wanted[tile] = 1;
    }
    return;
  }
  sum /= a.cols.header->scale;
  const double x = g.squared ? coordinates(g.x, i)[(g.k0 + k) * kPanel] : 0.0f;
  const double slope = (mass * x - sum) * g.factor;
  g.out[i * g.x.dim + g.k0 + k] = static_cast<float>(slope * origins.rescale[local]);
}
}  // namespace
}  // namespace tensor

void tensor_pull(const kernels::PullArgs<float>& a, Exec& exec) {
  using namespace tensor;  // NOLINT(google-build-using-namespace): this backend's
  using verbs::in_slices;
  const auto& p = a.pairs;
  const cudaStream_t stream = stream_of(exec);
  const bool squared = p.form == Form::squared;
  const auto k = static_cast<float>(p.scale * kLog2E / a.eps);
  const double per_cost = static_cast<double>(k) / p.scale;
  const int steps = static_cast<int>(SplitLayout(p.n, p.rows.dim).steps);
  const int width = kStep * std::min(steps, kChunkSteps);
  const std::int64_t all_tiles = row_tiles_of(p, kProductGroups);
  const std::int64_t most_tiles = std::min<std::int64_t>(all_tiles, kMultiprocessors);
  const std::int64_t blocks = (p.m + kColumnBlock - 1) / kColumnBlock;

  // What a mass of 1 becomes: m columns that underflow are then 2^-18 of it, and it may be 16 times
  // smaller or as much as halves hold larger.
  const int exponent = std::clamp(std::ilogb(static_cast<double>(p.m)) - 2, 0, 14);
  Gradient gradient{.x = p.rows,
                    .squared = squared,
                    .factor = (squared ? 2.0 : 1.0) * p.scale,
                    .out = a.out,
                    .k0 = 0,
                    .count = 0,
                    .width = width,
                    .least_mass = std::min(0x1p-7 * static_cast<double>(p.m), 0x1p13),
                    .exponent = exponent,
                    .workers = 0};

  // Tiles and thread blocks of a launch make at most so many parts of tiles.
  const std::int64_t most_parts = 2 * most_tiles + kMultiprocessors;
  std::int64_t bytes = 0;
  const auto reserve = [&](std::int64_t size) {
    return std::exchange(bytes, bytes + (size + 255) / 256 * 256);
  };
  constexpr std::int64_t kDouble = sizeof(double);
  const std::int64_t at_columns = reserve(bias_bytes(p) + member_bytes(p)),
                     at_sums = reserve(most_parts * kProductRows * width * kDouble),
                     at_masses = reserve(most_parts * kProductRows * kDouble),
                     at_rescale = reserve(most_tiles * kProductRows * kDouble),
                     at_origins = reserve(most_tiles * kProductRows * std::int64_t{sizeof(float)}),
                     at_wanted = reserve(most_tiles * std::int64_t{sizeof(int)});
  const Scratch scratch(exec, bytes);
  std::byte* const memory = scratch.data();

  ProductArgs args{tiles_of(p, a.h, k, per_cost, memory + at_columns, stream)};
  args.factor = k * (squared ? 2.0f : 1.0f);
  args.sums = reinterpret_cast<double*>(memory + at_sums);
  args.masses = reinterpret_cast<double*>(memory + at_masses);
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

  const auto launch = [&](std::int64_t first, std::int64_t count) {
    args.first_tile = first, args.row_tiles = count;
    origins.first = first * kProductRows;
    gradient.workers = std::min<std::int64_t>(kMultiprocessors, count * blocks);
    const std::int64_t rows = count * kProductRows;
    const auto sweep = [&](bool may_want) {
      const auto start = width == 64 ? (steps > kChunkSteps ? start_products<0> : start_products<4>)
                         : width == 32 ? start_products<2>
                                       : start_products<1>;
      start(args, gradient.workers, stream);
      const std::int64_t entries = rows * gradient.count;
      cuda::launch(gradient_kernel, static_cast<unsigned>((entries + 255) / 256), 256, 0, stream,
                   args, origins, gradient, may_want, wanted);
    };
    cuda::launch(origin_kernel, static_cast<unsigned>((rows + 255) / 256), 256, 0, stream, origins,
                 rows, exponent, wanted);
    for (int k0 = 0; k0 < p.rows.dim; k0 += width) {
      args.chunk = k0 / width;
      gradient.k0 = k0, gradient.count = std::min(width, p.rows.dim - k0);
      args.wanted = nullptr;
      sweep(k0 == 0);
      if (k0 > 0) continue;
      args.wanted = wanted;
      sweep(false);
    }
  };
  // Multiply-adds count less on tensor cores.
  const double work = static_cast<double>(kProductRows) * static_cast<double>(p.m) *
                      (p.rows.dim + width) * ((p.rows.dim + width - 1) / width) / 8;
  in_slices(all_tiles, work, exec, launch, kMultiprocessors);
}
}  // namespace monge::cuda
