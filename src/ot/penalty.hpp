// What a Marginal means in formulas, per unit of weight (ot.md section 1.1): its proximal step,
// its dual term, its penalty and its optimality condition.
#pragma once
#include <algorithm>
#include <cmath>
#include <variant>

#include "monge/ot/marginal.hpp"

namespace monge {
/// The half-step: the potential that belongs to s = softmin.
inline double prox(const Marginal& marginal, double s, double eps) {
  if (const auto* kl = std::get_if<KL>(&marginal)) return s * (kl->rho / (kl->rho + eps));
  if (const auto* tv = std::get_if<TV>(&marginal)) return std::clamp(s, -tv->lambda, tv->lambda);
  return s;
}

/// phi(f), what a unit of weight adds to the dual objective.
inline double dual_term(const Marginal& marginal, double f) {
  if (const auto* kl = std::get_if<KL>(&marginal)) return -kl->rho * std::expm1(-f / kl->rho);
  return f;
}

/// The divergence that a strength multiplies, for a marginal of ratio = p / a: KL or TV; 0 for
/// Balanced, whose penalty is a condition.
inline double divergence_term(const Marginal& marginal, double ratio) {
  if (std::holds_alternative<KL>(marginal))
    return ratio > 0 ? ratio * std::log(ratio) - (ratio - 1) : 1;
  if (std::holds_alternative<TV>(marginal)) return std::abs(ratio - 1);
  return 0;
}

/// rho or lambda; 0 for Balanced.
inline double strength(const Marginal& marginal) {
  if (const auto* kl = std::get_if<KL>(&marginal)) return kl->rho;
  if (const auto* tv = std::get_if<TV>(&marginal)) return tv->lambda;
  return 0;
}

/// How far ratio = p / a is from what potential f asks for: 1 (Balanced), e^(-f/rho) (KL), the
/// nearest admissible ratio (TV). f is as stored, in T: clipped values equal the bound rounded to T.
template <class T>
double residual_term(const Marginal& marginal, T f, double ratio) {
  if (const auto* kl = std::get_if<KL>(&marginal)) return std::abs(ratio - std::exp(-f / kl->rho));
  if (const auto* tv = std::get_if<TV>(&marginal)) {
    const auto lambda = static_cast<T>(tv->lambda);
    if (f >= lambda) return std::max(ratio - 1, 0.0);
    if (f <= -lambda) return std::max(1 - ratio, 0.0);
  }
  return std::abs(ratio - 1);
}
}  // namespace monge
