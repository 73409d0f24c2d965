// Products of the Hessian of the value with tangents: the gradients' own derivatives.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/directions.hpp"
#include "ot/derivatives/gauge.hpp"
#include "ot/derivatives/level.hpp"
#include "ot/derivatives/plan_move.hpp"
#include "ot/derivatives/products.hpp"

namespace monge {
template <class T>
Buffer<T> point_product(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves,
                        Side side, Exec& exec) {
  const LinearSide<T>& at = linear.side(side);
  const auto& of = along.side(side);
  const std::int64_t n = at.weight.size, d = linear.dim, count = along.count;
  const Buffer<T>& rows = (side == moves.first ? moves.rows : moves.cols).gradient;
  Buffer<T> out(rows.size(), exec.device);
  kernels::each(kernels::PointProductArgs<T>{at.weight, rows.data(), at.center.data(),
                                             at.whole_ratio(), moves.flow(side).data(),
                                             of.alpha.data(), linear.eps, n, count, d, out.data()},
                out.size(), exec);
  auto chain = linear.op->chain(side);
  if (!chain) return out;
  chain->gradient = out.data();  // [count, n, d]: the chain of each direction
  for (std::int64_t r = 0; r < count; ++r) {
    kernels::each(*chain, n, exec);
    chain->gradient += n * d;
  }
  if (of.points.size() > 0)
    kernels::each(kernels::UnitCurvatureArgs<T>{*chain, n, count, at.weight, at.whole_ratio(),
                                                at.whole_slope(), of.raw.data(), of.points.data(),
                                                out.data()},
                  n * count, exec);
  return out;
}

template <class T>
Buffer<T> weight_product(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves,
                         Side side, Exec& exec) {
  const LinearSide<T>& at = linear.side(side);
  const std::int64_t n = at.weight.size;
  std::vector<double> masses = along.side(other(side)).moved;
  for (double& v : masses) v *= linear.eps;
  const auto shares = placed(masses, exec);
  const auto& c = along.side(side).c;
  Buffer<T> out(n * along.count, exec.device);
  kernels::each(
      kernels::WeightProductArgs<T>{at.whole_ratio(), at.tau.data(), moves.move(side).data(),
                                    moves.flow(side).data(), at.potential.data(), at.penalty,
                                    along.deps.data(), c.data(), shares.data(),
                                    linear.side(other(side)).mass, n, along.count, out.data()},
      out.size(), exec);
  return out;
}

template <class T>
Buffer<T> own_blocks(const Linear<T>& linear, Side side, Exec& exec) {
  const LinearSide<T>& at = linear.side(side);
  const std::int64_t n = at.weight.size, d = linear.dim;
  std::vector<T> axes(d * n * d);
  for (std::int64_t t = 0; t < d; ++t)
    for (std::int64_t i = 0; i < n; ++i) axes[(t * n + i) * d + t] = 1;
  const auto on_device = placed(axes, exec);
  Tangent<T> tangent{.count = static_cast<int>(d)};
  const MatrixView<const T> points(on_device.data(), d * n, d, d, 1, exec.device);
  (side == Side::source ? tangent.dx : tangent.dy) = points;
  const Directions<T> along(linear, tangent, exec);
  Moves<T> moves = still_moves(linear, along, side, exec);
  return point_product(linear, along, moves, side, exec);
}

namespace {
/// The products along directions at a level that stands still; `mass` [count]: how the plan's moves
/// with them, null: not wanted.
template <class T>
HvpResult<T> products(const Linear<T>& linear, const Directions<T>& along, Wrt wrt,
                      const SolveOptions& options, std::vector<double>* mass,
                      DerivativeReport& report, Exec& exec) {
  const bool strengths = has(wrt, Wrt::epsilon | Wrt::penalty);
  HvpResult<T> out;
  auto moves = solve_moves(linear, along,
                           {.source_points = has(wrt, Wrt::source),
                            .target_points = has(wrt, Wrt::target),
                            .source_flow = has(wrt, Wrt::source_weights) || strengths || mass,
                            .target_flow = has(wrt, Wrt::target_weights) || strengths},
                           options, report, exec);
  fix_gauge(linear, along, moves, exec);
  if (has(wrt, Wrt::source)) out.dx = point_product(linear, along, moves, Side::source, exec);
  if (has(wrt, Wrt::target)) out.dy = point_product(linear, along, moves, Side::target, exec);
  if (has(wrt, Wrt::source_weights))
    out.da = weight_product(linear, along, moves, Side::source, exec);
  if (has(wrt, Wrt::target_weights))
    out.db = weight_product(linear, along, moves, Side::target, exec);
  if (strengths) {
    auto move = strength_moves(linear, along, moves, has(wrt, Wrt::epsilon), exec);
    if (has(wrt, Wrt::epsilon)) {
      out.depsilon = std::move(move.epsilon);
      ++report.passes;
    }
    if (has(wrt, Wrt::penalty)) {
      out.drho_a = std::move(move.source);
      out.drho_b = std::move(move.target);
    }
  }
  if (mass)
    *mass = mass_moves(marginal_move(linear, along, moves, Side::source, exec), along.count, exec);
  out.df = turned<T>(moves.df, along.count, exec);
  out.dg = turned<T>(moves.dg, along.count, exec);
  return out;
}
}  // namespace

template <class T>
HvpResult<T> hvp(const Linearization<T>& at, const Tangent<T>& tangent, Wrt wrt,
                 const SolveOptions& options, Exec& exec) {
  const Linear<T>& linear = at.linear();
  constexpr Wrt kPoints = Wrt::source | Wrt::target;
  if (has(wrt, Wrt::cost))
    throw NotAvailable(
        "[derivatives] the derivative in costs is the plan: how it moves, P (df + dg - dc) / "
        "epsilon and so on, is for the caller to apply");
  if (has(wrt, kPoints)) check_moving_points(linear);
  const Directions<T> along(linear, tangent, exec);
  DerivativeReport report = begin_report(linear);
  std::vector<double> moved, of_level;
  auto out =
      products(linear, along, wrt, options, linear.fixed_mass ? &moved : nullptr, report, exec);
  if (linear.fixed_mass) {
    DerivativeReport alone = begin_report(linear);
    const auto level =
        products(linear, level_directions(linear, exec), wrt, options, &of_level, alone, exec);
    out.dlevel = level_moves(tangent.dmass, moved, of_level[0]);
    for (const auto part : {&HvpResult<T>::dx, &HvpResult<T>::dy, &HvpResult<T>::da,
                            &HvpResult<T>::db, &HvpResult<T>::df, &HvpResult<T>::dg})
      add_level(level.*part, out.dlevel, out.*part, exec);
    for (const auto part : {&HvpResult<T>::depsilon, &HvpResult<T>::drho_a, &HvpResult<T>::drho_b})
      add_level(level.*part, out.dlevel, out.*part);
    // Derivatives in weights are relative to the level.
    for (Buffer<T>* weights : {&out.da, &out.db}) {
      const std::int64_t n = weights->size() / along.count;
      for (std::int64_t r = 0; n > 0 && r < along.count; ++r)
        kernels::shift<T>(weights->data() + r * n, n, -out.dlevel[r], exec);
    }
    merge(report, alone);
  }
  out.report = report;
  finish_report(options, out.report);
  return out;
}

#define MONGE_INSTANTIATE(T)                                                                      \
  template Buffer<T> point_product(const Linear<T>&, const Directions<T>&, Moves<T>&, Side,       \
                                   Exec&);                                                        \
  template Buffer<T> weight_product(const Linear<T>&, const Directions<T>&, Moves<T>&, Side,      \
                                    Exec&);                                                       \
  template Buffer<T> own_blocks(const Linear<T>&, Side, Exec&);                                   \
  template HvpResult<T> hvp(const Linearization<T>&, const Tangent<T>&, Wrt, const SolveOptions&, \
                            Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
