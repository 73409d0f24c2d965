// A threshold on entries P_ij as one on the weights of each row.
#pragma once
#include <algorithm>
#include <limits>

#include "ot/plan_parts.hpp"

namespace monge {
/// [n], a few ulps below threshold / a_i, so that the entries themselves decide, after scaling;
/// what select() takes.
template <class T>
Buffer<T> row_thresholds(const Plan<T>& plan, double threshold, Exec& exec) {
  constexpr double kBelow = 1 - 4.0 * std::numeric_limits<T>::epsilon();
  const auto a = on_host(plan.problem().a(), exec);
  Buffer<T> least(plan.n());
  for (std::int64_t i = 0; i < plan.n(); ++i)
    least[i] = a[i] > 0 ? std::max(static_cast<T>(threshold / a[i] * kBelow),
                                   std::numeric_limits<T>::denorm_min())
                        : std::numeric_limits<T>::infinity();
  return std::move(least).to(exec.device, exec.stream);
}
}  // namespace monge
