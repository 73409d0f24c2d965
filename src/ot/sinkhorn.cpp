#include "monge/ot/sinkhorn.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#include "ot/alternation.hpp"
#include "ot/arrays.hpp"
#include "ot/check_plan.hpp"
#include "ot/relaxation.hpp"
#include "ot/sinkhorn_options.hpp"

namespace monge {
namespace {
constexpr double kLevelTolerance = 1e-2;  // marginal error that ends an annealing level
constexpr int kLevelIterations = 50;      // a level is a start, never a finish
constexpr double kSkippedLevels = 128;  // of the first annealing: plain steps are fast up to there
constexpr int kStallWindow = 100;       // iterations at the target that must
constexpr double kStallRatio = 0.99;    // reduce the error by this, or mass stands where only
                                        // a larger epsilon moves it
constexpr double kFastShare = 0.1;      // of the estimated error of fast: what it may leave
constexpr double kAccurateShare = 1.0 / 3;  // of the iterations that are left to finish in
constexpr int kFirstFinite = 20;            // iterations within which a check must be finite
constexpr int kFlatChecks = 3;              // checks without progress that make a floor
constexpr int kPassesAhead = 4;             // that an epsilon takes at least, but for luck
constexpr double kRoughError = 5e-7;        // that a rough kernel may still show as it is, and
constexpr double kRoughShare = 0.8;         // of the tolerance: exact passes then find it met

/// That of rounding; and two Balanced sides cannot agree better than their masses do.
template <class T>
Reach reach_of(const Problem<T>& problem, Reach reach) {
  if (std::holds_alternative<Balanced>(problem.marginal_a()) &&
      std::holds_alternative<Balanced>(problem.marginal_b()))
    reach.floor = std::max(reach.floor, std::abs(problem.mass_a() - problem.mass_b()) /
                                            std::min(problem.mass_a(), problem.mass_b()));
  return reach;
}

/// Two Balanced sides leave (f + c, g - c) free: stored with m_b sum a f = m_a sum b g. Their
/// conjugates are f and g themselves.
template <class T>
void fix_gauge(const Problem<T>& problem, double dual_a, double dual_b, Buffer<T>& f, Buffer<T>& g,
               Exec& exec) {
  if (!std::holds_alternative<Balanced>(problem.marginal_a()) ||
      !std::holds_alternative<Balanced>(problem.marginal_b()))
    return;
  const double ma = problem.mass_a(), mb = problem.mass_b();
  const double c = (ma * dual_b - mb * dual_a) / (2 * ma * mb);
  kernels::shift(f.data(), f.size(), c, exec);
  kernels::shift(g.data(), g.size(), -c, exec);
}

/// One solve: the schedule, the checks and what they decide.
template <class T>
class Solve {
 public:
  Solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec)
      : problem_(problem),
        options_(options),
        exec_(exec),
        fast_stage_(options.schedule == Schedule::staged),
        op_(problem, fast_stage_ ? kernels::Precision::fast : swept_in(options.precision), exec),
        alternation_(problem, op_, options.translate, exec),
        reach_(reach_of(problem, op_.reach(options.epsilon))),
        relaxation_(make_relaxation()),
        checks_(options),
        kernel_cache_(cache_bytes(options, exec.device)) {}

  /// Counts what was done before.
  void count(const SinkhornReport& begun) {
    iterations_ = begun.iterations;
    passes_before_ = begun.passes;
    report_.fast_passes = begun.fast_passes;
    report_.absorbed = begun.absorbed;
    report_.trace = begun.trace;
  }

  SinkhornResult<T> run(const Start<T>& start) {
    exec_.state = {};
    report_.predicted_floor = reach_.predicted();
    report_.weight_error = op_.weight_error(options_.epsilon);
    alternation_.start(start, exec_);
    const bool cold = !start.f.size && !start.g.size;
    bool going = true;
    annealed_ = options_.annealing == Annealing::automatic && cold;
    if (annealed_) going = anneal(range() / kSkippedLevels, kLevelIterations);
    if (going) target();
    return finish();
  }

 private:
  double range() const { return std::min(op_.max_cost(), op_.needed_cost()) - op_.min_cost(); }

  // Halves epsilon from `first` to the target. False: stop.
  bool anneal(double first, int level_iterations) {
    for (double eps = first; eps > options_.epsilon; eps /= 2)
      if (!level(eps, level_iterations)) return false;
    return true;
  }

  bool level(double eps, int iterations) {
    begin(eps);
    Repeats repeats;
    for (int i = 0; i < iterations; ++i) {
      if (iterations_ + 1 >= options_.max_iterations)
        return true;  // the last iteration is the target's
      alternation_.lead(1, exec_);
      alternation_.sweep_following(exec_);
      const auto check = alternation_.check(exec_);
      exec_.state.iterations = ++iterations_;
      if (!check.finite) return true;  // the target decides what a non-finite number means
      const bool done = check.marginal_error < level_tolerance_;
      if (done && !record(check)) return stop(check);
      alternation_.follow(1, exec_);
      if (done || repeats.of(check) >= kFlatChecks) break;
    }
    return true;
  }

  void begin(double eps) {
    alternation_.set_epsilon(eps);
    leave_fast(eps);
    const double left = 2.0 * (options_.max_iterations - iterations_);
    alternation_.absorb(std::min<double>(kPassesAhead, left), kernel_cache_, false, exec_);
  }

  void begin_target() {
    begin(options_.epsilon);
    checks_.restart();
  }

  void target() {
    begin_target();
    for (int at_target = 1;; ++at_target) {
      const bool last = iterations_ + 1 >= options_.max_iterations;
      if (fast_stage_ && iterations_ + 1 > options_.max_iterations * (1 - kAccurateShare))
        end_fast_stage();
      if (op_.is_rough() && iterations_ + 2 >= options_.max_iterations) end_rough_stage();
      const bool checked = last || checks_.due(at_target);
      alternation_.lead(checked ? 1 : relaxation_.omega(), exec_);
      alternation_.sweep_following(exec_);
      exec_.state.iterations = ++iterations_;
      if (checked || relaxation_.measures(at_target)) {
        const auto check = alternation_.check(exec_);
        if (!check.finite) {
          // At a start far from the plan its mass may overflow: the next steps bring it back.
          if (has_pair_ || at_target >= kFirstFinite || last) return fail(Status::diverged);
          alternation_.follow(1, exec_);
          continue;
        }
        const bool rough = op_.is_rough();
        if (!fast_stage_ && !rough) {
          if ((checked || meets(check)) && decide(check, last)) return;
        } else if (checked && !record(check)) {
          stop(check);
          return;
        }
        relaxation_.observe(at_target, check.marginal_error, options_.tolerance);
        if (checked) checks_.plan(at_target, check.marginal_error, relaxation_.omega() > 1);
        if (fast_stage_) {
          if (fast_is_done(check)) end_fast_stage();
        } else if (rough) {
          if (rough_is_done(check)) end_rough_stage();
        } else if (checked && stalled(at_target, check.marginal_error)) {
          // An outlier's mass, say, that a loose level left on the wrong partner: its potential has
          // a distance of thousands of epsilon to go. Anneal again, each level further.
          level_tolerance_ = std::max(level_tolerance_ / 100, finest_level());
          if (!anneal(range(), kStallWindow * kLevelIterations)) return;
          begin_target();
          relaxation_ = make_relaxation();
          at_target = 0;
          continue;
        }
      }
      if (checked && at_target > 1)
        alternation_.absorb(2 * checks_.to_go(iterations_), kernel_cache_, may_be_rough_, exec_);
      alternation_.follow(relaxation_.omega(), exec_);
    }
  }

  // Where it would be too wrong to bring a solve anywhere.
  void leave_fast(double eps) {
    if (fast_stage_ && kFastShare * op_.weight_error(eps) >= kLevelTolerance) end_fast_stage();
  }

  // What is measured in fast decides nothing but where accurate begins.
  bool fast_is_done(const typename Alternation<T>::Check& check) {
    flat_ = check.marginal_error < fast_error_ ? 0 : flat_ + 1;
    fast_error_ = std::min(fast_error_, check.marginal_error);
    const double enough =
        std::max(options_.tolerance, kFastShare * op_.weight_error(options_.epsilon));
    return check.marginal_error <= enough || flat_ >= kFlatChecks;
  }

  void end_fast_stage() {
    op_.sweep_in(kernels::Precision::accurate);
    report_.fast_passes = passes();
    report_.weight_error = 0;
    fast_stage_ = false;
    flat_ = 0;
    checks_.restart();
  }

  // A kernel in float of a problem in double: what it hides, passes without it have to find.
  bool rough_is_done(const typename Alternation<T>::Check& check) {
    flat_ = check.marginal_error < fast_error_ ? 0 : flat_ + 1;
    fast_error_ = std::min(fast_error_, check.marginal_error);
    return check.marginal_error <= std::max(kRoughShare * options_.tolerance, kRoughError) ||
           flat_ >= kFlatChecks;
  }

  void end_rough_stage() {
    op_.forget();
    may_be_rough_ = false;
    flat_ = 0;
    checks_.restart();
  }

  double finest_level() const { return std::max(options_.tolerance, reach_.flat_below()); }
  bool may_anneal() const { return annealed_ && level_tolerance_ > finest_level(); }

  // Whether the last window brought nothing, and tighter levels may.
  bool stalled(int at_target, double error) {
    if (!may_anneal()) return false;
    if (at_target == 1) {
      window_start_ = 1;
      window_error_ = error;
    }
    if (at_target - window_start_ < kStallWindow) return false;
    const bool flat = error > kStallRatio * window_error_;
    window_start_ = at_target;
    window_error_ = error;
    return flat && error > reach_.flat_below();
  }

  Relaxation make_relaxation() const {
    return {options_.acceleration != Acceleration::none,
            options_.acceleration == Acceleration::automatic};
  }

  // True: the solve ends here.
  bool decide(const typename Alternation<T>::Check& check, bool last) {
    const bool better = !has_pair_ || check.marginal_error < report_.marginal_error;
    flat_ = better ? 0 : flat_ + 1;
    if (better) keep(check);
    const int repeated = repeats_.of(check);
    const bool go_on = record(check);
    if (meets(check)) {
      keep(check);
      report_.status = Status::converged;
    } else if (!go_on) {
      return !stop(check);
    } else if ((flat_ >= kFlatChecks && report_.marginal_error < reach_.flat_below()) ||
               (repeated >= kFlatChecks && !may_anneal())) {
      report_.status = Status::precision_floor;
    } else if (last) {
      report_.status = Status::max_iterations;
    } else {
      return false;
    }
    return true;
  }

  bool meets(const typename Alternation<T>::Check& check) const {
    if (options_.criterion == Criterion::residual)
      return reach_.meets(check.marginal_error, options_.tolerance);
    const double scale = std::max(std::abs(check.dual), options_.epsilon * check.mass);
    return check.gap <= options_.tolerance * scale;
  }

  bool stop(const typename Alternation<T>::Check& check) {
    keep(check);
    report_.status = Status::stopped;
    return false;
  }

  void fail(Status status) {
    if (!has_pair_)
      throw Error(fmt::format(
          "[sinkhorn] a non-finite number appeared before the first check at epsilon {}",
          options_.epsilon));
    report_.status = status;
  }

  // Makes the current pair the one that is returned.
  void keep(const typename Alternation<T>::Check& check) {
    alternation_.copy_pair(check, f_, g_, exec_);
    kept_ = check;
    fill(report_, check);
    report_.duality_gap = check.gap;
    report_.mass_level = check.level;
    has_pair_ = true;
  }

  void fill(SinkhornCheck& to, const typename Alternation<T>::Check& check) const {
    to.iterations = iterations_;
    to.passes = passes();
    to.epsilon = alternation_.epsilon();
    to.marginal_error = check.marginal_error;
    to.residual_a = check.residual_a;
    to.residual_b = check.residual_b;
    to.dual_value = check.dual;
    to.transported_mass = check.mass;
  }

  // Appends to the trace and tells the callback; false when it says stop.
  bool record(const typename Alternation<T>::Check& check) {
    SinkhornCheck entry;
    fill(entry, check);
    report_.trace.push_back(entry);
    exec_.state.epsilon = entry.epsilon;
    exec_.state.marginal_error = entry.marginal_error;
    if (!options_.on_check) return true;
    SinkhornReport current = report_;
    static_cast<SinkhornCheck&>(current) = entry;
    current.duality_gap = check.gap;
    current.omega = relaxation_.omega();
    current.absorbed += alternation_.absorbed();
    return options_.on_check(current);
  }

  SinkhornResult<T> finish() {
    report_.converged = report_.status == Status::converged;
    report_.iterations = iterations_;
    report_.passes = passes();
    report_.absorbed += alternation_.absorbed();
    report_.omega = relaxation_.omega();
    if (fast_stage_ || options_.precision == Precision::fast) report_.fast_passes = passes();
    fix_gauge(problem_, kept_.dual_a, kept_.dual_b, f_, g_, exec_);
    synchronize(exec_.device, exec_.stream);
    return {std::move(f_), std::move(g_), std::move(report_)};
  }

  std::int64_t passes() const { return passes_before_ + alternation_.passes(); }

  const Problem<T>& problem_;
  const SinkhornOptions& options_;
  Exec& exec_;
  bool fast_stage_;  // of the schedule staged
  Operator<T> op_;
  Alternation<T> alternation_;
  const Reach reach_;
  Relaxation relaxation_;
  CheckPlan checks_;
  const std::int64_t kernel_cache_;
  SinkhornReport report_;
  Buffer<T> f_, g_;
  typename Alternation<T>::Check kept_{};  // of f_ and g_
  Repeats repeats_;
  double level_tolerance_ = kLevelTolerance, window_error_ = 0;
  int iterations_ = 0, flat_ = 0, window_start_ = 0;
  double fast_error_ = std::numeric_limits<double>::infinity();
  std::int64_t passes_before_ = 0;
  bool has_pair_ = false, annealed_ = false;
  bool may_be_rough_ = options_.criterion == Criterion::residual;
};
/// Lower bounds are known to plain iterations alone.
template <class T>
SinkhornOptions acting_on(const Problem<T>& problem, SinkhornOptions options) {
  if (problem.bounds()) options.acceleration = Acceleration::none;
  return options;
}
}  // namespace

const char* to_string(Status status) {
  switch (status) {
    case Status::converged:
      return "converged";
    case Status::max_iterations:
      return "max_iterations";
    case Status::precision_floor:
      return "precision_floor";
    case Status::diverged:
      return "diverged";
    case Status::stopped:
      return "stopped";
  }
  return "unknown";
}

template <class T>
SinkhornResult<T> sinkhorn(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                           const Start<T>& start) {
  validate(problem, options, start, exec);
  const SinkhornOptions acting = acting_on(problem, options);
  return Solve<T>(problem, acting, exec).run(start);
}

bool goes_on(const SinkhornOptions& options, const SinkhornReport& report) {
  return options.precision == Precision::automatic && report.status == Status::precision_floor &&
         report.iterations < options.max_iterations;
}

SinkhornResult<double> sinkhorn(const Problem<double>& problem, const SinkhornOptions& options,
                                Exec& exec, const SinkhornResult<float>& begun) {
  SinkhornOptions mixed = options;
  mixed.precision = Precision::mixed;
  mixed.schedule = Schedule::plain;
  mixed = acting_on(problem, mixed);
  const auto f = widened(begun.f, exec), g = widened(begun.g, exec);
  const Start<double> start{f.view(), g.view()};
  validate(problem, mixed, start, exec);
  Solve<double> solve(problem, mixed, exec);
  solve.count(begun.report);
  return solve.run(start);
}

template SinkhornResult<float> sinkhorn(const Problem<float>&, const SinkhornOptions&, Exec&,
                                        const Start<float>&);
template SinkhornResult<double> sinkhorn(const Problem<double>&, const SinkhornOptions&, Exec&,
                                         const Start<double>&);
}  // namespace monge
