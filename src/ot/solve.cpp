#include "ot/solve.hpp"

#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"
#include "ot/float_start.hpp"
#include "ot/initial.hpp"
#include "ot/pyramid.hpp"
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
constexpr int kPlainSteps = 1;              // of a level, or the target, before the first mix
constexpr double kPatience = 1;             // predicted iterations that are not worth one
constexpr double kWild = 1;                 // marginal error after a step along epsilon that failed
constexpr double kCoarsePatience = 15;      // predicted iterations that are not worth a correction
constexpr int kUncorrected = 3;             // iterations at the target that tell how slow mixing is
constexpr double kCoarsePairs = 2.5e5;      // pairs beside which what it does on the host is much,
constexpr double kManyPairs = 1e6;          // those beside which it is nothing to wait for,
constexpr double kCoarsePairsOnGpu = 1e8, kPairsOfLaunches = 5e7;  // and iterations are launches
constexpr int kMixingPatience = 100;     // iterations at the target, done and to come, of mixing
constexpr int kPatienceOnLine = 25;      // the same on a line that no KL side softens
constexpr int kTreePatience = 25;        // the same, where passes are those of trees, and
constexpr double kFarBelow = 12;         // the epsilon of their nodes over the target
constexpr double kFirstSupport = 0.02;   // of the range of the cost
constexpr double kSupportPatience = 10;  // predicted iterations that are not worth a support
constexpr std::int64_t kManyPoints = 1000, kManyOnGpu = 1 << 18;  // where a subsample pays, and
constexpr std::int64_t kManyAtOnce = 2048;  // at an epsilon that is not annealed to
constexpr int kPassesAhead = 4;             // that an epsilon takes at least, but for luck
constexpr double kRoughError = 5e-7;        // that a rough kernel may still show as it is, and
constexpr double kRoughShare = 0.8;         // of the tolerance: exact passes then find it met
constexpr double kNearFloor = 2;            // times what rounding hides: where a kernel lowers that
constexpr int kKernelsForFloor = 3;         // that are tried for its sake alone
constexpr const char* kSupportLeft = "the support phase left";
constexpr double kAtAnyPrice = std::numeric_limits<double>::infinity();  // passes

/// That of rounding; and two Balanced sides cannot agree better than their masses do.
template <class T>
Reach reach_of(const Problem<T>& problem, Reach reach) {
  if (std::holds_alternative<Balanced>(problem.marginal_a()) &&
      std::holds_alternative<Balanced>(problem.marginal_b()))
    reach.floor = std::max(reach.floor, std::abs(problem.mass_a() - problem.mass_b()) /
                                            std::min(problem.mass_a(), problem.mass_b()));
  return reach;
}
}  // namespace

template <class T>
Solve<T>::Solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                std::shared_ptr<const Forest<T>> forest)
    : problem_(problem),
      options_(options),
      exec_(exec),
      fast_stage_(options.schedule == Schedule::staged),
      op_(problem, fast_stage_ ? kernels::Precision::fast : swept_in(options.precision), exec),
      alternation_(problem, op_, options.translate, exec),
      reach_{reach_of(problem, op_.reach(options.epsilon, false)),
             reach_of(problem, op_.reach(options.epsilon, true))},
      record_(options, alternation_, reach_, exec),
      relaxation_(make_relaxation()),
      mixing_(problem, alternation_, exec),
      checks_(options),
      kernel_cache_(cache_bytes(options.kernel_cache, exec.device)),
      level_tolerance_(kLevelTolerance),
      may_be_rough_(options.criterion == Criterion::residual) {
  if (!forest) return;
  record_.report.geometry = Sweeps::tree;
  op_.plant(std::move(forest), exec);
  alternation_.truncate(kTruncationShare * options.tolerance);
}

template <class T>
Start<T> Solve<T>::in_float(const Start<T>& start) {
  if constexpr (std::is_same_v<T, double>) {
    if (start.f.size || start.g.size || !begins_in_float(problem_, op_, options_)) return start;
    auto begun = solve_in_float(problem_, op_, options_, exec_);
    for (SinkhornPhase& phase : begun.report.phases) phase.why += ", in float32";
    record_.count(begun.report);
    begun_error_ = begun.report.marginal_error;
    begun_f_ = joined(begun.f, begun.f_rest, exec_);
    begun_g_ = joined(begun.g, begun.g_rest, exec_);
    return {begun_f_.view(), begun_g_.view()};
  }
  return start;
}

// Of two Balanced sides the potentials are their softmins, which sweeps would otherwise look for.
template <class T>
void Solve<T>::take_up() {
  if constexpr (std::is_same_v<T, double>)
    if (alternation_.balanced())
      alternation_.set_following(begun_g_.data(), begun_f_.data(), begun_g_.data(), exec_);
}

template <class T>
SinkhornResult<T> Solve<T>::run(const Start<T>& start) {
  support_below_ = options_.acceleration == Acceleration::support
                       ? std::numeric_limits<double>::infinity()
                       : kFirstSupport * op_.range();
  const bool cold = !start.f.size && !start.g.size;
  passes_are_many_ = begun_ > kFarBelow * options_.epsilon;
  const bool anneals = options_.annealing == Annealing::automatic && (cold || begun_ > 0);
  annealed_ = anneals || begun_g_.size() > 0;
  double first = begun_ > 0 ? begun_ / 2 : op_.range() / kSkippedLevels;
  Start<T> begin = start;
  std::optional<Initial<T>> found;
  if (const Initializer how = initializer(); cold && how != Initializer::zero) {
    const Side side = alternation_.following().side;
    SinkhornOptions by = options_;
    by.initializer = how;
    // Where a kernel is kept from the first pass on, which asks for both.
    const bool both =
        !exec_.device.is_cuda() && op_.repays(kPassesAhead, kernel_cache_, may_round(0), exec_);
    found.emplace(initial(problem_, op_, side, op_.range(), by, both, exec_));
    record_.report.phases.push_back(found->phase);
    (side == Side::source ? begin.f : begin.g) = found->potential.view();
    if (both) (side == Side::source ? begin.g : begin.f) = found->other.view();
    first = found->epsilon;
  }
  exec_.state = {};
  record_.report.weight_error = op_.weight_error(options_.epsilon);
  started_ = begin.f.size || begin.g.size;
  alternation_.start(begin, exec_);
  if (!anneals || anneal(first, kLevelIterations)) target();
  if (fast_stage_ || options_.precision == Precision::fast)
    record_.report.fast_passes = record_.passes();
  record_.report.kept = op_.kept();
  return record_.finish(problem_);
}

template <class T>
Initializer Solve<T>::initializer() const {
  if (options_.initializer != Initializer::automatic) return options_.initializer;
  if (annealed_ && can_coarsen(problem_)) return Initializer::coarse;
  // A GPU does many passes in the time of a small solve; and above few dimensions the sample's
  // points would take more memory than is promised.
  const bool cuda = exec_.device.is_cuda();
  const std::int64_t least = cuda                                              ? kManyOnGpu
                             : options_.epsilon < op_.range() / kSkippedLevels ? kManyPoints
                                                                               : kManyAtOnce;
  const bool many = annealed_ && op_.has_points() && !op_.has_images() &&
                    (!cuda || op_.dim() <= kDirectDimension) &&
                    std::min(problem_.n(), problem_.m()) >= least;
  return many ? Initializer::subsample : Initializer::zero;
}

// Halves epsilon from `first` to the target, g going on along the line through the last two
// levels. False: stop.
template <class T>
bool Solve<T>::anneal(double first, int level_iterations) {
  record_.phase("annealing", "from the range of the cost");
  double before = 0;  // the epsilon that before_ is for
  for (double eps = first; eps > options_.epsilon; eps /= 2) {
    begin(eps);
    // A GPU makes the level first, which it does in the time of a visit.
    const bool cuda = exec_.device.is_cuda();
    if (cuda && !level(level_iterations)) return false;
    if (const int k = record_.last() ? 0 : wants_support()) {
      if (support(k, "a level of the annealing")) return false;
      record_.phase("annealing", kSupportLeft);
      if (alternation_.epsilon() < eps) before = 0;
      eps = alternation_.epsilon();
      if (eps <= options_.epsilon) break;
    }
    if (!cuda && !level(level_iterations)) return false;
    const double next = std::max(eps / 2, options_.epsilon);
    extrapolated_ = before > 0 && !alternation_.has_level();
    extrapolated_ ? step_along((next - eps) / (eps - before)) : remember();
    before = eps;
  }
  return true;
}

template <class T>
bool Solve<T>::level(int iterations) {
  Repeats repeats;
  for (int i = 0; i < iterations; ++i) {
    if (record_.last()) return true;  // the last iteration is the target's
    alternation_.lead(1, exec_);
    mixing_.sweep();
    const auto check = alternation_.check(exec_);
    record_.iterated();
    if (strayed(check) || mixing_.undone(check)) continue;
    if (!check.finite) return true;  // the target decides what a non-finite number means
    const bool done = check.marginal_error < level_tolerance_;
    if (done && !record_.tell(check)) return record_.stop(check), false;
    if (i == kPlainSteps && may_mix()) mixing_.begin();
    mixing_.follow(1);
    if (done || repeats.of(check) >= Record<T>::kFlatChecks) break;
  }
  return true;
}

template <class T>
void Solve<T>::begin(double eps) {
  alternation_.set_epsilon(eps);
  leave_fast(eps);
  mixing_.end();
  const double left = 2.0 * (options_.max_iterations - record_.iterations);
  alternation_.absorb(std::min<double>(kPassesAhead, left), kernel_cache_, may_round(0), exec_);
}

template <class T>
void Solve<T>::target() {
  begin_target();
  if (begun_g_.size()) take_up();
  const bool met =
      begun_g_.size() > 0 &&
      op_.reach_in_float(options_.epsilon, false).meets(begun_error_, options_.tolerance);
  if (const int k = record_.last() || met ? 0 : wants_support()) {
    if (support(k, "at the target epsilon")) return;
    record_.phase("plain", kSupportLeft);
  }
  for (int at_target = 1;; ++at_target) {
    const bool last = record_.last();
    if (fast_stage_ && record_.iterations + 1 > options_.max_iterations * (1 - kAccurateShare))
      end_fast_stage();
    if (op_.is_rough() && record_.iterations + 2 >= options_.max_iterations) end_rough_stage();
    const bool checked = last || checks_.due(at_target);
    bool lowers_floor = false;
    alternation_.lead(checked ? 1 : relaxation_.omega(), exec_);
    mixing_.sweep();
    record_.iterated();
    const bool measured =
        checked || mixing_.active() || extrapolated_ || relaxation_.measures(at_target);
    if (measured) {
      const auto check = alternation_.check(exec_);
      // The only pair there will be is returned as it was measured, however far it strayed.
      const bool only = last && !record_.has_pair() && check.finite;
      if (!only && (strayed(check) || mixing_.undone(check))) {
        if (!last) continue;
        if (!record_.has_pair()) return record_.fail();
        record_.report.status = Status::max_iterations;
        return;
      }
      if (!check.finite) {
        // At a start far from the plan its mass may overflow: the next steps bring it back.
        if (record_.has_pair() || at_target >= kFirstFinite || last) return record_.fail();
        alternation_.follow(1, exec_);
        continue;
      }
      record_.report.omega = relaxation_.omega();
      const bool rough = op_.is_rough();
      if (!fast_stage_ && !rough) {
        lowers_floor = checked && kernel_lowers_floor(check);
        if ((checked || record_.meets(check)) &&
            record_.decide(check, last, may_anneal() || lowers_floor))
          return;
      } else if (checked && !record_.tell(check)) {
        return record_.stop(check);
      }
      relaxation_.observe(at_target, check.marginal_error, options_.tolerance);
      checks_.observe(at_target, check.marginal_error);
      if (checked) checks_.plan(at_target, relaxation_.omega() > 1);
      if (fast_stage_) {
        if (fast_is_done(check)) end_fast_stage();
      } else if (rough) {
        if (rough_is_done(check)) end_rough_stage();
      } else if (checked && stalled(at_target, check.marginal_error)) {
        // An outlier's mass, say, that a loose level left on the wrong partner: its potential has
        // a distance of thousands of epsilon to go. Anneal again, each level further.
        level_tolerance_ = std::max(level_tolerance_ / 100, finest_level());
        if (!anneal(op_.range(), kStallWindow * kLevelIterations)) return;
        begin_target();
        relaxation_ = make_relaxation();
        at_target = 0;
        continue;
      }
      if (many_on_trees(at_target)) {
        passes_are_many_ = true;
        if (!anneal(begun_ / 2, kLevelIterations)) return;
        begin_target();
        at_target = 0;
        continue;
      }
      if (at_target == 1 && on_hard_line()) remember();  // where Newton would begin
      const bool far = checks_.to_go(record_.iterations) > kSupportPatience;
      if (!rough && (at_target == 1 || far)) {
        if (const int k = at_target > 1 || met ? wants_support(slow(at_target)) : 0) {
          if (support(k, "the target is slow to reach")) return;
          record_.phase("plain", kSupportLeft);
          mixing_.end();
          checks_.restart();
          continue;
        }
        if (wants_newton(at_target)) {
          if (newton()) return;
          mixing_.end();
          checks_.restart();
        }
      }
    }
    if (measured && (at_target > 1 || started_))
      alternation_.absorb(lowers_floor    ? kAtAnyPrice
                          : at_target > 1 ? 2 * checks_.to_go(record_.iterations)
                                          : kPassesAhead,
                          kernel_cache_, !lowers_floor && may_round(at_target), exec_);
    if (!mixing_.active() && at_target > kPlainSteps && may_mix() &&
        (options_.acceleration == Acceleration::anderson ||
         checks_.to_go(record_.iterations) > kPatience)) {
      mixing_.begin();
      record_.phase("anderson", "plain steps are slow");
    }
    if (measured && mixing_.may_correct() &&
        checks_.to_go(record_.iterations) > coarse_patience(at_target))
      mixing_.correct();
    mixing_.follow(relaxation_.omega());
  }
}

template <class T>
void Solve<T>::begin_target() {
  begin(options_.epsilon);
  checks_.restart();
  const bool relaxed = options_.acceleration == Acceleration::over_relaxation;
  record_.phase(relaxed ? "over_relaxation" : "plain", "at the target epsilon");
}

// before_ becomes g.
template <class T>
void Solve<T>::remember() {
  const auto& side = alternation_.following();
  assign<double>(before_, {side.potential, side.weight.size, 1, exec_.device}, exec_);
}

// And g goes on along the line from it.
template <class T>
void Solve<T>::step_along(double factor) {
  const auto& side = alternation_.following();
  kernels::each(
      kernels::ExtrapolateArgs{factor, side.penalty, before_.data(), alternation_.moved()},
      side.weight.size, exec_);
}

// The first check after a step along epsilon: whether it went wrong, g then being where it was.
template <class T>
bool Solve<T>::strayed(const Check& check) {
  if (!std::exchange(extrapolated_, false)) return false;
  if (check.finite && check.marginal_error <= kWild) return false;
  alternation_.put_back(before_.data(), exec_);
  return true;
}

// Whether the last window brought nothing, and tighter levels may.
template <class T>
bool Solve<T>::stalled(int at_target, double error) {
  if (!may_anneal()) return false;
  if (at_target == 1) {
    window_start_ = 1;
    window_error_ = error;
  }
  if (at_target - window_start_ < kStallWindow) return false;
  const bool flat = error > kStallRatio * window_error_;
  window_start_ = at_target;
  window_error_ = error;
  return flat && error > reach_.streamed.flat_below();
}

// Whether a kernel may round: of double what exact passes then find, of float as streamed sweeps do
// where they meet the tolerance.
template <class T>
bool Solve<T>::may_round(int at_target) const {
  if (sizeof(T) == 8) return may_be_rough_ && at_target > 1;
  return options_.criterion == Criterion::residual &&
         reach_.streamed.predicted() <= options_.tolerance;
}

// Whether the error is near what the rounding of scores hides, which a kernel does not have.
template <class T>
bool Solve<T>::kernel_lowers_floor(const Check& check) {
  const auto& [streamed, absorbed] = reach_;
  return !check.absorbed && check.marginal_error <= kNearFloor * streamed.hidden &&
         !streamed.meets(0, options_.tolerance) &&
         kNearFloor * absorbed.hidden <= streamed.hidden && op_.may_absorb(kernel_cache_) &&
         kernels_for_floor_++ < kKernelsForFloor;
}

template <class T>
bool Solve<T>::may_mix() const {
  return (options_.acceleration == Acceleration::automatic ||
          options_.acceleration == Acceleration::anderson ||
          options_.acceleration == Acceleration::newton ||
          options_.acceleration == Acceleration::support) &&
         !alternation_.has_level() && !fast_stage_;
}

// The basis of a correction and its inverse are made on the host, whatever the number of points is:
// 0.35 ms beside a processor's passes over a kernel, 2.3 ms beside a GPU's, whose iterations take
// 0.09 ms of launches alone.
template <class T>
double Solve<T>::coarse_patience(int at_target) const {
  const double pairs = static_cast<double>(problem_.n()) * static_cast<double>(problem_.m());
  if (at_target <= kUncorrected && (exec_.device.is_cuda() || pairs < kManyPairs))
    return std::numeric_limits<double>::infinity();
  return kCoarsePatience *
         (1 + (exec_.device.is_cuda() ? kCoarsePairsOnGpu / (pairs + kPairsOfLaunches)
                                      : kCoarsePairs / pairs));
}

template <class T>
bool Solve<T>::slow(int at_target) const {
  const int patience = on_hard_line() ? kPatienceOnLine : kMixingPatience;
  return mixing_.active() && at_target > patience && checks_.to_go(record_.iterations) > patience;
}

// Where a support is worth its steps after all, a path of epsilon to it is too.
template <class T>
bool Solve<T>::many_on_trees(int at_target) const {
  return options_.acceleration == Acceleration::automatic && begun_ > 0 && !passes_are_many_ &&
         !exec_.device.is_cuda() && kernel_cache_ > 0 && at_target > kTreePatience &&
         checks_.to_go(record_.iterations) > kTreePatience;
}

template <class T>
Relaxation Solve<T>::make_relaxation() const {
  const bool automatic = options_.acceleration == Acceleration::automatic;
  return {options_.acceleration == Acceleration::over_relaxation ||
              (automatic && (alternation_.has_level() || fast_stage_)),
          automatic};
}

// Where it would be too wrong to bring a solve anywhere.
template <class T>
void Solve<T>::leave_fast(double eps) {
  if (fast_stage_ && kFastShare * op_.weight_error(eps) >= kLevelTolerance) end_fast_stage();
}

// Whether a stage whose passes hide an error has come to `enough`, or no further.
template <class T>
bool Solve<T>::stage_is_done(const Check& check, double enough) {
  flat_ = check.marginal_error < stage_error_ ? 0 : flat_ + 1;
  stage_error_ = std::min(stage_error_, check.marginal_error);
  return check.marginal_error <= enough || flat_ >= Record<T>::kFlatChecks;
}

// What is measured in fast decides nothing but where accurate begins.
template <class T>
bool Solve<T>::fast_is_done(const Check& check) {
  return stage_is_done(
      check, std::max(options_.tolerance, kFastShare * op_.weight_error(options_.epsilon)));
}

template <class T>
void Solve<T>::end_fast_stage() {
  op_.sweep_in(kernels::Precision::accurate);
  record_.report.fast_passes = record_.passes();
  record_.report.weight_error = 0;
  fast_stage_ = false;
  relaxation_ = make_relaxation();
  checks_.restart();
}

// A kernel in float of a problem in double: what it hides, passes without it have to find.
template <class T>
bool Solve<T>::rough_is_done(const Check& check) {
  return stage_is_done(check, std::max(kRoughShare * options_.tolerance, kRoughError));
}

template <class T>
void Solve<T>::end_rough_stage() {
  op_.forget();
  may_be_rough_ = false;
  flat_ = 0;
  checks_.restart();
}

template class Solve<float>;
template class Solve<double>;
}  // namespace monge
