// Over-relaxation f += omega (prox(s) - f): how omega follows the observed rate (Thibault, Chizat,
// Dossal, Papadakis 2017, arXiv 1711.01851; the rate formula is that of successive
// over-relaxation, Young 1954).
#pragma once
#include <algorithm>
#include <cmath>

namespace monge {
/// The best omega when a plain iteration multiplies the error by `rate`.
inline double best_omega(double rate) {
  return 2 / (1 + std::sqrt(1 - std::clamp(rate, 0.0, 1 - 1e-12)));
}

/// The plain rate behind an observed rate under omega; below the optimum alone, where
/// (observed + omega - 1)^2 = observed omega^2 rate. At or beyond it the observed rate is
/// omega - 1 and says nothing.
inline double plain_rate(double observed, double omega) {
  const double shifted = observed + omega - 1;
  return std::clamp(shifted * shifted / (observed * omega * omega), 0.0, 1 - 1e-12);
}

/// Decides omega for the fixed-epsilon phase from residuals at checks.
class Relaxation {
 public:
  /// `automatic`: relax only where plain iterations would need more than kPatience passes.
  Relaxation(bool enabled, bool automatic) : enabled_(enabled), automatic_(automatic) {}

  double omega() const { return omega_; }
  /// Whether its decisions need the residual after that many iterations at the target.
  bool measures(int iterations) const {
    return enabled_ && omega_ == 1 && iterations % kWindow == 0;
  }

  /// A residual after `iterations` iterations at the target epsilon; `tolerance` is what it has to
  /// reach. Call at every check.
  void observe(int iterations, double residual, double tolerance) {
    if (!enabled_) return;
    if (residual > 0 && last_residual_ > 0 && iterations > last_iterations_) {
      const double rate =
          std::pow(residual / last_residual_, 1.0 / (iterations - last_iterations_));
      if (omega_ == 1)
        start(iterations, rate, residual, tolerance);
      else
        adapt(iterations, rate);
    }
    if (iterations % kWindow == 0 || last_residual_ < 0) {
      last_residual_ = residual;
      last_iterations_ = iterations;
    }
  }

 private:
  static constexpr int kPlain = 20;     // iterations before the first estimate
  static constexpr int kWindow = 10;    // iterations between estimates
  static constexpr int kPatience = 40;  // predicted passes that are not worth an acceleration

  void start(int iterations, double rate, double residual, double tolerance) {
    if (iterations - plain_from_ < kPlain || iterations - last_iterations_ < kWindow || rate >= 1)
      return;
    const double passes = 2 * std::log(tolerance / residual) / std::log(rate);
    if (!automatic_ || passes >= kPatience) omega_ = best_omega(rate);
  }

  void adapt(int iterations, double observed) {
    if (iterations - last_iterations_ < kWindow) return;
    if (observed > 1) {  // growing twice: back to plain iterations, then estimate afresh
      if (++grown_ == 2) {
        omega_ = 1;
        grown_ = 0;
        plain_from_ = iterations;
      }
      return;
    }
    grown_ = 0;
    if (observed > omega_ - 1) omega_ = std::max(omega_, best_omega(plain_rate(observed, omega_)));
  }

  bool enabled_, automatic_;
  double omega_ = 1, last_residual_ = -1;
  int last_iterations_ = 0, plain_from_ = 0, grown_ = 0;
};
}  // namespace monge
