#include "ot/derivatives/directions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/schur.hpp"
#include "ot/plan_parts.hpp"
#include "ot/points.hpp"

namespace monge {
namespace {
template <class View>
void check_shape(const char* name, const View& view, std::int64_t rows, std::int64_t cols,
                 const Exec& exec) {
  if (view.rows != rows || view.cols != cols)
    throw InvalidArgument(fmt::format("[derivatives] {} has shape ({}, {}), wanted ({}, {})", name,
                                      view.rows, view.cols, rows, cols),
                          name);
  check_device("derivatives", name, view.device, exec);
}

/// What a call says of one side.
template <class T>
struct Given {
  MatrixView<const T> points, weights, guess;
  const std::vector<double>& strength;
  const char *points_name, *weights_name, *guess_name, *strength_name;
};

template <class T>
typename Directions<T>::OfSide directions_of(const Linear<T>& linear, Side side,
                                             const Given<T>& given, std::int64_t count,
                                             Exec& exec) {
  using kernels::Penalty;
  typename Directions<T>::OfSide out;
  const LinearSide<T>& at = linear.side(side);
  const std::int64_t n = at.weight.size, d = linear.dim;
  if (given.points.data) {
    check_moving_points(linear);
    check_shape(given.points_name, given.points, count * n, d, exec);
    linear.check_curvature(exec);
    out.points = Buffer<T>(n * count * d, exec.device);
    kernels::each(kernels::DirectionsArgs<T>{given.points, n, count, out.points.data()},
                  out.points.size(), exec);
    if (const auto chain = linear.op->chain(side)) {
      out.raw = out.points.copy(exec.stream);
      kernels::each(kernels::UnitTangentArgs<T>{*chain, count, out.points.data()}, n * count, exec);
    }
  }
  out.moved.assign(count, 0.0);
  if (given.weights.data) {
    check_shape(given.weights_name, given.weights, count, n, exec);
    for (std::int64_t r = 0; r < count; ++r) {
      const auto [sum, lost] =
          kernels::sum(kernels::WeightMoveArgs<T>{given.weights, at.weight, r}, n, exec).value;
      if (lost > 0)
        throw InvalidArgument(fmt::format("[derivatives] direction {} of {} moves {} weights that "
                                          "are 0: give such points a weight, or leave them be",
                                          r, given.weights_name, lost),
                              given.weights_name, r);
      out.moved[r] = sum;
    }
    out.alpha = Buffer<double>(n * count, exec.device);
    kernels::each(kernels::WeightTangentArgs<T>{given.weights, at.weight, out.alpha.data()},
                  out.alpha.size(), exec);
  }
  if (given.guess.data) {
    check_shape(given.guess_name, given.guess, count, n, exec);
    out.guess = Buffer<double>(n * count, exec.device);
    kernels::each(kernels::CotangentArgs<T>{given.guess, out.guess.data()}, n * count, exec);
  }
  if (!given.strength.empty()) {
    if (static_cast<std::int64_t>(given.strength.size()) != count)
      throw InvalidArgument(fmt::format("[derivatives] {} has {} values, wanted {}",
                                        given.strength_name, given.strength.size(), count),
                            given.strength_name);
    if (at.penalty.kind == Penalty::Kind::kl) {
      std::vector<double> c = given.strength;
      for (double& v : c) v /= at.penalty.strength * at.penalty.strength;
      out.c = placed(c, exec);
    } else if (at.penalty.kind == Penalty::Kind::tv) {
      const auto by = placed(given.strength, exec);
      out.bound = Buffer<double>(n * count, exec.device);
      kernels::each(kernels::BoundMoveArgs<T>{at.potential.data(), at.tau.data(), by.data(), count,
                                              out.bound.data()},
                    out.bound.size(), exec);
    } else {
      throw InvalidArgument(
          fmt::format("[derivatives] {} was given, and that side is Balanced", given.strength_name),
          given.strength_name);
    }
  }
  if (at.held() && out.alpha.size() + out.c.size() > 0) {
    out.held = Buffer<double>(n * count, exec.device);
    kernels::each(kernels::HeldMoveArgs<T>{at.ratio.data(), at.whole.data(), at.potential.data(),
                                           out.alpha.data(), out.c.data(), linear.eps, count,
                                           out.held.data()},
                  out.held.size(), exec);
  }
  return out;
}
}  // namespace

template <class T>
Directions<T>::Directions(const Linear<T>& linear, const Tangent<T>& tangent, Exec& exec)
    : count(tangent.count) {
  check_device("derivatives", "the linearization", linear.device, exec);
  if (count < 1)
    throw InvalidArgument(fmt::format("[derivatives] count is {}, wanted >= 1", count), "count");
  if (!linear.fixed_mass && !tangent.dmass.empty())
    throw InvalidArgument("[derivatives] dmass was given, and the problem has no total mass",
                          "dmass");
  source = directions_of<T>(
      linear, Side::source,
      {tangent.dx, tangent.da, tangent.df, tangent.drho_a, "dx", "da", "df", "drho_a"}, count,
      exec);
  target = directions_of<T>(
      linear, Side::target,
      {tangent.dy, tangent.db, tangent.dg, tangent.drho_b, "dy", "db", "dg", "drho_b"}, count,
      exec);
  depsilon = tangent.depsilon;
  if (!depsilon.empty()) {
    if (static_cast<std::int64_t>(depsilon.size()) != count)
      throw InvalidArgument(
          fmt::format("[derivatives] depsilon has {} values, wanted {}", depsilon.size(), count),
          "depsilon");
    deps = placed(depsilon, exec);
  }
  if (!linear.singular) return;
  for (std::int64_t r = 0; r < count; ++r) {
    const double a = source.moved[r], b = target.moved[r];
    const double slack =
        (sizeof(T) == 4 ? 1e-5 : 1e-10) * std::max({linear.source.mass, std::abs(a), std::abs(b)});
    if (!(std::abs(a - b) <= slack))
      throw InvalidArgument(
          fmt::format("[derivatives] direction {} moves the mass of a by {} and that of b by {}: "
                      "two balanced sides need the same",
                      r, a, b),
          tangent.da.data ? "da" : "db", r);
  }
}

template <class T>
TangentSums<T> sweep(const Linear<T>& linear, const Directions<T>& along,
                     const TangentSweep<T>& what, Exec& exec) {
  const Side rows = what.rows, cols = other(rows);
  const LinearSide<T>&own = linear.side(rows), &opposite = linear.side(cols);
  const std::int64_t n = own.weight.size, m = opposite.weight.size, count = along.count;
  const double by = 1 / what.scale, eps = linear.eps;
  Buffer<double> shares;
  Buffer<T> of_costs;
  if (along.deps.size() > 0) {
    std::vector<double> share = along.depsilon;
    for (double& v : share) v *= by / eps;
    of_costs = Buffer<T>(count, exec.device);
    shares = placed(share, exec);
    kernels::each(kernels::RoundArgs<T>{shares.data(), of_costs.data()}, count, exec);
    for (double& v : share) v = -v;
    shares = placed(share, exec);
  }
  const auto term = [&](const LinearSide<T>& side, std::int64_t size, const Buffer<double>* x,
                        const Buffer<double>* y, const Buffer<double>& alpha) {
    if (!x && !y && alpha.size() == 0 && shares.size() == 0) return Buffer<T>();
    Buffer<T> out(size * count, exec.device);
    kernels::each(
        kernels::TermArgs<T>{x ? x->data() : nullptr, y ? y->data() : nullptr, alpha.data(), by, by,
                             by * eps, side.potential.data(), shares.data(), count, out.data()},
        out.size(), exec);
    return out;
  };
  const Buffer<T> row = term(own, n, what.row, nullptr, {}),
                  col = term(opposite, m, what.col, what.col_too, along.side(cols).alpha);
  TangentSums<T> out;
  out.sum = Buffer<T>(n * count, exec.device);
  if (what.gradient) out.gradient = Buffer<T>(n * count * linear.dim, exec.device);
  if (what.costs) out.costs = Buffer<T>(n * count, exec.device);
  const std::int64_t width = what.images ? linear.op->dim() : 0;
  if (what.images) out.mean = Buffer<T>(n * count * width, exec.device);
  const auto& own_points = along.side(rows).points;
  const auto& opposite_points = along.side(cols).points;
  linear.tangent(rows,
                 {.count = static_cast<int>(count),
                  .row = row.data(),
                  .col = col.data(),
                  .cost = of_costs.data(),
                  .slope = static_cast<T>(by),
                  .a = own_points.data(),
                  .b = opposite_points.data(),
                  .width = static_cast<int>(width),
                  .q = what.images ? what.images->values.data() : nullptr,
                  .sum = out.sum.data(),
                  .costs = out.costs.data(),
                  .gradient = out.gradient.data(),
                  .center = own.center.data(),
                  .curved = own_points.size() + opposite_points.size() > 0,
                  .mean = out.mean.data()},
                 exec);
  return out;
}

template <class T>
Moves<T> solve_moves(const Linear<T>& linear, const Directions<T>& along, const WantedSums& wanted,
                     const SolveOptions& options, DerivativeReport& report, Exec& exec) {
  const std::int64_t count = along.count;
  const double eps = linear.eps;
  Moves<T> out;
  out.first = along.own_only(Side::source)                             ? Side::source
              : along.own_only(Side::target)                           ? Side::target
              : linear.source.weight.size >= linear.target.weight.size ? Side::source
                                                                       : Side::target;
  const Side first = out.first, last = other(first);
  const LinearSide<T>&rows = linear.side(first), &cols = linear.side(last);
  const auto &of_rows = along.side(first), &of_cols = along.side(last);
  const auto array = [&](const LinearSide<T>& side) {
    return Buffer<double>(side.weight.size * count, exec.device);
  };
  const auto run = [&](const TangentSweep<T>& what) {
    ++report.passes;
    return sweep(linear, along, what, exec);
  };
  const Buffer<double>* const bound_cols = of_cols.bound.size() > 0 ? &of_cols.bound : nullptr;

  Buffer<double> mean = array(rows);  // of -t' over each row of `first`
  if (!along.own_only(first)) {
    const auto sums = run({.rows = first, .col = bound_cols});
    kernels::each(kernels::MeanArgs<T>{sums.sum.data(), rows.ratio.data(), count, -1, mean.data()},
                  mean.size(), exec);
  } else if (of_rows.points.size() > 0) {
    kernels::each(kernels::OwnChangeArgs<T>{rows.center.data(), of_rows.points.data(), count,
                                            linear.dim, mean.data()},
                  mean.size(), exec);
  } else {
    kernels::each(kernels::FillArgs<double>{0, mean.data()}, mean.size(), exec);
  }

  const auto move = [&](const LinearSide<T>& side, const typename Directions<T>::OfSide& of,
                        const double* mean_of, const T* sum, double factor, Buffer<double>& to) {
    kernels::each(kernels::PotentialMoveArgs<T>{side.tau.data(), side.response.data(), mean_of,
                                                side.potential.data(), of.c.data(), of.bound.data(),
                                                of.held.data(), sum, eps, factor, count, to.data()},
                  to.size(), exec);
  };
  Buffer<double> known = array(rows);
  move(rows, of_rows, mean.data(), nullptr, 0, known);
  {
    const auto sums = run({.rows = last, .col = &known});
    Buffer<double> right = array(cols);
    kernels::each(
        kernels::SchurRightArgs<T>{cols.weight, cols.ratio.data(), cols.curvature.data(),
                                   cols.potential.data(), sums.sum.data(), of_cols.c.data(),
                                   of_cols.held.data(), eps, count, right.data()},
        right.size(), exec);
    out.move(last) = solve_schur(linear, last, right, of_cols.guess, count, options, report, exec);
  }
  Buffer<double>& z = out.move(last);

  // w z, which also gives the gradient; its t' is relative to its mean.
  double factor = eps;
  if (wanted.points(first)) {
    out.rows = run({.rows = first,
                    .scale = eps,
                    .row = &mean,
                    .col = &z,
                    .col_too = bound_cols,
                    .gradient = true});
  } else {
    Buffer<T> rounded_z = rounded<T>(z, exec);
    out.rows.sum = Buffer<T>(known.size(), exec.device);
    linear.apply(first, kernels::Weighting::plain, rounded_z.data(), count, out.rows.sum.data(),
                 exec);
    ++report.passes;
    factor = 1;
  }
  out.move(first) = array(rows);
  move(rows, of_rows, mean.data(), out.rows.sum.data(), factor, out.move(first));
  if (bound_cols)
    kernels::each(kernels::AddArgs<double>{of_cols.bound.data(), 1, z.data()}, z.size(), exec);
  const auto flow = [&](const LinearSide<T>& side, const Buffer<double>& moved,
                        const double* mean_of, const T* sum, double by,
                        const typename Directions<T>::OfSide& of) {
    Buffer<double> to = array(side);
    kernels::each(kernels::FlowArgs<T>{side.ratio.data(), side.whole_ratio(), side.tau.data(),
                                       moved.data(), mean_of, side.potential.data(), sum,
                                       of.c.data(), of.held.data(), eps, by, count, to.data()},
                  to.size(), exec);
    return to;
  };
  out.flow(first) = flow(rows, out.move(first), mean.data(), out.rows.sum.data(), factor, of_rows);

  const bool needs_cols = wanted.points(last) || (wanted.flow(last) && cols.clipped > 0);
  if (needs_cols || cols.zeros > 0) {
    out.cols =
        run({.rows = last, .scale = eps, .col = &out.move(first), .gradient = wanted.points(last)});
    if (cols.zeros > 0)
      kernels::each(kernels::ZeroWeightMoveArgs<T>{cols.weight, cols.tau.data(),
                                                   cols.response.data(), cols.potential.data(),
                                                   out.cols.sum.data(), of_cols.c.data(),
                                                   of_cols.bound.data(), eps, count, z.data()},
                    z.size(), exec);
  }
  out.flow(last) = flow(cols, z, nullptr, out.cols.sum.data(), eps, of_cols);
  return out;
}

template <class T>
Moves<T> still_moves(const Linear<T>& linear, const Directions<T>& along, Side rows, Exec& exec) {
  const LinearSide<T>& at = linear.side(rows);
  const std::int64_t size = at.weight.size * along.count;
  Buffer<double> mean(size, exec.device);
  kernels::each(kernels::OwnChangeArgs<T>{at.center.data(), along.side(rows).points.data(),
                                          along.count, linear.dim, mean.data()},
                size, exec);
  Moves<T> out;
  out.first = rows;
  out.rows = sweep(linear, along,
                   {.rows = rows, .scale = linear.eps, .row = &mean, .gradient = true}, exec);
  out.move(rows) = Buffer<double>(size, exec.device);
  out.flow(rows) = Buffer<double>(size, exec.device);
  kernels::each(
      kernels::PotentialMoveArgs<T>{at.tau.data(), at.response.data(), mean.data(),
                                    at.potential.data(), nullptr, nullptr, nullptr, nullptr,
                                    linear.eps, 0, along.count, out.move(rows).data()},
      size, exec);
  kernels::each(
      kernels::FlowArgs<T>{at.ratio.data(), at.whole_ratio(), at.tau.data(), out.move(rows).data(),
                           mean.data(), at.potential.data(), out.rows.sum.data(), nullptr, nullptr,
                           linear.eps, linear.eps, along.count, out.flow(rows).data()},
      size, exec);
  return out;
}

template <class T>
CentredImages<T> centred_images(const Linear<T>& linear, Side rows, Exec& exec) {
  if (linear.op->has_images()) {
    CentredImages<T> out{{},
                         Buffer<T>(linear.side(rows).weight.size * linear.op->dim(), exec.device)};
    Buffer<T> mean(out.images.size(), exec.device);
    Buffer<double> s(linear.side(rows).weight.size, exec.device);
    linear.op->images(rows, linear.side(other(rows)).bias.data(), mean.data(), s.data(),
                      out.images.data(), nullptr, linear.eps, exec);
    return out;
  }
  const Points<T> of(linear.geometry, other(rows), exec);
  const MatrixView<const T> points = of.view;
  const LinearSide<T>&own = linear.side(rows), &opposite = linear.side(other(rows));
  const std::int64_t d = points.cols, n = own.weight.size;
  using Columns = kernels::ColumnSumsArgs<T>;
  std::vector<double> mean;
  for (std::int64_t first = 0; first < d; first += Columns::kColumns) {
    const auto sums = kernels::sum(Columns{points, opposite.weight, first}, points.rows, exec);
    for (std::int64_t k = first; k < std::min(d, first + Columns::kColumns); ++k)
      mean.push_back(sums.value[k - first] / opposite.mass);
  }
  CentredImages<T> out{Buffer<T>(points.rows * d, exec.device), Buffer<T>(n * d, exec.device)};
  const auto placed_mean = placed(mean, exec);
  kernels::each(
      kernels::RelativeArgs<T>{points, opposite.weight, placed_mean.data(), out.values.data()},
      out.values.size(), exec);
  linear.apply(rows, kernels::Weighting::plain, out.values.data(), d, out.images.data(), exec,
               /*whole=*/true);
  kernels::each(kernels::OverRatioArgs<T>{own.whole_ratio(), d, out.images.data()},
                out.images.size(), exec);
  return out;
}

template <class T>
DerivativeReport begin_report(const Linear<T>& linear) {
  DerivativeReport report;
  report.marginal_error = linear.marginal_error;
  report.tv_margin = linear.tv_margin;
  return report;
}

void merge(DerivativeReport& all, const DerivativeReport& one) {
  all.converged = all.converged && one.converged;
  all.iterations += one.iterations;
  all.passes += one.passes;
  all.residual = std::max(all.residual, one.residual);
  all.marginal_error = std::max(all.marginal_error, one.marginal_error);
  all.diagonal_ratio = std::min(all.diagonal_ratio, one.diagonal_ratio);
  all.tv_margin = std::min(all.tv_margin, one.tv_margin);
}

void finish_report(const SolveOptions& options, DerivativeReport& report) {
  constexpr double kPerResidual = 2, kPerMarginal = 15;
  const double of_plan = kPerMarginal * report.marginal_error;
  report.error_estimate = kPerResidual * report.residual + of_plan;
  if (!options.strict) return;
  if (!report.converged)
    throw InvalidArgument(
        fmt::format("[derivatives] strict: the residual is {} after {} iterations, wanted {}",
                    report.residual, report.iterations, options.tolerance),
        "strict");
  if (of_plan > options.tolerance)
    throw InvalidArgument(
        fmt::format("[derivatives] strict: the plan's marginal error of {} promises errors of up "
                    "to {}, wanted {}; solve it to a smaller tolerance",
                    report.marginal_error, of_plan, options.tolerance),
        "strict");
}

template <class T>
Buffer<T> turned(const Buffer<double>& from, std::int64_t count, Exec& exec) {
  Buffer<T> out(from.size(), exec.device);
  kernels::each(kernels::TurnArgs<T>{from.data(), from.size() / count, count, out.data()},
                out.size(), exec);
  return out;
}

#define MONGE_INSTANTIATE(T)                                                                    \
  template struct Directions<T>;                                                                \
  template TangentSums<T> sweep(const Linear<T>&, const Directions<T>&, const TangentSweep<T>&, \
                                Exec&);                                                         \
  template Moves<T> solve_moves(const Linear<T>&, const Directions<T>&, const WantedSums&,      \
                                const SolveOptions&, DerivativeReport&, Exec&);                 \
  template CentredImages<T> centred_images(const Linear<T>&, Side, Exec&);                      \
  template Moves<T> still_moves(const Linear<T>&, const Directions<T>&, Side, Exec&);           \
  template DerivativeReport begin_report(const Linear<T>&);                                     \
  template Buffer<T> turned(const Buffer<double>&, std::int64_t, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
