#include "monge/ot/semi_dual.hpp"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "kernels/inspect.hpp"
#include "ot/plan_parts.hpp"
#include "ot/single_costs.hpp"

namespace monge {
namespace {
/// A potential of the caller's, adjacent and where the call runs.
template <class T>
Buffer<T> taken(const Problem<T>& problem, Side side, VectorView<const T> potential,
                bool may_remove, const char* name, Exec& exec) {
  check_device("semi_dual", "the problem", problem.device(), exec);
  const std::int64_t wanted = side == Side::source ? problem.n() : problem.m();
  if (potential.size != wanted)
    throw InvalidArgument(fmt::format("[semi_dual] {} has {} values but its side has {} points",
                                      name, potential.size, wanted),
                          name);
  check_device("semi_dual", name, potential.device, exec);
  auto out = gathered(potential, exec);
  const MatrixView<const T> column(out.data(), wanted, 1, 1, 1, exec.device);
  std::int64_t bad = kernels::inspect<T>({.points = column, .weight = {}}, exec).bad;
  if (bad >= 0 && may_remove) {  // -infinity is no fault; which others are there is rarely asked
    const auto values = out.to(Device{}, exec.stream);
    const auto fault = [](T u) { return !(u < std::numeric_limits<T>::infinity()); };
    while (bad < wanted && !fault(values[bad])) ++bad;
    if (bad == wanted) bad = -1;
  }
  if (bad >= 0)
    throw InvalidArgument(
        fmt::format(
            "[semi_dual] {}[{}] is {}, wanted {}", name, bad, entry(column, bad, exec),
            may_remove ? "finite numbers, or -infinity to remove a point" : "finite numbers"),
        name, bad);
  return out;
}

template <class T>
Buffer<T> bias_of(const Problem<T>& problem, Side side, const Buffer<T>& potential, double eps,
                  Exec& exec) {
  const auto log_weight = log_weights(weights_of(problem, side), exec);
  const auto exact = in_double(potential.view(), exec);
  auto h = padded_buffer<T>(potential.size(), exec);
  kernels::bias<T>({exact.data(), log_weight.data(), exact.size(), eps, h.data()}, exec);
  return h;
}

/// sum a phi(f) + sum b phi(g) + eps (m_a m_b - m_pi); s: softmin of g.
template <class T>
double dual(const Problem<T>& problem, const Buffer<double>& f, const double* s,
            const Buffer<double>& g, double eps, Exec& exec) {
  const kernels::MeasureArgs<T> sides[] = {
      {f.data(), s, problem.a(), penalty_of<T>(problem.marginal_a()), nullptr, eps},
      {g.data(), nullptr, problem.b(), penalty_of<T>(problem.marginal_b()), nullptr, eps}};
  kernels::Measures measures[2];
  kernels::measure<T>(sides, measures, exec);
  const double masses =
      eps > 0 ? eps * (problem.mass_a() * problem.mass_b() - std::exp(measures[0].log_mass)) : 0;
  return measures[0].dual + measures[1].dual + masses;
}

template <class T>
SemiDual<T> soft(const Problem<T>& problem, double eps, const Buffer<T>& g, Exec& exec) {
  const Operator<T> op(problem, kernels::Precision::accurate, exec);
  const std::int64_t n = problem.n(), m = problem.m();
  const auto h = bias_of(problem, Side::target, g, eps, exec);
  const auto s = exact_softmin(op, Side::source, h, eps, exec);
  Buffer<double> f(n, exec.device);
  kernels::half_step<T>({.s = s.data(),
                         .f = f.data(),
                         .weight = problem.a(),
                         .mass = problem.mass_a(),
                         .penalty = penalty_of<T>(problem.marginal_a()),
                         .eps = eps,
                         .omega = 1},
                        exec);
  SemiDual<T> out{dual(problem, f, s.data(), in_double(g.view(), exec), eps, exec),
                  rounded<T>(f, exec), Buffer<T>(m, exec.device),
                  Buffer<T>(m * op.dim(), exec.device)};
  const auto k = bias_of(problem, Side::source, out.f, eps, exec);
  Buffer<T> ratio(m, exec.device);
  if (op.has_points()) {
    op.pull(Side::target, k.data(), g.data(), out.dy.data(), eps, exec, ratio.data());
    scale_rows(problem.b(), out.dy, exec);
  } else {
    op.apply(Side::target, k.data(), g.data(), kernels::Weighting::plain, {}, ratio.data(), eps,
             exec);
  }
  kernels::each(
      kernels::SemiDualGradientArgs<T>{problem.b(), g.data(), ratio.data(),
                                       penalty_of<T>(problem.marginal_b()), out.dg.data()},
      m, exec);
  return out;
}

// Each source sends all that f asks of it to one target.
template <class T>
SemiDual<T> hard(const Problem<T>& problem, const Buffer<T>& g, Exec& exec) {
  const std::int64_t n = problem.n(), m = problem.m();
  auto [f, column] = c_transform(problem, Side::source, g.view(), exec);
  const double value = dual(problem, in_double(std::as_const(f).view(), exec), nullptr,
                            in_double(g.view(), exec), 0, exec);

  const auto asked = [](const Marginal& marginal, double potential) {
    return std::exp(penalty_of<T>(marginal).log_target(potential));
  };
  const auto a = on_host(problem.a(), exec), b = on_host(problem.b(), exec);
  const auto f_here = f.to(Device{}, exec.stream), g_here = g.to(Device{}, exec.stream);
  const auto columns = std::move(column).to(Device{}, exec.stream);
  const SingleCosts<T> costs(problem.geometry(), exec);
  const std::int64_t d = costs.dim();
  std::vector<double> q(m, 0), dy(m * d, 0);
  for (std::int64_t i = 0; i < n; ++i) {
    if (columns[i] < 0 || !(a[i] > 0)) continue;
    const double p = a[i] * asked(problem.marginal_a(), f_here[i]);
    q[columns[i]] += p;
    if (d > 0) costs.add_gradient(Side::target, i, columns[i], p, &dy[columns[i] * d]);
  }
  Buffer<T> dg(m), dy_out(m * d);
  for (std::int64_t j = 0; j < m; ++j)
    dg[j] = static_cast<T>(b[j] * asked(problem.marginal_b(), g_here[j]) - q[j]);
  for (std::int64_t e = 0; e < m * d; ++e) dy_out[e] = static_cast<T>(dy[e]);
  return {value, std::move(f), std::move(dg).to(exec.device, exec.stream),
          std::move(dy_out).to(exec.device, exec.stream)};
}
}  // namespace

template <class T>
CTransform<T> c_transform(const Problem<T>& problem, Side rows, VectorView<const T> potential,
                          Exec& exec) {
  const auto own = taken(problem, other(rows), potential, true, "potential", exec);
  const Operator<T> op(problem, kernels::Precision::accurate, exec);
  // So small that it changes no potential, yet not 0, which a weight 0 would make no number of.
  constexpr double kHard = std::numeric_limits<double>::denorm_min();
  const auto h = bias_of(problem, other(rows), own, kHard, exec);
  CTransform<T> out{Buffer<T>(op.size(rows), exec.device),
                    Buffer<std::int64_t>(op.size(rows), exec.device)};
  op.hard(rows, h.data(), out.values.data(), out.column.data(), exec);
  return out;
}

template <class T>
SemiDual<T> semi_dual(const Problem<T>& problem, double epsilon, VectorView<const T> g,
                      Exec& exec) {
  if (!(epsilon >= 0 && std::isfinite(epsilon)))
    throw InvalidArgument(
        fmt::format("[semi_dual] epsilon is {}, wanted a finite number >= 0", epsilon), "epsilon");
  for (const Marginal& marginal : {problem.marginal_a(), problem.marginal_b()})
    if (std::holds_alternative<TV>(marginal))
      throw NotAvailable(
          fmt::format("[semi_dual] a side is {}: the semi-dual is known for "
                      "balanced and KL sides",
                      to_string(marginal)));
  if (problem.total_mass() || problem.bounds())
    throw NotAvailable("[semi_dual] the semi-dual is not known for a total mass or lower bounds");
  const auto own = taken(problem, Side::target, g, false, "g", exec);
  return epsilon > 0 ? soft(problem, epsilon, own, exec) : hard(problem, own, exec);
}

#define MONGE_INSTANTIATE(T)                                                               \
  template CTransform<T> c_transform(const Problem<T>&, Side, VectorView<const T>, Exec&); \
  template SemiDual<T> semi_dual(const Problem<T>&, double, VectorView<const T>, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
