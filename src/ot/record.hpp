// What a solve has to show: its report, the pair that is returned, and when either ends it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "monge/core/error.hpp"
#include "ot/alternation.hpp"
#include "ot/arrays.hpp"
#include "ot/check_plan.hpp"
#include "ot/split_pair.hpp"

namespace monge {
/// By whether the sweeps that say it read a kernel.
struct Reaches {
  Reach streamed, absorbed;
  const Reach& of(bool by_kernel) const { return by_kernel ? absorbed : streamed; }
};

template <class T>
class Record {
 public:
  using Check = typename Alternation<T>::Check;

  Record(const SinkhornOptions& options, const Alternation<T>& alternation, const Reaches& reach,
         Exec& exec)
      : options_(options), alternation_(alternation), reach_(reach), exec_(exec) {
    report.predicted_floor = reach.streamed.predicted();
  }

  /// Goes on from what was done before.
  void count(const SinkhornReport& begun) {
    iterations = begun.iterations;
    passes_before_ = begun.passes;
    report.fast_passes = begun.fast_passes;
    report.absorbed = begun.absorbed;
    report.coarse_passes = begun.coarse_passes;
    report.trace = begun.trace;
    report.phases = begun.phases;
  }
  void iterated() { exec_.state.iterations = ++iterations; }
  std::int64_t passes() const { return passes_before_ + alternation_.passes(); }
  bool last() const { return iterations + 1 >= options_.max_iterations; }

  /// What follows is another method's work. One that did nothing leaves no trace.
  void phase(const std::string& name, const std::string& why) {
    end_phase();
    report.phases.push_back({name, 0, 0, why});
    phase_passes_ = passes();
    phase_iterations_ = iterations;
  }
  /// `steps`: where they are not iterations.
  void end_phase(std::int64_t steps = -1, const std::string& remark = {}) {
    if (phase_passes_ < 0) return;
    SinkhornPhase& phase = report.phases.back();
    phase.passes = static_cast<double>(passes() - phase_passes_);
    phase.steps = steps >= 0 ? steps : iterations - phase_iterations_;
    phase.why += remark;
    if (phase.passes == 0) report.phases.pop_back();
    phase_passes_ = -1;
  }

  bool meets(const Check& check) const {
    if (options_.criterion == Criterion::residual)
      return reach_.of(check.absorbed)
          .meets(check.marginal_error + check.truncation, options_.tolerance);
    const double scale = std::max(std::abs(check.dual), options_.epsilon * check.mass);
    return check.gap + options_.epsilon * check.mass * check.truncation <=
           options_.tolerance * scale;
  }

  /// A check at the target. True: the solve ends with it; `last`: for want of iterations;
  /// `may_improve`: a pair that stands still is no floor yet.
  bool decide(const Check& check, bool last, bool may_improve) {
    const Reach& reach = reach_.of(check.absorbed);
    const double shown = reach.shown(check.marginal_error),
                 before = reach_.of(kept_.absorbed).shown(report.marginal_error);
    const bool better = !has_pair() || shown < before;
    flat_ = better ? 0 : flat_ + 1;
    if (better || (shown == before && check.marginal_error < report.marginal_error)) keep(check);
    const int repeated = repeats_.of(check);
    const bool go_on = tell(check);
    if (meets(check)) {
      keep(check);
      report.status = Status::converged;
    } else if (!go_on) {
      stop(check);
    } else if ((flat_ >= kFlatChecks && report.marginal_error < reach.flat_below()) ||
               (repeated >= kFlatChecks && !may_improve)) {
      report.status = Status::precision_floor;
    } else if (last) {
      report.status = Status::max_iterations;
    } else {
      return false;
    }
    return true;
  }

  /// Appends to the trace and tells the callback; false when it says stop.
  bool tell(const Check& check) {
    SinkhornCheck entry;
    fill(entry, check);
    report.trace.push_back(entry);
    exec_.state.epsilon = entry.epsilon;
    exec_.state.marginal_error = entry.marginal_error;
    if (!options_.on_check) return true;
    SinkhornReport current = report;
    static_cast<SinkhornCheck&>(current) = entry;
    current.duality_gap = check.gap;
    current.absorbed += alternation_.absorbed();
    return options_.on_check(current);
  }

  void stop(const Check& check) {
    keep(check);
    report.status = Status::stopped;
  }
  /// At a number that is not finite.
  void fail() {
    if (!has_pair())
      throw Error("[sinkhorn] a non-finite number appeared before the first check at epsilon " +
                  std::to_string(options_.epsilon));
    report.status = Status::diverged;
  }
  bool has_pair() const { return !pair_.empty(); }

  SinkhornResult<T> finish(const Problem<T>& problem) {
    end_phase();
    report.converged = report.status == Status::converged;
    report.iterations = iterations;
    report.passes = passes();
    report.absorbed += alternation_.absorbed();
    fix_gauge(problem);
    return std::move(pair_).with(std::move(report));
  }

  static constexpr int kFlatChecks = 3;  // checks without progress that make a floor

  SinkhornReport report;
  int iterations = 0;

 private:
  // Makes the current pair the one that is returned.
  void keep(const Check& check) {
    alternation_.copy_pair(check, pair_, exec_);
    kept_ = check;
    fill(report, check);
    report.duality_gap = check.gap;
    report.mass_level = check.level;
    report.predicted_floor = reach_.of(check.absorbed).predicted();
  }

  void fill(SinkhornCheck& to, const Check& check) const {
    to.iterations = iterations;
    to.passes = passes();
    to.epsilon = alternation_.epsilon();
    to.marginal_error = check.marginal_error;
    to.residual_a = check.residual_a;
    to.residual_b = check.residual_b;
    to.dual_value = check.dual;
    to.transported_mass = check.mass;
    to.truncation = check.truncation;
  }

  // Two Balanced sides leave (f + c, g - c) free: stored with m_b sum a f = m_a sum b g. Their
  // conjugates are f and g themselves, and the dual sees c by what the masses differ.
  void fix_gauge(const Problem<T>& problem) {
    if (!std::holds_alternative<Balanced>(problem.marginal_a()) ||
        !std::holds_alternative<Balanced>(problem.marginal_b()))
      return;
    const double ma = problem.mass_a(), mb = problem.mass_b();
    const double c = (ma * kept_.dual_b - mb * kept_.dual_a) / (2 * ma * mb);
    pair_.shift(Side::source, c, exec_);
    pair_.shift(Side::target, -c, exec_);
    report.dual_value += c * (ma - mb);
  }

  const SinkhornOptions& options_;
  const Alternation<T>& alternation_;
  const Reaches reach_;
  Exec& exec_;
  SplitPair<T> pair_;
  Check kept_{};  // of it
  Repeats repeats_;
  int flat_ = 0, phase_iterations_ = 0;
  std::int64_t passes_before_ = 0, phase_passes_ = -1;
};
}  // namespace monge
