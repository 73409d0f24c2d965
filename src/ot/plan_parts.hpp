// What plan, derivatives and divergence share: a plan seen from the rows of one side.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "monge/ot/plan.hpp"
#include "ot/arrays.hpp"
#include "ot/operator.hpp"
#include "ot/penalty.hpp"

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

/// h for a sweep over `rows`: the bias of the other side, padded.
template <class T>
Buffer<T> column_bias(const Plan<T>& plan, Side rows, Exec& exec) {
  const VectorView<const T> g = potential_of(plan, other(rows));
  const auto log_weight = log_weights(weights_of(plan.problem(), other(rows)), exec);
  auto h = padded_buffer<T>(g.size, exec);
  kernels::bias<T>({g.data, log_weight.data(), g.size, plan.epsilon(), h.data()}, exec);
  return h;
}

/// softmin of each row, rounded to T: the shift under which its weights sum to about 1.
template <class T>
Buffer<T> softmin(const Operator<T>& op, Side rows, const Buffer<T>& h, double eps, Exec& exec) {
  Buffer<double> exact(op.size(rows));
  op.softmin(rows, h.data(), nullptr, exact.data(), eps, exec);
  Buffer<T> s(exact.size());
  std::transform(exact.begin(), exact.end(), s.begin(), [](double v) { return static_cast<T>(v); });
  return s;
}

/// sum_i a_i term(i) over the rows of positive weight.
template <class T, class Term>
double weighted_sum(VectorView<const T> a, const Term& term) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.size; ++i)
    if (a[i] > 0) sum += a[i] * term(i);
  return sum;
}

/// Multiplies row i of values [rows, k] by weight_i: exactly 0 at weight 0, also where the row
/// overflowed.
template <class T>
void scale_rows(VectorView<const T> weights, Buffer<T>& values) {
  const std::int64_t k = values.size() / weights.size;
  for (std::int64_t i = 0; i < weights.size; ++i)
    for (std::int64_t c = i * k; c < (i + 1) * k; ++c)
      values[c] = weights[i] > 0 ? weights[i] * values[c] : T(0);
}

/// p_i / a_i of `rows`, finite at zero weights too; one pass.
template <class T>
Buffer<T> marginal_ratio(const Plan<T>& plan, Side rows, Exec& exec) {
  Buffer<T> ratio(plan.op().size(rows));
  const auto h = column_bias(plan, rows, exec);
  plan.op().apply(rows, h.data(), potential_of(plan, rows).data, kernels::Weighting::plain, {},
                  ratio.data(), plan.epsilon(), exec);
  return ratio;
}

/// p_i from the softmin of row i; 0 for a row without partner.
template <class T>
double row_mass(const Plan<T>& plan, Side rows, const Buffer<T>& softmin, std::int64_t i) {
  const double a = weights_of(plan.problem(), rows)[i], s = softmin[i];
  if (!(a > 0) || std::isinf(s)) return 0;
  return a * std::exp((potential_of(plan, rows)[i] - s) / plan.epsilon());
}

/// sum p, from the ratios of `side`.
template <class T>
double total(const Plan<T>& plan, Side side, const Buffer<T>& ratio) {
  return weighted_sum(weights_of(plan.problem(), side),
                      [&](std::int64_t i) { return static_cast<double>(ratio[i]); });
}

/// sum_j P_ij d c(x_i, y_j) / d x_i, [n, d]; for the target side in y_j, [m, d]. One pass.
template <class T>
Buffer<T> point_gradient(const Plan<T>& plan, Side rows, Exec& exec) {
  Buffer<T> gradient(plan.op().size(rows) * plan.op().dim());
  const auto h = column_bias(plan, rows, exec);
  plan.op().pull(rows, h.data(), potential_of(plan, rows).data, gradient.data(), plan.epsilon(),
                 exec);
  scale_rows(weights_of(plan.problem(), rows), gradient);
  return gradient;
}

/// <P, C> and KL(P | a b^T), from the ratios of both sides and one pass over the costs:
/// eps KL = sum p f + sum q g - <P, C> + eps (m_a m_b - m_pi).
struct PlanEntropy {
  double linear, entropy;
};
template <class T>
PlanEntropy plan_entropy(const Plan<T>& plan, const Buffer<T>& ratio_a, const Buffer<T>& ratio_b,
                         Exec& exec) {
  const Problem<T>& problem = plan.problem();
  Buffer<T> costs(plan.n());
  const auto h = column_bias(plan, Side::source, exec);
  plan.op().apply(Side::source, h.data(), plan.f().data, kernels::Weighting::cost, {}, costs.data(),
                  plan.epsilon(), exec);
  const double linear = total(plan, Side::source, costs);
  const auto paired = [&](Side side, const Buffer<T>& ratio) {
    const auto u = potential_of(plan, side);
    return weighted_sum(weights_of(problem, side), [&](std::int64_t i) {
      return ratio[i] > 0 ? static_cast<double>(ratio[i]) * u[i] : 0;  // u = +inf carries nothing
    });
  };
  const double score = paired(Side::source, ratio_a) + paired(Side::target, ratio_b) - linear;
  return {linear, score / plan.epsilon() - total(plan, Side::source, ratio_a) +
                      problem.mass_a() * problem.mass_b()};
}
}  // namespace monge
