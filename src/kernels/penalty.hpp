// How one side of the plan is held, entry by entry: the proximal step, the conjugate and the
// optimality residual of each marginal (ot.md section 1.1). Shared by every backend.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace monge::kernels {
struct Penalty {
  enum class Kind : std::uint8_t { balanced, kl, tv, capped };
  Kind kind = Kind::balanced;
  double strength = 0;  // rho of kl, lambda of tv
  double level = 0;     // capped: f <= level, the multiplier of p <= a

  /// f that maximises the dual given s = softmin of the other side.
  double prox(double s, double eps) const {
    switch (kind) {
      case Kind::kl: return strength / (strength + eps) * s;
      case Kind::tv: return std::clamp(s, -strength, strength);
      case Kind::capped: return std::min(s, level);
      case Kind::balanced: break;
    }
    return s;
  }

  /// The nearest potential at which the dual is finite.
  double feasible(double f) const {
    if (kind == Kind::tv) return std::clamp(f, -strength, strength);
    return kind == Kind::capped ? std::min(f, level) : f;
  }

  /// Dual term per unit of weight.
  double conjugate(double f) const {
    if (kind == Kind::kl) return -strength * std::expm1(-f / strength);
    return kind == Kind::capped ? f - level : f;
  }

  /// log of (marginal / its target): what is left of an optimal entry is 0. z = log(p / a).
  double log_ratio(double f, double z) const { return kind == Kind::kl ? z + f / strength : z; }

  /// Violation of optimality per unit of weight, |p - target| / a with the nearest admissible
  /// target, and the entry's share of the duality gap.
  double residual(double f, double z) const {
    const double u = log_ratio(f, z), off = std::expm1(u);
    switch (kind) {
      case Kind::kl: return std::exp(-f / strength) * std::abs(off);
      case Kind::tv:
        if (f >= strength) return std::max(off, 0.0);
        if (f <= -strength) return std::max(-off, 0.0);
        break;
      case Kind::capped:
        if (f >= level) return std::max(off, 0.0);
        break;
      case Kind::balanced: break;
    }
    return std::abs(off);
  }

  /// Share of primal - dual per unit of weight; +infinity where a hard constraint is missed by
  /// more than rounding (`slack`, relative).
  double gap(double f, double z, double slack) const {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const double u = log_ratio(f, z), off = std::expm1(u);
    switch (kind) {
      case Kind::kl: return strength * std::exp(-f / strength) * (u * off - (off - u));
      case Kind::tv: return f * off + strength * std::abs(off);
      case Kind::capped: return off > slack ? kInfinity : (f - level) * std::min(off, 0.0);
      case Kind::balanced: break;
    }
    return std::abs(off) > slack ? kInfinity : 0;
  }
};
}  // namespace monge::kernels
