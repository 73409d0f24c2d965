#include "ot/derivatives/linear.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/plan_parts.hpp"
#include "ot/sinkhorn_options.hpp"

namespace monge {
namespace {
template <class T>
LinearSide<T> linear_side(const Plan<T>& plan, Side rows, Exec& exec) {
  LinearSide<T> out;
  out.weight = weights_of(plan.problem(), rows);
  out.potential = gathered(potential_of(plan, rows), exec);
  out.penalty = penalty_of(plan, rows);
  out.mass = mass_of(plan.problem(), rows);
  out.bias = column_bias(plan, other(rows), exec);
  const std::int64_t n = out.weight.size;
  for (Buffer<double>* v : {&out.ratio, &out.tau, &out.response, &out.curvature})
    *v = Buffer<double>(n, exec.device);
  return out;
}

/// One sweep: the sums of `rows` and the mean derivative of their costs.
template <class T>
kernels::LinearReport sweep(LinearSide<T>& side, Side rows, const Linear<T>& linear, Exec& exec) {
  const std::int64_t n = side.weight.size, d = linear.dim;
  Buffer<T> mass(n, exec.device);
  const auto ones = filled(n, T(1), exec);
  side.cost = Buffer<T>(n, exec.device);
  if (d > 0) side.center = Buffer<T>(n * d, exec.device);
  linear.tangent(rows,
                 {.row = ones.data(),
                  .sum = mass.data(),
                  .costs = side.cost.data(),
                  .gradient = d > 0 ? side.center.data() : nullptr},
                 exec);
  if (linear.held) {
    side.whole = placed(linear.held->shares(rows, n), exec);
    kernels::each(kernels::AddWideArgs<T>{mass.data(), side.whole.data()}, n, exec);
  }
  kernels::each(
      kernels::LinearSideArgs<T>{side.weight, side.potential.data(), mass.data(), side.whole.data(),
                                 side.penalty, linear.eps, side.ratio.data(), side.tau.data(),
                                 side.response.data(), side.curvature.data()},
      n, exec);
  if (linear.held && d > 0) {
    const auto slopes = placed(linear.held->slopes(rows, n), exec);
    side.whole_center = side.center.copy(exec.stream);
    kernels::each(kernels::AddRoundedArgs<T>{slopes.data(), side.whole_center.data()},
                  slopes.size(), exec);
    kernels::each(kernels::OverRatioArgs<T>{side.whole.data(), d, side.whole_center.data()},
                  side.whole_center.size(), exec);
  }
  if (d > 0)
    kernels::each(kernels::OverRatioArgs<T>{side.ratio.data(), d, side.center.data()},
                  side.center.size(), exec);
  const auto report = kernels::sum(
      kernels::LinearReportArgs<T>{side.weight, side.potential.data(), side.whole_ratio(),
                                   side.tau.data(), side.penalty, linear.eps},
      n, exec);
  side.zeros = report.zeros;
  using Kind = kernels::Penalty::Kind;
  const bool clips = side.penalty.kind == Kind::tv || side.penalty.kind == Kind::capped;
  side.clipped = clips ? report.relaxed : 0;
  const auto potential = in_double<T>(side.potential.view(), exec);
  side.paired = kernels::sum(kernels::GaugeArgs<T>{side.weight, side.potential.data(),
                                                   potential.data(), nullptr, 1, 0},
                             n, exec)
                    .value[0];
  return report;
}

/// Throws where a potential is as near to its bound, a kink, as it is to convergence.
void check_margin(const kernels::LinearReport& side, const char* name, double step,
                  double rounding) {
  if (side.point < 0 || side.margin > 10 * std::max(step, rounding)) return;
  throw InvalidArgument(
      fmt::format(
          "[derivatives] the potential of {} point {} is {} from its bound (of a TV side, or "
          "the level of a total mass), and {} from convergence: on a kink there is no "
          "derivative; move lambda or the mass, or solve to a smaller tolerance",
          name, side.point, side.margin, step),
      "plan", side.point);
}
/// The same of lower bounds, and where these leave nothing of a point's mass to move.
template <class T>
void check_held(const Linear<T>& linear, double step, double rounding, Exec& exec) {
  const HeldEntries<T>& held = *linear.held;
  if (!(held.margin() > 10 * std::max(step, rounding)))
    throw InvalidArgument(
        fmt::format("[derivatives] an entry of source point {} is {} from where its lower bound "
                    "begins to hold it, and {} from convergence: on a kink there is no derivative; "
                    "move the bound, or solve to a smaller tolerance",
                    held.nearest(), held.margin(), step),
        "plan", held.nearest());
  for (const Side side : {Side::source, Side::target}) {
    const auto ratio = linear.side(side).ratio.to(Device{}, exec.stream);
    const auto shares = held.shares(side, ratio.size());
    for (std::int64_t i = 0; i < ratio.size(); ++i)
      if (shares[i] > 0 && !(ratio[i] > std::numeric_limits<T>::epsilon() * shares[i]))
        throw InvalidArgument(fmt::format("[derivatives] lower bounds hold all that {} point {} "
                                          "has: its potential is not determined",
                                          side == Side::source ? "source" : "target", i),
                              "plan", i);
  }
}
}  // namespace

template <class T>
const Buffer<double>& Linear<T>::diagonal(Side unknown, Exec& exec) const {
  Diagonal& kept = diagonals_[unknown == Side::source ? 0 : 1];
  std::call_once(kept.asked, [&] {
    const LinearSide<T>&cols = side(unknown), &rows = side(other(unknown));
    Buffer<T> scale(rows.weight.size, exec.device), squares(cols.weight.size, exec.device);
    kernels::each(kernels::SquareWeightArgs<T>{rows.weight, rows.response.data(), scale.data()},
                  scale.size(), exec);
    apply(unknown, kernels::Weighting::squared, scale.data(), 1, squares.data(), exec);
    kept.value = Buffer<double>(cols.weight.size, exec.device);
    kernels::each(kernels::ExactDiagonalArgs<T>{cols.weight, cols.curvature.data(), squares.data(),
                                                kept.value.data()},
                  kept.value.size(), exec);
    synchronize(exec.device, exec.stream);  // another stream may read it next
  });
  return kept.value;
}

template <class T>
const Buffer<T>& Linear<T>::kernel(Side unknown, Exec& exec) const {
  // Iterations that a solve is sure to take, or nearly: of clouds in three dimensions 9 at an
  // epsilon of 0.3 of the mean cost, and more below. Other products read the kernel too.
  constexpr int kExpected = 8;
  Kernel& kept = kernels_[unknown == Side::source ? 0 : 1];
  std::call_once(kept.asked, [&] {
    if (held || device.is_cuda()) return;
    const LinearSide<T>&cols = side(unknown), &rows = side(other(unknown));
    const Buffer<double>& scale = diagonal(unknown, exec);
    // In the exponents: entries are at most about 1, and 0 of what does not move.
    const auto scaled = [&](const LinearSide<T>& of, const auto& square) {
      auto out = padded_buffer<double>(of.weight.size, exec);
      for (std::int64_t i = 0; i < out.size(); ++i) {
        const double s = i < of.weight.size ? square(i) : 0;
        out[i] = s > 0 && std::isfinite(s) ? of.potential[i] + eps / 2 * std::log(s)
                                           : -std::numeric_limits<double>::infinity();
      }
      return out;
    };
    const auto f = scaled(rows, [&](std::int64_t i) { return rows.weight[i] * rows.response[i]; });
    const auto g = scaled(cols, [&](std::int64_t j) {
      const double b = cols.weight[j];
      return scale[j] > 0 ? b * b / scale[j] : 0;
    });
    kept.value = op->scaled_kernel(other(unknown), f, g, eps, kExpected, kernel_cache, exec);
  });
  return kept.value;
}

template <class T>
void Linear<T>::check_curvature(Exec& exec) const {
  const auto p = op->pairs(Side::source, exec);
  const bool infinite =
      p.form == kernels::Form::distance || (p.form == kernels::Form::power && p.power < 2);
  if (!infinite) return;
  std::call_once(checked_, [&] {
    const std::int64_t n = source.weight.size;
    const auto b = on_host(target.weight, exec);
    std::vector<T> none(kernels::padded(b.size()), -std::numeric_limits<T>::infinity());
    for (std::int64_t j = 0; j < b.size(); ++j)
      if (b[j] > 0) none[j] = 0;
    const auto h = placed(none, exec);
    Buffer<T> least(n, exec.device);
    Buffer<std::int64_t> nearest(n, exec.device);
    op->hard(Side::source, h.data(), least.data(), nearest.data(), exec);
    const auto costs = std::move(least).to(Device{}, exec.stream);
    const auto at = std::move(nearest).to(Device{}, exec.stream);
    const auto& cloud = std::get<PointCloud<T>>(geometry);
    const bool self = cloud.x.data == cloud.y.data;  // there a point is its own, which is no matter
    const auto a = on_host(source.weight, exec);
    for (std::int64_t i = 0; i < n && coincident_ < 0; ++i)
      if (a[i] > 0 && costs[i] == 0 && !(self && at[i] == i)) coincident_ = i;
  });
  if (coincident_ >= 0)
    throw InvalidArgument(
        fmt::format("[derivatives] source point {} coincides with a target point, where the second "
                    "derivative of this cost is infinite",
                    coincident_),
        "x", coincident_);
}

template <class T>
Linearization<T> linearize(const Plan<T>& plan, Exec& exec, std::int64_t kernel_cache) {
  const Problem<T>& problem = plan.problem();
  check_device("derivatives", "the problem", problem.device(), exec);
  if (kernel_cache < kAutomaticCache)
    throw InvalidArgument(
        fmt::format("[derivatives] kernel_cache is {}, wanted bytes >= 0, or {} for automatic",
                    kernel_cache, kAutomaticCache),
        "kernel_cache");
  auto linear = std::make_shared<Linear<T>>();
  linear->op = std::make_shared<const Operator<T>>(plan.op());
  linear->geometry = problem.geometry();
  linear->device = problem.device();
  linear->eps = plan.epsilon();
  linear->kernel_cache = cache_bytes(kernel_cache, linear->device);
  linear->dim = std::holds_alternative<PointCloud<T>>(linear->geometry) ? plan.op().dim() : 0;
  if (problem.bounds()) linear->held = std::make_unique<const HeldEntries<T>>(plan, exec);
  linear->source = linear_side(plan, Side::source, exec);
  linear->target = linear_side(plan, Side::target, exec);
  const auto a = sweep(linear->source, Side::source, *linear, exec);
  const auto b = sweep(linear->target, Side::target, *linear, exec);
  linear->singular = a.relaxed + b.relaxed == 0;
  using Kind = kernels::Penalty::Kind;  // a side that gives all it has sets the mass by itself
  linear->fixed_mass =
      linear->source.penalty.kind == Kind::capped && linear->target.penalty.kind == Kind::capped;
  const double mass = a.mass;
  if (!(mass > 0 && std::isfinite(mass)))
    throw InvalidArgument(fmt::format("[derivatives] the plan carries a mass of {}", mass), "plan");
  linear->marginal_error = (a.error + b.error) / mass;
  linear->tv_margin =
      std::min({a.margin, b.margin, linear->held ? linear->held->margin() : a.margin});
  const double step = std::max(a.step, b.step);
  const double size = std::max(std::abs(plan.op().min_cost()), std::abs(plan.op().max_cost()));
  const double rounding = std::numeric_limits<T>::epsilon() * size;
  check_margin(a, "source", step, rounding);
  check_margin(b, "target", step, rounding);
  if (linear->held) check_held(*linear, step, rounding, exec);
  synchronize(exec.device, exec.stream);
  return Linearization<T>(std::move(linear));
}

template <class T>
std::int64_t Linearization<T>::n() const {
  return linear_->source.weight.size;
}
template <class T>
std::int64_t Linearization<T>::m() const {
  return linear_->target.weight.size;
}
template <class T>
std::int64_t Linearization<T>::dim() const {
  return linear_->op->dim();
}
template <class T>
Device Linearization<T>::device() const {
  return linear_->device;
}
template <class T>
double Linearization<T>::marginal_error() const {
  return linear_->marginal_error;
}
template <class T>
double Linearization<T>::tv_margin() const {
  return linear_->tv_margin;
}

#define MONGE_INSTANTIATE(T)       \
  template struct Linear<T>;       \
  template class Linearization<T>; \
  template Linearization<T> linearize(const Plan<T>&, Exec&, std::int64_t);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
