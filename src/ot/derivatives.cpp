#include "monge/ot/derivatives.hpp"

#include "ot/plan_parts.hpp"

namespace monge {
namespace {
// d D / d a_i = phi(f_i) - eps (p_i / a_i - m_b), at the potentials as they are.
template <class T>
Buffer<T> weight_gradient(const Plan<T>& plan, Side side, const Buffer<T>& ratio) {
  const auto u = potential_of(plan, side);
  const kernels::Penalty penalty = penalty_of(plan, side);
  const double opposite = mass_of(plan.problem(), other(side));
  Buffer<T> out(u.size);
  for (std::int64_t i = 0; i < u.size; ++i)
    out[i] = static_cast<T>(penalty.conjugate(u[i]) - plan.epsilon() * (ratio[i] - opposite));
  return out;
}

template <class T>
double strength_gradient(const Plan<T>& plan, Side side, const Buffer<T>& ratio) {
  const kernels::Penalty penalty = penalty_of(plan, side);
  return weighted_sum(weights_of(plan.problem(), side),
                      [&](std::int64_t i) { return divergence_term(penalty, ratio[i]); });
}
}  // namespace

template <class T>
Gradient<T> gradient(const Plan<T>& plan, Exec& exec) {
  const auto ratio_a = marginal_ratio(plan, Side::source, exec);
  const auto ratio_b = marginal_ratio(plan, Side::target, exec);
  Gradient<T> out;
  if (plan.op().has_points()) {
    out.dx = point_gradient(plan, Side::source, exec);
    out.dy = point_gradient(plan, Side::target, exec);
  }
  out.da = weight_gradient(plan, Side::source, ratio_a);
  out.db = weight_gradient(plan, Side::target, ratio_b);
  out.depsilon = plan_entropy(plan, ratio_a, ratio_b, exec).entropy;
  out.drho_a = strength_gradient(plan, Side::source, ratio_a);
  out.drho_b = strength_gradient(plan, Side::target, ratio_b);
  return out;
}

template Gradient<float> gradient(const Plan<float>&, Exec&);
template Gradient<double> gradient(const Plan<double>&, Exec&);
}  // namespace monge
