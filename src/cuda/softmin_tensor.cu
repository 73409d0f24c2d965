// softmin of products on tensor cores, from points split into halves.
//
// The exponent of 2 of a pair is c dot + bias_j + origin_i, dot the product of the scaled halves:
//   bias_j = k (h_j / scale - |y_j|^2),  origin_i = N_i - k |x_i|^2,
// both computed in double and rounded once; what the origin's rounding took is put back at the end.
#include "cuda/tensor_kernel.cuh"

namespace monge::cuda {
namespace tensor {
namespace {
TiledPoints tiled(const void* split, const kernels::Panels<float>& points) {
  const SplitLayout layout(points.count, points.dim);
  const auto* const bytes = static_cast<const std::byte*>(split);
  return {.tiles = bytes + layout.tiles_at(),
          .tile_bytes = layout.tile_bytes(),
          .count = layout.tiles,
          .steps = static_cast<int>(layout.steps),
          .norms = reinterpret_cast<const double*>(bytes + layout.norms_at()),
          .header = static_cast<const SplitHeader*>(split)};
}

// Once for all row tiles: a producer that computed them would be slower than the consumers.
__global__ void bias_kernel(const SoftminArgs<float> a, double k, double per_cost,
                            const double* norms, std::int64_t padded, float* biases) {
  await_previous();
  allow_next();
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (j >= padded) return;
  double bias = -INFINITY;
  if (j < a.pairs.m) {
    bias = a.h[j] * per_cost;
    if (a.pairs.form == Form::squared) bias -= k * norms[j];
  }
  biases[j] = fmaxf(static_cast<float>(bias), kRemoved);
}

template <int STEPS>
void launch_products(const Sweep<float>& sweep, bool largest, cudaStream_t stream) {
  const auto& a = sweep.args;
  constexpr int kAccurate = consumers(3, STEPS), kFast = consumers(1, STEPS);
  TensorArgs args{.sweep = sweep,
                  .rows = tiled(a.split_rows, a.pairs.rows),
                  .cols = tiled(a.split_cols, a.pairs.cols),
                  .biases = reinterpret_cast<const float*>(sweep.packed),
                  .members = nullptr,
                  .words = static_cast<int>((sweep.parts.column_blocks + 31) / 32),
                  .row_tiles = 0,
                  .stages = 0};
  const std::int64_t columns = args.cols.count * kTile;
  cuda::launch(bias_kernel, static_cast<unsigned>((columns + 255) / 256), 256, 0, stream, a,
               sweep.k, sweep.per_cost, args.cols.norms, columns,
               reinterpret_cast<float*>(sweep.packed));
  list_members(args, sweep.packed + columns * std::int64_t{sizeof(float)}, stream);
  const bool accurate = a.precision == kernels::Precision::accurate;
  // The largest scores come from the same products as the sums: relative to others these could
  // leave their range at small eps.
  if (accurate)
    largest ? start<3, STEPS, true, 0, kAccurate>(args, stream)
            : start<3, STEPS, false, 0, kAccurate>(args, stream);
  else
    largest ? start<1, STEPS, true, 0, kFast>(args, stream)
            : start<1, STEPS, false, 0, kFast>(args, stream);
}
}  // namespace
}  // namespace tensor

SweepPlan<float> tensor_sweep(const SoftminArgs<float>& args) {
  const auto& p = args.pairs;
  SweepPlan<float> plan{.run = tensor::launch_products<0>, .parts = {}, .in_units_of_scale = true};
  const std::int64_t steps = SplitLayout(p.n, p.rows.dim).steps;
  if (steps == 1) plan.run = tensor::launch_products<1>;
  if (steps == 2) plan.run = tensor::launch_products<2>;
  if (steps == 4) plan.run = tensor::launch_products<4>;
  const int groups = tensor::consumers(args.precision == kernels::Precision::accurate ? 3 : 1,
                                       steps <= kChunkSteps ? static_cast<int>(steps) : 0);
  plan.parts = tensor::parts_of(p, groups);
  plan.packed_bytes =
      (p.m + kTile - 1) / kTile * kTile * std::int64_t{sizeof(float)} + tensor::member_bytes(p);
  return plan;
}
}  // namespace monge::cuda
