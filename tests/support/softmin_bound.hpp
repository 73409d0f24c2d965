// What a softmin of type T may lose.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/softmin.hpp"
#include "reference/weights.hpp"

namespace monge::testing {
// Bound on |out - exact| for row i. A score carries the error of its cost and two roundings of its
// own size; moving every score by at most e moves the softmin by at most e, so the largest error
// among columns that matter counts: those within 40 eps of the best. The sum of at most 1024
// columns in T loses at most 1024 + 8 roundings, the exponentials a few more; eps as used is off by
// one rounding, which moves the result by eps log m at most; then the result is rounded.
//
// In mixed the sum, its exponentials and their exponents e are of float. Their rounding moves a sum
// by less than u |e| of each share; with a sum within 2^6 of 1, shares by |e| add up to 6 + log2 m.
template <class T, class H>
reference::Real bound(const kernels::Pairs<T>& p, const H* h, double eps, std::int64_t i,
                      reference::Real exact,
                      kernels::Precision precision = kernels::Precision::accurate) {
  using reference::Real;
  const Real u = std::numeric_limits<T>::epsilon() / 2;
  const bool mixed = precision == kernels::Precision::mixed;
  const Real u_sum = mixed ? Real{0x1p-24} : u;
  Real best = -std::numeric_limits<Real>::infinity(), error = 0;
  for (std::int64_t j = 0; j < p.m; ++j)
    if (reference::swept(p, i, j)) best = std::max(best, h[j] - reference::cost(p, i, j));
  for (std::int64_t j = 0; j < p.m; ++j) {
    const Real c = reference::cost(p, i, j), score = h[j] - c;
    if (!reference::swept(p, i, j) || std::isinf(score) || score < best - 40 * eps) continue;
    error = std::max(error, reference::cost_error(p, i, j, c) +
                                3 * u * (std::abs(c) + std::abs(static_cast<Real>(h[j]))));
  }
  const Real columns = std::min<std::int64_t>(p.m, 1024);
  return error + eps * u * std::log(static_cast<Real>(p.m)) +
         eps * u_sum * (columns + 16 + (mixed ? 6 + std::log2(columns) : 0)) +
         2 * u * std::abs(exact);
}
}  // namespace monge::testing
