// softmin of products on tensor cores, from points split into halves.
#include "cuda/tensor_softmin.cuh"

namespace monge::cuda {
namespace tensor {
namespace {
template <int STEPS>
void launch_products(const Sweep<float>& sweep, bool largest, Exec& exec) {
  const auto& a = sweep.args;
  constexpr int kAccurate = consumers(3, STEPS), kFast = consumers(1, STEPS);
  const TensorArgs args{tiles_of(a.pairs, a.h, sweep.k, sweep.per_cost, 1, sweep.packed, exec),
                        sweep};
  const bool accurate = a.precision == kernels::Precision::accurate;
  // The largest scores come from the same products as the sums: relative to others these could
  // leave their range at small eps.
  if (accurate)
    largest ? start<3, STEPS, true, 0, kAccurate>(args, exec)
            : start<3, STEPS, false, 0, kAccurate>(args, exec);
  else
    largest ? start<1, STEPS, true, 0, kFast>(args, exec)
            : start<1, STEPS, false, 0, kFast>(args, exec);
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
  plan.packed_bytes = tensor::column_bytes(p, 1) + tensor::member_bytes(p);
  return plan;
}
}  // namespace monge::cuda
