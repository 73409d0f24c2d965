// Chooses the sweep, by shape, form and device, and runs it: with a shift one sweep of sums,
// without one a sweep of largest scores first, whose result is then the shift; a half-step of the
// rows goes with what ends the sums. Nothing waits for the device.
#include "cuda/current.cuh"
#include "cuda/slices.cuh"
#include "cuda/softmin_sweep.cuh"

namespace monge::cuda {
namespace {
// Of points with more, products of halves are faster whatever the number of pairs is: 256 points in
// 64 dimensions take 50 us less a half-step.
constexpr int kFewCoordinates = 32;

template <class T>
SweepPlan<T> plan(const SoftminArgs<T>& args) {
  const auto& p = args.pairs;
  if (p.form == Form::matrix) return matrix_sweep(args);
  const bool narrow = p.list && p.list->width != kColumnBlock;
  if constexpr (sizeof(T) == 4) {
    if (!narrow && p.form == Form::squared && p.rows.norms && p.rows.dim <= 3 && on_hopper())
      return exponent_sweep(args);
    const bool fast = args.precision == kernels::Precision::fast,
               short_rows = p.rows.dim <= kFewCoordinates || !p.rows.split;
    if (!fast && short_rows && kernels::are_few(p.n, p.m, p.rows.dim)) return tile_sweep(args);
    if (p.form == Form::squared && p.rows.dim <= 4) return small_sweep(args);
    const bool product = p.form == Form::dot || (p.form == Form::squared && p.rows.norms);
    if (!narrow && product && p.rows.split && p.cols.split && on_hopper())
      return tensor_sweep(args);
  }
  return tile_sweep(args);
}
}  // namespace

template <class T>
void softmin(const SoftminArgs<T>& args, const HalfStepArgs<T>* step, Exec& exec) {
  const auto& p = args.pairs;
  if (p.n <= 0) return;
  const SweepPlan<T> chosen = plan(args);
  pace(exec,
       static_cast<double>(p.n) * static_cast<double>(p.m) * (p.rows.dim + 16) * sizeof(T) / 4);
  const std::int64_t partial =
      (static_cast<std::int64_t>(sizeof(double)) * chosen.parts.count * p.n + 255) / 256 * 256;
  const Scratch scratch(exec, partial + chosen.packed_bytes);

  Sweep<T> sweep{.args = args, .parts = chosen.parts, .k = 0, .per_cost = 0, .partial = nullptr};
  const T unit = chosen.in_units_of_scale ? p.scale : T(1);
  sweep.k = static_cast<T>(unit * kLog2E / args.eps);
  sweep.per_cost = static_cast<double>(sweep.k) / unit;
  sweep.partial = reinterpret_cast<double*>(scratch.data());
  sweep.packed = scratch.data() + partial;
  if (!args.shift) {
    chosen.run(sweep, true, exec);
    if (!chosen.ends) finish_largest(sweep, exec);
    sweep.args.shift = args.out;
  }
  const bool guarded = step && step->omega > 1;
  if (step && !guarded) sweep.step = *step;
  chosen.run(sweep, false, exec);
  if (!chosen.ends) finish_sums(sweep, exec);
  if (guarded) kernels::cuda::half_step(*step, exec);
}
}  // namespace monge::cuda

namespace monge::kernels::cuda {
template <class T>
void softmin(const SoftminArgs<T>& args, const HalfStepArgs<T>* step, Exec& exec) {
  const monge::cuda::Current current(exec);
  monge::cuda::softmin(args, step, exec);
}
template void softmin<float>(const SoftminArgs<float>&, const HalfStepArgs<float>*, Exec&);
template void softmin<double>(const SoftminArgs<double>&, const HalfStepArgs<double>*, Exec&);
}  // namespace monge::kernels::cuda
