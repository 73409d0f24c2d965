#include "monge/ot/derivatives.hpp"

#include <utility>

#include "ot/plan_parts.hpp"

namespace monge {
namespace {
template <class T>
Buffer<T> weight_gradient(const Plan<T>& plan, Side side, const Buffer<T>& ratio, Exec& exec) {
  Buffer<T> out(ratio.size(), exec.device);
  kernels::each(kernels::WeightGradientArgs<T>{potential_of(plan, side).data, ratio.data(),
                                               penalty_of(plan, side), plan.epsilon(),
                                               mass_of(plan.problem(), other(side)), out.data()},
                out.size(), exec);
  return out;
}
}  // namespace

template <class T>
Gradient<T> gradient(const Plan<T>& plan, Exec& exec) {
  Gradient<T> out;
  Buffer<T> ratio_a, ratio_b, costs;
  if (plan.op().has_points()) {
    auto source = point_gradient(plan, Side::source, /*costs=*/true, exec);
    auto target = point_gradient(plan, Side::target, /*costs=*/false, exec);
    out.dx = std::move(source.points);
    out.dy = std::move(target.points);
    ratio_a = std::move(source.ratio);
    ratio_b = std::move(target.ratio);
    costs = std::move(source.cost);
  } else {
    ratio_a = marginal_ratio(plan, Side::source, exec);
    ratio_b = marginal_ratio(plan, Side::target, exec);
    costs = cost_ratio(plan, Side::source, exec);
  }
  out.da = weight_gradient(plan, Side::source, ratio_a, exec);
  out.db = weight_gradient(plan, Side::target, ratio_b, exec);
  const RatioSums a = ratio_sums(plan, Side::source, ratio_a, exec);
  const RatioSums b = ratio_sums(plan, Side::target, ratio_b, exec);
  out.depsilon = plan_entropy(plan, a, b, costs, exec).entropy;
  out.drho_a = a.divergence;
  out.drho_b = b.divergence;
  return out;
}

template Gradient<float> gradient(const Plan<float>&, Exec&);
template Gradient<double> gradient(const Plan<double>&, Exec&);
}  // namespace monge
