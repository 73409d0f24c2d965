// With D the dual values at the three returned pairs,
//   S = D_ab - D_aa / 2 - D_bb / 2 + eps/2 (m_a - m_b)^2
//     = sum a (phi(f_ab) - phi(f_aa)) + sum b (phi(g_ab) - phi(f_bb))
//       - eps (m_pi,ab - m_pi,aa / 2 - m_pi,bb / 2):
// the products of masses cancel and differences of potentials remain, so that nothing large
// cancels when the measures are near. At convergence these are the closed forms of
// docs/formulas.md; before it the error stays quadratic in the residuals.
#include "monge/ot/divergence.hpp"

#include <fmt/format.h>

#include <cmath>
#include <tuple>
#include <utility>

#include "kernels/tasks.hpp"
#include "monge/ot/plan.hpp"
#include "ot/in_double.hpp"
#include "ot/packing.hpp"
#include "ot/plan_parts.hpp"
#include "ot/prepared.hpp"
#include "ot/symmetric.hpp"

namespace monge {
namespace {
bool same(const kernels::Penalty& p, const kernels::Penalty& q) {
  return p.kind == q.kind && p.strength == q.strength;
}

template <class T>
kernels::Penalty penalty(const Problem<T>& problem, Side side) {
  return penalty_of<T>(side == Side::source ? problem.marginal_a() : problem.marginal_b());
}

/// One of the two measures: its potential in the cross term against those of its self term.
template <class T>
class Debiased {
 public:
  Debiased(const Problem<T>& cross, Side side, const SinkhornResult<T>& ab, const Problem<T>& self,
           const SinkhornResult<T>& aa, Exec& exec)
      : side_(side), weights_(weights_of(self, Side::source)), exec_(exec) {
    term_.own = penalty(cross, side);
    term_.first = penalty(self, Side::source);
    term_.second = penalty(self, Side::target);
    term_.cross = (side == Side::source ? ab.f : ab.g).data();
    term_.f = aa.f.data();
    term_.g = aa.g.data();
    term_.symmetric = same(term_.first, term_.second);
  }

  double sum() const {
    return kernels::sum(kernels::DebiasedSumArgs<T>{weights_, term_}, weights_.size, exec_)
        .value[0];
  }

  /// The cross potential less that of the slot of the self term on the same side.
  Buffer<T> potential(const SinkhornResult<T>& ab, const SinkhornResult<T>& self) const {
    const bool source = side_ == Side::source;
    auto out = (source ? ab.f : ab.g).copy(exec_.stream);
    add(out, T(-1), source ? self.f : self.g, exec_);
    return out;
  }

  /// In points and weights. Both slots of the self term move with the measure: the half in front
  /// of it cancels where they move alike.
  std::pair<Buffer<T>, Buffer<T>> gradients(const Plan<T>& cross, const Plan<T>& self) const {
    auto sums = point_gradient(cross, side_, /*costs=*/false, exec_);
    const auto debias = [&](Side slot, T share) {
      const auto own = point_gradient(self, slot, /*costs=*/false, exec_);
      add(sums.points, -share, own.points, exec_);
      add(sums.ratio, -share, own.ratio, exec_);
    };
    if (term_.symmetric) {
      debias(Side::source, T(1));
    } else {
      debias(Side::source, T(0.5));
      debias(Side::target, T(0.5));
    }
    Buffer<T> weights(sums.ratio.size(), exec_.device);
    kernels::each(
        kernels::DebiasedGradientArgs<T>{term_, sums.ratio.data(), cross.epsilon(), weights.data()},
        weights.size(), exec_);
    return {std::move(sums.points), std::move(weights)};
  }

 private:
  Side side_;
  VectorView<const T> weights_;
  Exec& exec_;
  kernels::Debiased<T> term_;
};

/// A term: its problem, and what its plan is swept by.
template <class T>
struct Term {
  Problem<T> problem;
  Prepared<T> prepared{};

  Plan<T> plan(const SinkhornResult<T>& result) { return {problem, result, prepared}; }
};

template <class T>
SinkhornResult<T> solve(Term<T>& term, const DivergenceOptions& options, bool symmetric, bool keeps,
                        Exec& exec) {
  const Problem<T>& problem = term.problem;
  Prepared<T>* const prepared = keeps ? &term.prepared : nullptr;
  auto result = symmetric ? symmetric_sinkhorn(problem, options, exec, prepared)
                          : sinkhorn(problem, options, exec, {}, prepared);
  if constexpr (sizeof(T) == 4)
    if (goes_on(options, result.report)) {
      const InDouble wide(problem, exec);
      return rounded_to_float(symmetric ? symmetric_sinkhorn(wide.problem(), options, exec, result)
                                        : sinkhorn(wide.problem(), options, exec, result),
                              exec);
    }
  return result;
}

template <class T>
Divergence<T> debiased(Geometry<T> geometry, VectorView<const T> of_a, VectorView<const T> of_b,
                       const DivergenceOptions& options, Exec& exec) {
  Term<T> ab{Problem<T>(
      std::move(geometry), of_a, of_b, options.marginal_a, options.marginal_b,
      {.total_mass = {}, .mass_tolerance = options.mass_tolerance, .stream = exec.stream})};
  Term<T> aa{ab.problem.against_itself(Side::source)}, bb{ab.problem.against_itself(Side::target)};
  const bool symmetric = same(penalty(ab.problem, Side::source), penalty(ab.problem, Side::target));
  // A callback that has said stop is not asked to change its mind: the terms still to come stop
  // at their first check.
  DivergenceOptions each = options;
  bool stopped = false;
  if (options.on_check)
    each.on_check = [&](const SinkhornReport& report) {
      stopped = !options.on_check(report) || stopped;
      return !stopped;
    };
  const auto wants = [&](Side side) {
    return options.gradients && options.gradients_of.value_or(side) == side;
  };
  Divergence<T> out;
  const auto term = [&](std::int64_t i, Exec& own) {
    if (i == 0) out.ab = solve(ab, each, false, options.gradients, own);
    if (i == 1) out.aa = solve(aa, each, symmetric, wants(Side::source), own);
    if (i == 2) out.bb = solve(bb, each, symmetric, wants(Side::target), own);
  };
  if (exec.device.is_cuda() && !options.on_check) {  // one does not fill it
    const auto n = static_cast<double>(ab.problem.n()), m = static_cast<double>(ab.problem.m());
    constexpr double kEachPair = 20;
    const double works[] = {n * m * kEachPair, n * n * kEachPair, m * m * kEachPair};
    kernels::tasks(works, term, exec);
  } else {
    for (std::int64_t i = 0; i < 3; ++i) term(i, exec);
  }

  const Debiased<T> a(ab.problem, Side::source, out.ab, aa.problem, out.aa, exec),
      b(ab.problem, Side::target, out.ab, bb.problem, out.bb, exec);
  const double masses = out.ab.report.transported_mass -
                        (out.aa.report.transported_mass + out.bb.report.transported_mass) / 2;
  out.value = a.sum() + b.sum() - options.epsilon * masses;
  out.potential_a = a.potential(out.ab, out.aa);
  out.potential_b = b.potential(out.ab, out.bb);
  if (!options.gradients) return out;
  // A term that was stopped early may stand at another epsilon: its plan is that of its report.
  const Plan<T> cross = ab.plan(out.ab);
  if (wants(Side::source)) std::tie(out.dx, out.da) = a.gradients(cross, aa.plan(out.aa));
  if (wants(Side::target)) std::tie(out.dy, out.db) = b.gradients(cross, bb.plan(out.bb));
  return out;
}
}  // namespace

template <class T>
Divergence<T> divergence(const Measure<T>& source, const Measure<T>& target,
                         const DivergenceOptions& options, Exec& exec) {
  return debiased<T>(PointCloud<T>{source.points, target.points, options.cost}, source.weights,
                     target.weights, options, exec);
}

template <class T>
Divergence<T> divergence(const Lattice<T>& lattice, VectorView<const T> a, VectorView<const T> b,
                         const DivergenceOptions& options, Exec& exec) {
  const auto [cost, asked] = std::pair(cost_form(lattice.cost), cost_form(options.cost));
  if (cost.form != asked.form || cost.scale != asked.scale || cost.power != asked.power ||
      cost.unit_length != asked.unit_length)
    throw InvalidArgument(
        fmt::format("[divergence] the cost of the lattice is {} and that of the options {}: they "
                    "must agree",
                    cost_name(lattice.cost), cost_name(options.cost)),
        "cost");
  return debiased<T>(lattice, a, b, options, exec);
}

template Divergence<float> divergence(const Lattice<float>&, VectorView<const float>,
                                      VectorView<const float>, const DivergenceOptions&, Exec&);
template Divergence<double> divergence(const Lattice<double>&, VectorView<const double>,
                                       VectorView<const double>, const DivergenceOptions&, Exec&);
template Divergence<float> divergence(const Measure<float>&, const Measure<float>&,
                                      const DivergenceOptions&, Exec&);
template Divergence<double> divergence(const Measure<double>&, const Measure<double>&,
                                       const DivergenceOptions&, Exec&);
}  // namespace monge
