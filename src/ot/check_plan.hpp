// When a solve looks at its pair, and what two looks tell.
#pragma once
#include <algorithm>
#include <array>
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

  void restart() {
    next_ = 1;
    count_ = 0;
  }
  bool due(int at_target) const { return at_target >= next_; }

  /// The error there, of a pair that was measured, whether a check was due or not.
  void observe(int at_target, double error) {
    seen_[count_++ % kSeen] = {at_target, error};
    predicted_ = 1;  // after the first, to see it fall
    if (count_ == 1) return;
    Seen from{};
    for (int k = 2; k <= std::min(count_, kSeen); ++k) {
      from = seen_[(count_ - k) % kSeen];
      if (at_target - from.at >= kLength) break;
    }
    const double fall = std::log(from.error / error) / (at_target - from.at);
    predicted_ =
        fall > 0 ? std::ceil(std::log(error / options_.tolerance) / fall) : options_.max_iterations;
  }

  /// The check that was due is over.
  void plan(int at_target, bool relaxed) {
    const int every = relaxed ? std::max(options_.check_every, kRelaxed) : options_.check_every;
    next_ = at_target + every - at_target % every;
    if (!relaxed && options_.criterion == Criterion::residual)
      next_ = std::min<double>(next_, at_target + std::max(1.0, predicted_));
  }

  /// Iterations that are predicted after `iterations`. An error says nothing of a gap.
  double to_go(int iterations) const {
    const double left = options_.max_iterations - iterations;
    return std::min(left, options_.criterion == Criterion::gap ? options_.check_every : predicted_);
  }

 private:
  static constexpr int kRelaxed = 10;  // a check costs a plain half-step
  static constexpr int kLength = 4;    // iterations that a rate is taken over, where they are seen
  static constexpr int kSeen = kLength + 1;

  struct Seen {
    int at;
    double error;
  };
  const SinkhornOptions& options_;
  std::array<Seen, kSeen> seen_{};
  int next_ = 1, count_ = 0;
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
