// A Marginal of the public interface, as kernels and objective read it.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#include "kernels/penalty.hpp"
#include "monge/ot/marginal.hpp"

namespace monge {
/// Strengths are rounded to T, so that a clipped potential, stored in T, equals its bound.
/// TV(infinity) is the cap p <= a of a total mass, at multiplier `level`.
template <class T>
kernels::Penalty penalty_of(const Marginal& marginal, double level = 0) {
  using Kind = kernels::Penalty::Kind;
  if (const auto* kl = std::get_if<KL>(&marginal)) return {Kind::kl, kl->rho, 0};
  if (const auto* tv = std::get_if<TV>(&marginal)) {
    if (std::isinf(tv->lambda)) return {Kind::capped, 0, level};
    return {Kind::tv, static_cast<double>(static_cast<T>(tv->lambda)), 0};
  }
  return {};
}

/// What a strength multiplies in the objective, per unit of weight, at ratio = p / a: the
/// derivative of the penalty in rho or lambda. 0 for the hard constraints.
inline double divergence_term(const kernels::Penalty& penalty, double ratio) {
  using Kind = kernels::Penalty::Kind;
  if (penalty.kind == Kind::kl) return ratio > 0 ? ratio * std::log(ratio) - (ratio - 1) : 1;
  return penalty.kind == Kind::tv ? std::abs(ratio - 1) : 0;
}

/// By how much ratio = p / a breaks a hard constraint: p = a, or p <= a. 0 for soft sides.
inline double violation(const kernels::Penalty& penalty, double ratio) {
  using Kind = kernels::Penalty::Kind;
  if (penalty.kind == Kind::balanced) return std::abs(ratio - 1);
  return penalty.kind == Kind::capped ? std::max(ratio - 1, 0.0) : 0;
}
}  // namespace monge
