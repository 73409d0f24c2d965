// How potentials, marginals, images and the transport cost move along a tangent.
#include <utility>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/directions.hpp"
#include "ot/derivatives/gauge.hpp"
#include "ot/derivatives/level.hpp"
#include "ot/derivatives/plan_move.hpp"

namespace monge {
namespace {
/// sum_ij P_ij dc_ij of direction r.
template <class T>
double cost_change(const Linear<T>& linear, const Directions<T>& along, std::int64_t r,
                   Exec& exec) {
  double out = 0;
  for (const Side side : {Side::source, Side::target}) {
    const LinearSide<T>& at = linear.side(side);
    const Buffer<T>& points = along.side(side).points;
    if (points.size() == 0) continue;
    Buffer<double> own(at.weight.size * along.count, exec.device);
    kernels::each(kernels::OwnChangeArgs<T>{at.whole_slope(), points.data(), along.count,
                                            linear.dim, own.data()},
                  own.size(), exec);
    out += kernels::sum(kernels::WeightedRowsArgs<T>{at.weight, nullptr, at.whole_ratio(),
                                                     own.data(), along.count, r},
                        at.weight.size, exec)
               .value[0];
  }
  return out;
}

/// At a level that stands still.
template <class T>
JvpResult<T> pushed(const Linear<T>& linear, const Directions<T>& along,
                    const SolveOptions& options, Exec& exec) {
  const std::int64_t count = along.count, d = linear.op->dim(), n = linear.source.weight.size;
  JvpResult<T> out;
  out.report = begin_report(linear);
  auto moves = solve_moves(linear, along, {.source_flow = true, .target_flow = true}, options,
                           out.report, exec);
  fix_gauge(linear, along, moves, exec);
  out.df = turned<T>(moves.df, count, exec);
  out.dg = turned<T>(moves.dg, count, exec);
  out.source = marginal_move(linear, along, moves, Side::source, exec);
  out.target = marginal_move(linear, along, moves, Side::target, exec);

  CentredImages<T> images;
  if (d > 0) images = centred_images(linear, Side::source, exec);
  const auto sums = plan_move(linear, along, moves, d > 0 ? &images : nullptr, exec);
  out.report.passes += d > 0 ? 2 : 1;
  for (std::int64_t r = 0; r < count; ++r)
    out.transport_cost.push_back(cost_sum(linear, sums, count, r, exec) +
                                 cost_change(linear, along, r, exec));
  if (d == 0) return out;
  Buffer<T> carried;
  if (along.target.points.size() > 0) {
    // As given: where sweeps know directions of unit vectors, images are of points.
    const auto& of = along.target;
    const Buffer<T>& points = of.raw.size() > 0 ? of.raw : of.points;
    carried = Buffer<T>(n * count * d, exec.device);
    linear.apply(Side::source, kernels::Weighting::plain, points.data(), count * d, carried.data(),
                 exec, /*whole=*/true);
    ++out.report.passes;
  }
  out.map = Buffer<T>(n * count * d, exec.device);
  kernels::each(kernels::ImageMoveArgs<T>{sums.mean.data(), sums.sum.data(), images.images.data(),
                                          carried.data(), linear.source.whole_ratio(), n, count, d,
                                          out.map.data()},
                out.map.size(), exec);
  return out;
}
}  // namespace

template <class T>
JvpResult<T> jvp(const Linearization<T>& at, const Tangent<T>& tangent, const SolveOptions& options,
                 Exec& exec) {
  const Linear<T>& linear = at.linear();
  auto out = pushed(linear, Directions<T>(linear, tangent, exec), options, exec);
  if (linear.fixed_mass) {
    const auto level = level_jvp(at, options, exec);
    out.dlevel = level_moves(tangent.dmass, mass_moves(out.source, tangent.count, exec),
                             mass_moves(level.source, 1, exec)[0]);
    for (const auto part : {&JvpResult<T>::df, &JvpResult<T>::dg, &JvpResult<T>::source,
                            &JvpResult<T>::target, &JvpResult<T>::map})
      add_level(level.*part, out.dlevel, out.*part, exec);
    add_level(level.transport_cost, out.dlevel, out.transport_cost);
    merge(out.report, level.report);
  }
  finish_report(options, out.report);
  return out;
}

template <class T>
JvpResult<T> level_jvp(const Linearization<T>& at, const SolveOptions& options, Exec& exec) {
  return pushed(at.linear(), level_directions(at.linear(), exec), options, exec);
}

#define MONGE_INSTANTIATE(T)                                                                 \
  template JvpResult<T> jvp(const Linearization<T>&, const Tangent<T>&, const SolveOptions&, \
                            Exec&);                                                          \
  template JvpResult<T> level_jvp(const Linearization<T>&, const SolveOptions&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
