// When a solve looks at its pair, and what two looks tell.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "monge/ot/sinkhorn.hpp"

namespace monge {
/// At the first iteration at the target, at multiples of check_every, and before where the fall of
/// the error so far says that it will have met the tolerance. Relaxed steps pause for a check: not
/// more often than kRelaxed.
class CheckPlan {
 public:
  explicit CheckPlan(const SinkhornOptions& options) : options_(options) {}

  void restart() { next_ = 1; }
  bool due(int at_target) const { return at_target >= next_; }

  /// The check that is due has found `error`.
  void plan(int at_target, double error, bool relaxed) {
    const int every = relaxed ? std::max(options_.check_every, kRelaxed) : options_.check_every;
    next_ = at_target + every - at_target % every;
    predicted_ = 1;  // after the first check, to see it fall
    if (at_target > 1) {
      const double fall = std::log(seen_error_ / error) / (at_target - seen_at_);
      predicted_ = fall > 0 ? std::ceil(std::log(error / options_.tolerance) / fall)
                            : options_.max_iterations;
    }
    if (!relaxed && options_.criterion == Criterion::residual)
      next_ = std::min<double>(next_, at_target + std::max(1.0, predicted_));
    seen_at_ = at_target;
    seen_error_ = error;
  }

  /// Iterations that are predicted after `iterations`. An error says nothing of a gap.
  double to_go(int iterations) const {
    const double left = options_.max_iterations - iterations;
    return std::min(left, options_.criterion == Criterion::gap ? options_.check_every : predicted_);
  }

 private:
  static constexpr int kRelaxed = 10;  // a check costs a plain half-step

  const SinkhornOptions& options_;
  int next_ = 1, seen_at_ = 0;
  double seen_error_ = 0;
  double predicted_ = 1;  // iterations to the tolerance as the error falls
};

/// How many checks in a row said the same to the bit: potentials that stand wherever rounding let
/// them.
class Repeats {
 public:
  template <class Check>
  int of(const Check& check) {
    const bool same = check.marginal_error == error_ && check.dual == dual_;
    error_ = check.marginal_error;
    dual_ = check.dual;
    return count_ = same ? count_ + 1 : 0;
  }

 private:
  double error_ = std::numeric_limits<double>::quiet_NaN(), dual_ = 0;
  int count_ = 0;
};
}  // namespace monge
