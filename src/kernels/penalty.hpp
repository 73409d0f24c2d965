// How one side of the plan is held, entry by entry: the proximal step, the conjugate and the
// optimality residual of each marginal (docs/formulas.md, "Marginals"). Shared by every backend.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/host_device.hpp"

namespace monge::kernels {
struct Penalty {
  enum class Kind : std::uint8_t { balanced, kl, tv, capped };
  Kind kind = Kind::balanced;
  double strength = 0;  // rho of kl, lambda of tv
  double level = 0;     // capped: f <= level, the multiplier of p <= a

  /// f that maximises the dual given s = softmin of the other side.
  MONGE_HOST_DEVICE double prox(double s, double eps) const {
    switch (kind) {
      case Kind::kl:
        return strength / (strength + eps) * s;
      case Kind::tv:
        return std::clamp(s, -strength, strength);
      case Kind::capped:
        return std::min(s, level);
      case Kind::balanced:
        break;
    }
    return s;
  }

  /// The nearest potential at which the dual is finite.
  MONGE_HOST_DEVICE double feasible(double f) const {
    if (kind == Kind::tv) return std::clamp(f, -strength, strength);
    return kind == Kind::capped ? std::min(f, level) : f;
  }

  /// Dual term per unit of weight.
  MONGE_HOST_DEVICE double conjugate(double f) const {
    if (kind == Kind::kl) return -strength * std::expm1(-f / strength);
    return kind == Kind::capped ? f - level : f;
  }

  /// What a strength multiplies in the objective, per unit of weight, at ratio = p / a: the
  /// derivative of the penalty in rho or lambda. 0 for the hard constraints.
  MONGE_HOST_DEVICE double divergence(double ratio) const {
    if (kind == Kind::kl) return ratio > 0 ? ratio * std::log(ratio) - (ratio - 1) : 1;
    return kind == Kind::tv ? std::abs(ratio - 1) : 0;
  }

  /// By how much ratio = p / a breaks a hard constraint: p = a, or p <= a. 0 for soft sides.
  MONGE_HOST_DEVICE double violation(double ratio) const {
    if (kind == Kind::balanced) return std::abs(ratio - 1);
    return kind == Kind::capped ? std::max(ratio - 1, 0.0) : 0;
  }

  /// conjugate(f) - conjugate(g), where nothing cancels that is alike in both.
  MONGE_HOST_DEVICE double conjugate_difference(double f, double g) const {
    if (kind != Kind::kl) return f - g;
    return -strength * std::exp(-g / strength) * std::expm1((g - f) / strength);
  }

  struct Optimality {
    double residual;  // |p - target|, the target being the nearest admissible value
    double gap;       // share of primal - dual
  };
  /// log of the target of p over a, which z = log(p / a) is measured from: that of kl is
  /// a exp(-f/rho).
  MONGE_HOST_DEVICE double log_target(double f) const {
    return kind == Kind::kl ? -f / strength : 0;
  }
  /// Of a point of weight a, z = log(p / a). The gap is +infinity where a hard constraint is missed
  /// by more than `slack`, relative: rounding alone.
  MONGE_HOST_DEVICE Optimality optimality(double a, double f, double z, double slack) const {
    const double t = log_target(f), u = z - t;
    return optimality(a, f, u, std::expm1(u), kind == Kind::kl ? std::exp(t) : 1, slack);
  }
  /// With u = z - log_target(f), off = exp(u) - 1 and target = exp(log_target(f)) at hand.
  MONGE_HOST_DEVICE Optimality optimality(double a, double f, double u, double off, double target,
                                          double slack) const {
    // p may be a number where p / a is none. There 1 is nothing beside exp(u), and all is linear.
    constexpr double kMost = 700, kTaken = 600;
    if (u > kMost) {
      off = std::exp(u - kTaken);
      a *= std::exp(kTaken);
    }
    const Optimality of_unit = relative(f, u, off, target, slack);
    return {a * of_unit.residual, a * of_unit.gap};
  }

 private:
  MONGE_HOST_DEVICE Optimality relative(double f, double u, double off, double target,
                                        double slack) const {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (kind == Kind::kl)
      return {target * std::abs(off), strength * target * (u * off - (off - u))};
    if (kind == Kind::tv) {
      const double over = std::max(off, 0.0), under = std::max(-off, 0.0);
      const double residual = f >= strength ? over : f <= -strength ? under : std::abs(off);
      return {residual, f * off + strength * std::abs(off)};
    }
    if (kind == Kind::capped) {
      const double residual = f >= level ? std::max(off, 0.0) : std::abs(off);
      return {residual, off > slack ? kInfinity : (f - level) * std::min(off, 0.0)};
    }
    return {std::abs(off), std::abs(off) > slack ? kInfinity : 0};
  }
};
}  // namespace monge::kernels
