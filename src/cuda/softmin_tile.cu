// softmin of any cost of points on the FMA units. Of few pairs one launch does all that follows,
// too.
#include "cuda/softmin_tile.cuh"

#include "cuda/softmin_short.cuh"

namespace monge::cuda {
namespace {
using namespace tiles;  // NOLINT(google-build-using-namespace): its kernels

template <class T, bool PRODUCT, bool ENDS>
void run(const Sweep<T>& sweep, bool largest, Exec& exec) {
  const auto& p = sweep.args.pairs;
  const dim3 grid(static_cast<unsigned>((p.n + kRowBlock - 1) / kRowBlock), sweep.parts.count);
  const BlockList list = p.list ? *p.list : BlockList{};
  const bool brief = ENDS && !PRODUCT && !p.list && p.rows.dim <= kDepth;
  const auto sums = [&]<class V>(V) {
    if constexpr (ENDS && !PRODUCT)
      if (brief) return launch(ShortSoftmin<T, V, false>{sweep}, grid, exec);
    if constexpr (ENDS)
      launch(TileSoftmin<T, V, PRODUCT>{sweep, list}, grid, exec);
    else
      launch(TileParts<T, V, PRODUCT>{sweep, list}, grid, exec);
  };
  if (largest) {
    if constexpr (ENDS && !PRODUCT)
      if (brief) return launch(ShortSoftmin<T, T, true>{sweep}, grid, exec);
    launch(TileLargest<T, PRODUCT>{sweep, list, ENDS}, grid, exec);
  } else if (sizeof(T) == 8 && sweep.args.precision == kernels::Precision::mixed) {
    sums(float{});
  } else {
    sums(T{});
  }
}
}  // namespace

template <class T>
SweepPlan<T> tile_sweep(const SoftminArgs<T>& args) {
  const auto& p = args.pairs;
  const bool product = p.form == Form::dot || (p.form == Form::squared && p.rows.norms);
  if (kernels::are_few(p.n, p.m, p.rows.dim)) {
    // Of float squares of differences are more exact than products, whose norms are rounded.
    const bool expanded = product && (sizeof(T) == 8 || p.form == Form::dot);
    const std::int64_t all = std::max<std::int64_t>(1, (p.m + kColumnBlock - 1) / kColumnBlock);
    return {.run = expanded ? run<T, true, true> : run<T, false, true>,
            .parts = {all, all, 1},
            .in_units_of_scale = false,
            .ends = true};
  }
  return {.run = product ? run<T, true, false> : run<T, false, false>,
          .parts = Parts::by_shape(p.n, p.m, kRowBlock, 132 * 4, 1, 0.3),
          .in_units_of_scale = false};
}
template SweepPlan<float> tile_sweep(const SoftminArgs<float>&);
template SweepPlan<double> tile_sweep(const SoftminArgs<double>&);
}  // namespace monge::cuda
