// What plan, derivatives and divergence share: a plan seen from the rows of one side.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "monge/ot/plan.hpp"
#include "ot/arrays.hpp"
#include "ot/bounds.hpp"
#include "ot/operator.hpp"
#include "ot/penalty.hpp"
#include "ot/single_costs.hpp"

namespace monge {
template <class T>
VectorView<const T> weights_of(const Problem<T>& problem, Side side) {
  return side == Side::source ? problem.a() : problem.b();
}
template <class T>
double mass_of(const Problem<T>& problem, Side side) {
  return side == Side::source ? problem.mass_a() : problem.mass_b();
}
template <class T>
VectorView<const T> potential_of(const Plan<T>& plan, Side side) {
  return side == Side::source ? plan.f() : plan.g();
}
template <class T>
kernels::Penalty penalty_of(const Plan<T>& plan, Side side) {
  const Problem<T>& problem = plan.problem();
  return penalty_of<T>(side == Side::source ? problem.marginal_a() : problem.marginal_b(),
                       plan.mass_level());
}

/// Where lower bounds bind: P_ij = bound instead of free.
template <class T>
std::vector<ActiveBound> active_bounds(const Plan<T>& plan, Exec& exec) {
  return active_bounds(plan.problem().bounds(), plan.exact(Side::source).data,
                       plan.exact(Side::target).data, plan.epsilon(), exec);
}
/// add(entry, line of `rows`, opposite line) for them, on the host.
template <class T, class Add>
void for_each_bound(const Plan<T>& plan, Side rows, Exec& exec, const Add& add) {
  for (const ActiveBound& e : active_bounds(plan, exec))
    rows == Side::source ? add(e, e.i, e.j) : add(e, e.j, e.i);
}
/// Adds what they carry beyond P0, over the weights of `rows`, to ratios of its: factor(entry)
/// times the excess.
template <class T, class Factor>
void add_excess(const Plan<T>& plan, Side rows, Buffer<T>& ratio, Exec& exec,
                const Factor& factor) {
  if (!plan.problem().bounds()) return;
  const auto weight = on_host(weights_of(plan.problem(), rows), exec);
  edit_on_host(
      ratio,
      [&](T* values) {
        for_each_bound(plan, rows, exec, [&](const ActiveBound& e, std::int64_t i, std::int64_t) {
          values[i] += static_cast<T>(e.excess() * factor(e) / weight[i]);
        });
      },
      exec);
}
/// Throws NotAvailable where bounds are not known to `what`.
template <class T>
void without_bounds(const Plan<T>& plan, const char* what) {
  if (plan.problem().bounds())
    throw NotAvailable(std::string("[plan] ") + what + " is not available with lower bounds");
}

/// h for a sweep over `rows`: the bias of the other side, padded, in double or rounded once. Every
/// sweep of a plan begins here, so here the device of the call is checked.
template <class H, class T>
Buffer<H> column_bias_in(const Plan<T>& plan, Side rows, Exec& exec) {
  check_device("plan", "the problem", plan.problem().device(), exec);
  const VectorView<const double> g = plan.exact(other(rows));
  const auto log_weight = log_weights(weights_of(plan.problem(), other(rows)), exec);
  auto h = padded_buffer<H>(g.size, exec);
  kernels::bias<H>({g.data, log_weight.data(), g.size, plan.epsilon(), h.data()}, exec);
  return h;
}
template <class T>
Buffer<T> column_bias(const Plan<T>& plan, Side rows, Exec& exec) {
  return column_bias_in<T>(plan, rows, exec);
}

/// softmin of each row, of h as the other verbs are given it.
template <class T>
Buffer<double> exact_softmin(const Operator<T>& op, Side rows, const Buffer<T>& h, double eps,
                             Exec& exec) {
  const auto wide = in_double(h.view(), exec);
  Buffer<double> s(op.size(rows), exec.device);
  op.softmin(rows, wide.data(), nullptr, s.data(), eps, exec);
  return s;
}

template <class T>
Buffer<T> rounded(const Buffer<double>& exact, Exec& exec) {
  Buffer<T> out(exact.size(), exec.device);
  kernels::each(kernels::RoundArgs<T>{exact.data(), out.data()}, out.size(), exec);
  return out;
}

/// The same rounded to T: the shift under which the row's weights sum to about 1.
template <class T>
Buffer<T> softmin(const Operator<T>& op, Side rows, const Buffer<T>& h, double eps, Exec& exec) {
  return rounded<T>(exact_softmin(op, rows, h, eps, exec), exec);
}

/// p_i / a_i of `rows`, finite at zero weights too; one pass. From the softmin, which takes the
/// pair in double: the rounding of potentials is not in it.
template <class T>
Buffer<T> marginal_ratio(const Plan<T>& plan, Side rows, Exec& exec) {
  const auto h = column_bias_in<double>(plan, rows, exec);
  const double* const f = plan.exact(rows).data;
  Buffer<double> s(plan.op().size(rows), exec.device);
  plan.op().softmin(rows, h.data(), f, s.data(), plan.epsilon(), exec);
  Buffer<T> ratio(s.size(), exec.device);
  kernels::each(kernels::MarginalRatioArgs<T>{f, s.data(), plan.epsilon(), ratio.data()}, s.size(),
                exec);
  add_excess(plan, rows, ratio, exec, [](const ActiveBound&) { return 1.0; });
  return ratio;
}

/// What the ratios p / a of a side sum up to, over its rows of positive weight.
struct RatioSums {
  double mass;        // sum p
  double paired;      // sum p f
  double divergence;  // sum a divergence(p / a), see kernels::Penalty
  double violation;
};
template <class T>
RatioSums ratio_sums(const Plan<T>& plan, Side side, const Buffer<T>& ratio, Exec& exec) {
  const auto [v] =
      kernels::sum(kernels::RatioSumsArgs<T>{weights_of(plan.problem(), side), ratio.data(),
                                             potential_of(plan, side).data, penalty_of(plan, side)},
                   ratio.size(), exec);
  return {v[0], v[1], v[2], v[3]};
}

/// p_i from the softmin of row i, on the host, where draws are counted.
template <class T>
Buffer<double> row_masses(const Plan<T>& plan, Side rows, const Buffer<T>& softmin, Exec& exec) {
  Buffer<double> mass(softmin.size(), exec.device);
  kernels::each(
      kernels::RowMassArgs<T>{weights_of(plan.problem(), rows), potential_of(plan, rows).data,
                              softmin.data(), plan.epsilon(), mass.data(), nullptr},
      mass.size(), exec);
  return std::move(mass).to(Device{}, exec.stream);
}

/// sum_j w_ij c_ij of `rows`, w = P / a; one pass.
template <class T>
Buffer<T> cost_ratio(const Plan<T>& plan, Side rows, Exec& exec) {
  const auto h = column_bias(plan, rows, exec);
  Buffer<T> costs(plan.op().size(rows), exec.device);
  plan.op().apply(rows, h.data(), potential_of(plan, rows).data, kernels::Weighting::cost, {},
                  costs.data(), plan.epsilon(), exec);
  add_excess(plan, rows, costs, exec, [](const ActiveBound& e) { return e.cost; });
  return costs;
}

/// sum_j P_ij d c(x_i, y_j) / d x_i, [n, d], for the target side in y_j, [m, d]; with the ratios
/// p / a of that side and, if wanted, its cost_ratio. One pass.
template <class T>
struct PointGradient {
  Buffer<T> points, ratio, cost;
};
template <class T>
PointGradient<T> point_gradient(const Plan<T>& plan, Side rows, bool costs, Exec& exec) {
  const auto h = column_bias(plan, rows, exec);
  const std::int64_t size = plan.op().size(rows);
  PointGradient<T> out{Buffer<T>(size * plan.op().dim(), exec.device), Buffer<T>(size, exec.device),
                       Buffer<T>(costs ? size : 0, exec.device)};
  plan.op().pull(rows, h.data(), potential_of(plan, rows).data, out.points.data(), plan.epsilon(),
                 exec, out.ratio.data(), out.cost.data());
  const VectorView<const T> weight = weights_of(plan.problem(), rows);
  scale_rows(weight, out.points, exec);
  if (!plan.problem().bounds()) return out;
  const SingleCosts<T> single(plan.problem().geometry(), exec);
  std::vector<double> added(plan.op().dim());
  edit_on_host(
      out.points,
      [&](T* points) {
        for_each_bound(plan, rows, exec, [&](const ActiveBound& e, std::int64_t i, std::int64_t) {
          std::fill(added.begin(), added.end(), 0);
          single.add_gradient(rows, e.i, e.j, e.excess(), added.data());
          for (std::size_t k = 0; k < added.size(); ++k)
            points[i * plan.op().dim() + static_cast<std::int64_t>(k)] += static_cast<T>(added[k]);
        });
      },
      exec);
  add_excess(plan, rows, out.ratio, exec, [](const ActiveBound&) { return 1.0; });
  if (costs) add_excess(plan, rows, out.cost, exec, [](const ActiveBound& e) { return e.cost; });
  return out;
}

/// <P, C> and KL(P | a b^T), from the sums of both sides and the source's cost_ratio:
/// eps KL = sum p f + sum q g - <P, C> + eps (m_a m_b - m_pi).
struct PlanEntropy {
  double linear, entropy;
};
template <class T>
PlanEntropy plan_entropy(const Plan<T>& plan, const RatioSums& a, const RatioSums& b,
                         const Buffer<T>& costs, Exec& exec) {
  const Problem<T>& problem = plan.problem();
  const double linear = ratio_sums(plan, Side::source, costs, exec).mass;
  const double score = a.paired + b.paired - linear;
  return {linear, score / plan.epsilon() + dual_gain(active_bounds(plan, exec)) - a.mass +
                      problem.mass_a() * problem.mass_b()};
}
}  // namespace monge
