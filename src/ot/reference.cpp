#include "monge/ot/reference.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <variant>

#include "ot/plan_parts.hpp"
#include "ot/split_pair.hpp"

namespace monge {
namespace {
/// One side of the bridge.
template <class T>
struct Bridge {
  Buffer<T> weights, offset;  // a*, and f_ref - f*
  double mass = 0;            // of a*
  double reference_mass = 0;
  double constant = 0;  // k of docs/formulas.md, "References"
};

template <class T>
Bridge<T> bridge(VectorView<const T> weights, VectorView<const T> reference,
                 const Marginal& marginal, double eps, const char* name, Exec& exec) {
  if (reference.size && reference.size != weights.size)
    throw InvalidArgument(
        fmt::format("[reference] {} has {} weights, wanted {}", name, reference.size, weights.size),
        name);
  if (reference.size) check_device("reference", name, reference.device, exec);
  // On the host: once a problem, beside the sweeps of its solve.
  const auto a_values = on_host(weights, exec), r_values = on_host(reference, exec);
  const auto a = a_values.view(), r = r_values.view();
  const auto* kl = std::get_if<KL>(&marginal);
  const double tau = kl ? kl->rho / (kl->rho + eps) : 1;
  Bridge<T> out{Buffer<T>(a.size), Buffer<T>(a.size)};
  double mass_change = 0, relative = 0;  // m - m*, sum a log(a/r)
  for (std::int64_t i = 0; i < a.size; ++i) {
    const double weight = a[i], against = r.size ? static_cast<double>(r[i]) : 1;
    if (!(against >= 0 && std::isfinite(against)) || (weight > 0 && against == 0))
      throw InvalidArgument(
          fmt::format("[reference] {}[{}] is {}, wanted finite and > 0 where the weight is", name,
                      i, against),
          name, i);
    out.reference_mass += against;
    if (weight == 0) {
      out.weights[i] = out.offset[i] = 0;
      continue;
    }
    const double log_ratio = std::log(weight / against);
    // In logarithms: r^(1-tau) a^tau may be far below a's own powers.
    const auto star =
        kl ? static_cast<T>(std::exp(std::log(weight) - (1 - tau) * log_ratio)) : a[i];
    out.weights[i] = star;
    out.mass += star;
    out.offset[i] = static_cast<T>(eps * tau * log_ratio);
    mass_change += weight - star;
    relative += weight * log_ratio;
  }
  out.constant = kl ? kl->rho * mass_change : eps * relative;
  out.weights = std::move(out.weights).to(exec.device, exec.stream);
  out.offset = std::move(out.offset).to(exec.device, exec.stream);
  return out;
}

/// Takes one side of a gradient back: da = phi(f_ref), and KL(p | a) from KL(p | a*) with
/// log(a*/a) = -offset/rho. Returns sum p offset.
template <class T>
double take_back(const Plan<T>& plan, Side side, const Problem<T>& asked, const Buffer<T>& offset,
                 Buffer<T>& weight_gradient, double& strength_gradient, Exec& exec) {
  const bool source = side == Side::source;
  const Marginal& marginal = source ? asked.marginal_a() : asked.marginal_b();
  const kernels::Penalty penalty = penalty_of<T>(marginal);
  const Buffer<T> ratio = marginal_ratio(plan, side, exec);
  // The sum of p f with the offset for f; then da at the potential of the problem asked for.
  const auto [sums] = kernels::sum(kernels::RatioSumsArgs<T>{weights_of(plan.problem(), side),
                                                             ratio.data(), offset.data(), penalty},
                                   ratio.size(), exec);
  const double paired = sums[1];
  auto potential = gathered(potential_of(plan, side), exec);
  add(potential, T(1), offset, exec);
  kernels::each(kernels::WeightGradientArgs<T>{potential.data(), nullptr, penalty, 0, 0,
                                               weight_gradient.data()},
                potential.size(), exec);
  if (const auto* kl = std::get_if<KL>(&marginal)) {
    const double mass = source ? asked.mass_a() : asked.mass_b();
    const double equivalent = source ? plan.problem().mass_a() : plan.problem().mass_b();
    strength_gradient += mass - equivalent - paired / kl->rho;
  }
  return paired;
}

template <class T>
Exec exec_of(const ReferenceMap<T>& map) {
  Exec exec;
  exec.device = map.potential_offset_a.device();
  exec.stream = map.stream;
  return exec;
}
}  // namespace

template <class T>
SinkhornReport ReferenceMap<T>::to_asked(SinkhornReport report) const {
  report.dual_value += value_offset;
  for (SinkhornCheck& check : report.trace) check.dual_value += value_offset;
  return report;
}

template <class T>
SinkhornResult<T> ReferenceMap<T>::to_asked(const SinkhornResult<T>& result) const {
  Exec exec = exec_of(*this);
  SplitPair<T> pair;
  const auto take = [&](Side side, const Buffer<T>& rounded, const Buffer<T>& rest,
                        const Buffer<T>& offset) {
    auto exact = joined(rounded, rest, exec);
    add(exact, 1.0, in_double(offset.view(), exec), exec);
    pair.take(side, exact.data(), exact.size(), 0, exec);
  };
  take(Side::source, result.f, result.f_rest, potential_offset_a);
  take(Side::target, result.g, result.g_rest, potential_offset_b);
  return std::move(pair).with(to_asked(result.report));
}

template <class T>
Buffer<T> ReferenceMap<T>::from_asked(Side side, VectorView<const T> potential) const {
  const Buffer<T>& offset = side == Side::source ? potential_offset_a : potential_offset_b;
  if (potential.size && potential.size != offset.size())
    throw InvalidArgument(
        fmt::format("[reference] start has {} values, wanted {}", potential.size, offset.size()),
        "start");
  Exec exec = exec_of(*this);
  if (!potential.size) return {};
  check_device("reference", "start", potential.device, exec);
  auto out = gathered(potential, exec);
  add(out, T(-1), offset, exec);
  return out;
}

template <class T>
ReferencedProblem<T> with_reference(const Problem<T>& problem, double epsilon,
                                    VectorView<const T> r_a, VectorView<const T> r_b) {
  if (!(epsilon > 0 && std::isfinite(epsilon)))
    throw InvalidArgument(
        fmt::format("[reference] epsilon is {}, wanted a finite number > 0", epsilon), "epsilon");
  if (problem.total_mass() || std::holds_alternative<TV>(problem.marginal_a()) ||
      std::holds_alternative<TV>(problem.marginal_b()))
    throw NotAvailable(
        "[reference] another reference than the product is available for Balanced and KL "
        "sides alone, without a total mass");
  if (problem.bounds())
    throw NotAvailable("[reference] lower bounds are available with the product reference alone");
  Exec exec = exec_of(problem);
  auto side_a = bridge(problem.a(), r_a, problem.marginal_a(), epsilon, "r_a", exec);
  auto side_b = bridge(problem.b(), r_b, problem.marginal_b(), epsilon, "r_b", exec);
  ReferencedProblem<T> out;
  out.map.stream = problem.stream();
  out.asked = &problem;
  out.map.mass_offset = side_a.reference_mass * side_b.reference_mass - side_a.mass * side_b.mass;
  out.map.value_offset = epsilon * out.map.mass_offset + side_a.constant + side_b.constant;
  out.map.potential_offset_a = std::move(side_a.offset);
  out.map.potential_offset_b = std::move(side_b.offset);
  out.a = std::move(side_a.weights);
  out.b = std::move(side_b.weights);
  ProblemOptions options;
  options.mass_tolerance = 0.5;  // the same Balanced masses, which `problem` has already judged
  options.stream = problem.stream();
  out.problem = std::make_unique<Problem<T>>(problem.geometry(), out.a.view(), out.b.view(),
                                             problem.marginal_a(), problem.marginal_b(), options);
  return out;
}

template <class T>
Gradient<T> gradient(const Plan<T>& plan, const ReferencedProblem<T>& referenced, Exec& exec) {
  Gradient<T> out = gradient(plan, exec);
  const ReferenceMap<T>& map = referenced.map;
  const double paired = take_back(plan, Side::source, *referenced.asked, map.potential_offset_a,
                                  out.da, out.drho_a, exec) +
                        take_back(plan, Side::target, *referenced.asked, map.potential_offset_b,
                                  out.db, out.drho_b, exec);
  out.depsilon += paired / plan.epsilon() + map.mass_offset;
  return out;
}

template struct ReferenceMap<float>;
template struct ReferenceMap<double>;
template ReferencedProblem<float> with_reference(const Problem<float>&, double,
                                                 VectorView<const float>, VectorView<const float>);
template ReferencedProblem<double> with_reference(const Problem<double>&, double,
                                                  VectorView<const double>,
                                                  VectorView<const double>);
template Gradient<float> gradient(const Plan<float>&, const ReferencedProblem<float>&, Exec&);
template Gradient<double> gradient(const Plan<double>&, const ReferencedProblem<double>&, Exec&);
}  // namespace monge
