// A Marginal of the public interface, as kernels and objective read it.
#pragma once
#include <cmath>
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
}  // namespace monge
