// The plan as an operator: products, marginals, value and the terms of the objective.
#include "monge/ot/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include "ot/plan_parts.hpp"
#include "ot/prepared.hpp"
#include "ot/split_pair.hpp"

namespace monge {
namespace {
template <class T>
Buffer<T> copied(const Problem<T>& problem, VectorView<const T> values, std::int64_t wanted,
                 const char* name) {
  if (values.size != wanted)
    throw InvalidArgument(fmt::format("[plan] {} has {} values but its side has {} points", name,
                                      values.size, wanted),
                          name);
  if (values.device != problem.device())
    throw InvalidArgument(fmt::format("[plan] {} is on {} but the problem is on {}", name,
                                      to_string(values.device), to_string(problem.device())),
                          name);
  Exec exec = exec_of(problem);
  return gathered(values, exec);
}

template <class T>
Buffer<T> product(const Plan<T>& plan, Side rows, MatrixView<const T> v,
                  kernels::Weighting weighting, Exec& exec) {
  const std::int64_t columns = plan.op().size(other(rows));
  if (v.rows != columns || v.cols < 1)
    throw InvalidArgument(fmt::format("[plan] v has shape ({}, {}), wanted ({}, k) with k >= 1",
                                      v.rows, v.cols, columns),
                          "v");
  check_device("plan", "v", v.device, exec);
  const auto h = column_bias(plan, rows, exec);
  Buffer<T> out(plan.op().size(rows) * v.cols, exec.device);
  plan.op().apply(rows, h.data(), potential_of(plan, rows).data, weighting, v, out.data(),
                  plan.epsilon(), exec);
  const auto a = weights_of(plan.problem(), rows);
  scale_rows(a, out, exec);
  if (weighting == kernels::Weighting::squared) scale_rows(a, out, exec);
  if (!plan.problem().bounds()) return out;
  const auto values = on_host(v, exec);
  edit_on_host(
      out,
      [&](T* sums) {
        for_each_bound(plan, rows, exec, [&](const ActiveBound& e, std::int64_t i, std::int64_t j) {
          const double factor = weighting == kernels::Weighting::squared
                                    ? e.excess() * (e.bound + e.free)
                                    : e.excess();
          for (std::int64_t c = 0; c < v.cols; ++c)
            sums[i * v.cols + c] += static_cast<T>(factor * values[j * v.cols + c]);
        });
      },
      exec);
  return out;
}

// F(p | a); what counts as a hard constraint met is documented at PlanTerms.
template <class T>
double penalty_value(const Plan<T>& plan, Side side, const RatioSums& sums) {
  const double mass = mass_of(plan.problem(), side);
  const double cost = std::max(std::abs(plan.op().needed_cost()), std::abs(plan.op().min_cost()));
  const double slack = (std::is_same_v<T, float> ? 1e-5 : 1e-12) +
                       4 * std::numeric_limits<T>::epsilon() * cost / plan.epsilon();
  const double off = sums.mass - plan.problem().total_mass().value_or(0);
  if (sums.violation > slack * mass ||
      (plan.problem().total_mass() && std::abs(off) > slack * *plan.problem().total_mass()))
    return std::numeric_limits<double>::infinity();
  return penalty_of(plan, side).strength * sums.divergence;
}
}  // namespace

template <class T>
Plan<T>::Plan(const Problem<T>& problem, double epsilon, VectorView<const T> f,
              VectorView<const T> g, double mass_level, std::shared_ptr<const Operator<T>> op)
    : problem_(&problem),
      epsilon_(epsilon),
      mass_level_(mass_level),
      f_(copied(problem, f, problem.n(), "f")),
      g_(copied(problem, g, problem.m(), "g")),
      op_(std::move(op)) {
  if (!(epsilon > 0 && std::isfinite(epsilon)))
    throw InvalidArgument(fmt::format("[plan] epsilon is {}, wanted a finite number > 0", epsilon),
                          "epsilon");
  if (!op_) op_ = std::make_shared<const Operator<T>>(problem);
  take_exact({}, {});
}
template <class T>
Plan<T>::Plan(const Problem<T>& problem, const SinkhornResult<T>& result,
              std::shared_ptr<const Operator<T>> op)
    : Plan(problem, result.report.epsilon, result.f.view(), result.g.view(),
           result.report.mass_level, std::move(op)) {
  take_exact(result.f_rest, result.g_rest);
  const SinkhornReport& report = result.report;
  if (report.geometry != Sweeps::tree) return;
  Exec exec = exec_of(problem);
  Operator<T> planted(*op_);
  planted.plant(std::make_shared<const Forest<T>>(problem, exec), exec);
  const auto lost = planted.truncate(exact(Side::source).data, exact(Side::target).data, epsilon_,
                                     report.truncation * report.transported_mass, exec);
  truncation_ = lost.now / report.transported_mass;
  op_ = std::make_shared<const Operator<T>>(std::move(planted));
  synchronize(exec.device, exec.stream);
}

template <class T>
void Plan<T>::take_exact(const Buffer<T>& f_rest, const Buffer<T>& g_rest) {
  if (sizeof(T) == 8) return;
  Exec exec = exec_of(*problem_);
  exact_f_ = joined(f_, f_rest, exec);
  exact_g_ = joined(g_, g_rest, exec);
}
template <class T>
VectorView<const double> Plan<T>::exact(Side side) const {
  const bool source = side == Side::source;
  if constexpr (std::is_same_v<T, double>)
    return (source ? f_ : g_).view();
  else
    return (source ? exact_f_ : exact_g_).view();
}

template <class T>
std::int64_t Plan<T>::n() const {
  return f_.size();
}
template <class T>
std::int64_t Plan<T>::m() const {
  return g_.size();
}

template <class T>
Buffer<T> Plan<T>::apply(Side rows, MatrixView<const T> v, Exec& exec) const {
  return product(*this, rows, v, kernels::Weighting::plain, exec);
}
template <class T>
Buffer<T> Plan<T>::apply_squared(Side rows, MatrixView<const T> v, Exec& exec) const {
  return product(*this, rows, v, kernels::Weighting::squared, exec);
}

template <class T>
Buffer<T> Plan<T>::marginal(Side side, Exec& exec) const {
  auto p = marginal_ratio(*this, side, exec);
  scale_rows(weights_of(*problem_, side), p, exec);
  return p;
}

template <class T>
double Plan<T>::mass(Exec& exec) const {
  return ratio_sums(*this, Side::source, marginal_ratio(*this, Side::source, exec), exec).mass;
}

// sum a phi(f) + sum b phi(g) + 2 l M + eps (m_a m_b - m_pi); without a total mass l = 0.
template <class T>
double Plan<T>::value(Exec& exec) const {
  const double carried = mass(exec);
  const auto side = [&](Side of) {
    return kernels::MeasureArgs<T>{.f = exact(of).data,
                                   .s = nullptr,
                                   .weight = weights_of(*problem_, of),
                                   .penalty = penalty_of(*this, of)};
  };
  const kernels::MeasureArgs<T> sides[] = {side(Side::source), side(Side::target)};
  kernels::Measures measures[2];
  kernels::measure<T>(sides, measures, exec);
  return epsilon_ * (problem_->mass_a() * problem_->mass_b() - carried) +
         2 * mass_level_ * problem_->total_mass().value_or(0) + measures[0].dual +
         measures[1].dual + epsilon_ * dual_gain(active_bounds(*this, exec));
}

template <class T>
PlanTerms Plan<T>::terms(Exec& exec) const {
  const auto sums = [&](Side side) {
    return ratio_sums(*this, side, marginal_ratio(*this, side, exec), exec);
  };
  const RatioSums a = sums(Side::source), b = sums(Side::target);
  const auto [linear, entropy] =
      plan_entropy(*this, a, b, cost_ratio(*this, Side::source, exec), exec);
  return {linear, entropy, penalty_value(*this, Side::source, a),
          penalty_value(*this, Side::target, b)};
}

// The member functions of the other plan_*.cpp files are instantiated there.
#define MONGE_INSTANTIATE(T)                                                                  \
  template Plan<T>::Plan(const Problem<T>&, double, VectorView<const T>, VectorView<const T>, \
                         double, Prepared<T>);                                                \
  template Plan<T>::Plan(const Problem<T>&, const SinkhornResult<T>&, Prepared<T>);           \
  template VectorView<const double> Plan<T>::exact(Side) const;                               \
  template std::int64_t Plan<T>::n() const;                                                   \
  template std::int64_t Plan<T>::m() const;                                                   \
  template Buffer<T> Plan<T>::apply(Side, MatrixView<const T>, Exec&) const;                  \
  template Buffer<T> Plan<T>::apply_squared(Side, MatrixView<const T>, Exec&) const;          \
  template Buffer<T> Plan<T>::marginal(Side, Exec&) const;                                    \
  template double Plan<T>::mass(Exec&) const;                                                 \
  template double Plan<T>::value(Exec&) const;                                                \
  template PlanTerms Plan<T>::terms(Exec&) const;
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
