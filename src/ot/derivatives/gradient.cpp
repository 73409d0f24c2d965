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
Gradient<T> gradient(const Plan<T>& plan, Wrt wrt, Exec& exec) {
  constexpr Wrt kPoints = Wrt::source | Wrt::target, kScalars = Wrt::epsilon | Wrt::penalty;
  const bool matrix = std::holds_alternative<CostMatrix<T>>(plan.problem().geometry());
  if (has(wrt, kPoints) && !plan.op().has_points())
    throw NotAvailable("[gradient] a cost matrix has no points to differentiate in");
  if (has(wrt, Wrt::cost) && !matrix)
    throw NotAvailable(
        "[gradient] costs of points are not the caller's: the derivative in them is the plan, "
        "which "
        "is applied as an operator");
  Gradient<T> out;
  Buffer<T> ratio_a, ratio_b, costs;
  const auto side = [&](Side of, bool points, bool sums, bool costed, Buffer<T>& gradient,
                        Buffer<T>& ratio) {
    if (points) {
      auto found = point_gradient(plan, of, costed, exec);
      gradient = std::move(found.points);
      ratio = std::move(found.ratio);
      if (costed) costs = std::move(found.cost);
    } else {
      if (sums) ratio = marginal_ratio(plan, of, exec);
      if (costed) costs = cost_ratio(plan, of, exec);
    }
  };
  side(Side::source, has(wrt, Wrt::source), has(wrt, Wrt::source_weights | kScalars),
       has(wrt, Wrt::epsilon), out.dx, ratio_a);
  side(Side::target, has(wrt, Wrt::target), has(wrt, Wrt::target_weights | kScalars), false, out.dy,
       ratio_b);
  if (has(wrt, Wrt::source_weights)) out.da = weight_gradient(plan, Side::source, ratio_a, exec);
  if (has(wrt, Wrt::target_weights)) out.db = weight_gradient(plan, Side::target, ratio_b, exec);
  if (has(wrt, Wrt::cost)) out.dcost = plan.dense(exec);
  if (!has(wrt, kScalars)) return out;
  const RatioSums a = ratio_sums(plan, Side::source, ratio_a, exec);
  const RatioSums b = ratio_sums(plan, Side::target, ratio_b, exec);
  if (has(wrt, Wrt::epsilon)) out.depsilon = plan_entropy(plan, a, b, costs, exec).entropy;
  if (has(wrt, Wrt::penalty)) {
    out.drho_a = a.divergence;
    out.drho_b = b.divergence;
  }
  return out;
}

template <class T>
Gradient<T> gradient(const Plan<T>& plan, Exec& exec) {
  Wrt all = Wrt::source_weights | Wrt::target_weights | Wrt::epsilon | Wrt::penalty;
  if (plan.op().has_points()) all = all | Wrt::source | Wrt::target;
  return gradient(plan, all, exec);
}

template Gradient<float> gradient(const Plan<float>&, Wrt, Exec&);
template Gradient<double> gradient(const Plan<double>&, Wrt, Exec&);
template Gradient<float> gradient(const Plan<float>&, Exec&);
template Gradient<double> gradient(const Plan<double>&, Exec&);
}  // namespace monge
