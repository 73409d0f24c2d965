#include "monge/ot/sinkhorn.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "kernels/absorbed.hpp"
#include "kernels/entries.hpp"
#include "ot/anderson.hpp"
#include "ot/coarse.hpp"
#include "ot/initial.hpp"
#include "ot/multiscale.hpp"
#include "ot/newton.hpp"
#include "ot/record.hpp"
#include "ot/relaxation.hpp"
#include "ot/sinkhorn_options.hpp"
#include "ot/support.hpp"

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
constexpr int kPlainSteps = 2;              // of a level, or the target, before the first mix
constexpr double kPatience = 3;             // predicted iterations that are not worth one
constexpr double kWild = 1;                 // marginal error after a step along epsilon that failed
constexpr double kCoarsePatience = 15;      // predicted iterations that are not worth a correction
constexpr int kUndone = 2;                  // mixes after which a correction is no good
constexpr int kMixingPatience = 100;        // iterations at the target, done and to come, of mixing
constexpr double kFirstSupport = 0.02;      // of the range of the cost
constexpr double kSupportPatience = 10;     // predicted iterations that are not worth a support
constexpr double kFarFromSupport = 0.3;  // share of the plan outside that a level will not gather
constexpr double kTinyEpsilon = 1e-4;    // of the range of the cost, where nothing else arrives
constexpr std::int64_t kWideProblem = 1000;                       // points that a support is worth
constexpr std::int64_t kManyPoints = 4000, kManyOnGpu = 1 << 18;  // where a subsample pays
constexpr int kPassesAhead = 4;       // that an epsilon takes at least, but for luck
constexpr double kRoughError = 5e-7;  // that a rough kernel may still show as it is, and
constexpr double kNearFloor = 2, kAtAnyPrice = 1e9;
constexpr int kFlatKernels = 3;       // kernels that are tried for the floor's sake alone
constexpr double kRoughShare = 0.8;   // of the tolerance: exact passes then find it met

/// That of rounding; and two Balanced sides cannot agree better than their masses do.
template <class T>
Reach reach_of(const Problem<T>& problem, Reach reach) {
  if (std::holds_alternative<Balanced>(problem.marginal_a()) &&
      std::holds_alternative<Balanced>(problem.marginal_b()))
    reach.floor = std::max(reach.floor, std::abs(problem.mass_a() - problem.mass_b()) /
                                            std::min(problem.mass_a(), problem.mass_b()));
  return reach;
}

/// One solve: the schedule, and what each check decides.
template <class T>
class Solve {
 public:
  Solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
        std::shared_ptr<const Forest<T>> forest = nullptr)
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
        mixing_(alternation_.following().weight, alternation_.following().penalty),
        checks_(options),
        kernel_cache_(cache_bytes(options, exec.device)) {
    if (!forest) return;
    record_.report.geometry = Sweeps::tree;
    op_.plant(std::move(forest), exec);
    alternation_.truncate(kTruncationShare * options.tolerance);
  }

  /// Counts what was done before.
  void count(const SinkhornReport& begun) { record_.count(begun); }
  void count(const Multiscale<T>& begun) {
    record_.report.coarse_passes = begun.passes;
    record_.report.trace = begun.trace;
    annealed_ = begun.f.size() > 0;
  }

  SinkhornResult<T> run(const Start<T>& start) {
    support_below_ = options_.acceleration == Acceleration::support
                         ? std::numeric_limits<double>::infinity()
                         : kFirstSupport * op_.range();
    const bool cold = !start.f.size && !start.g.size;
    const bool anneals = options_.annealing == Annealing::automatic && cold;
    annealed_ = annealed_ || anneals;
    double first = op_.range() / kSkippedLevels;
    Start<T> begin = start;
    std::optional<Initial<T>> found;
    if (const Initializer how = initializer(); cold && how != Initializer::zero) {
      const Side side = alternation_.following().side;
      SinkhornOptions by = options_;
      by.initializer = how;
      found.emplace(initial(problem_, op_, side, op_.range(), by, exec_));
      record_.report.phases.push_back(found->phase);
      (side == Side::source ? begin.f : begin.g) = found->potential.view();
      first = found->epsilon;
    }
    exec_.state = {};
    record_.report.weight_error = op_.weight_error(options_.epsilon);
    alternation_.start(begin, exec_);
    if (!anneals || anneal(first, kLevelIterations)) target();
    if (fast_stage_ || options_.precision == Precision::fast)
      record_.report.fast_passes = record_.passes();
    record_.report.kept = op_.kept();
    return record_.finish(problem_);
  }

 private:
  using Check = typename Alternation<T>::Check;

  Initializer initializer() const {
    if (options_.initializer != Initializer::automatic) return options_.initializer;
    // A GPU does many passes in the time of a small solve; and above few dimensions the sample's
    // points would take more memory than is promised.
    const bool cuda = exec_.device.is_cuda();
    const bool many = annealed_ && op_.has_points() && !op_.has_images() &&
                      (!cuda || op_.dim() <= kDirectDimension) &&
                      std::min(problem_.n(), problem_.m()) >= (cuda ? kManyOnGpu : kManyPoints);
    return many ? Initializer::subsample : Initializer::zero;
  }

  // Halves epsilon from `first` to the target, g going on along the line through the last two
  // levels. False: stop.
  bool anneal(double first, int level_iterations) {
    record_.phase("annealing", "from the range of the cost");
    double before = 0;  // the epsilon that before_ is for
    for (double eps = first; eps > options_.epsilon; eps /= 2) {
      if (!level(eps, level_iterations)) return false;
      if (!record_.last() && wants_support()) {
        if (support("a level of the annealing")) return false;
        record_.phase("annealing", "the support phase left");
        if (alternation_.epsilon() < eps) before = 0;
        eps = alternation_.epsilon();
        if (eps <= options_.epsilon) break;
      }
      const double next = std::max(eps / 2, options_.epsilon);
      extrapolated_ = before > 0 && !alternation_.has_level();
      step_along((next - eps) / (eps - before), extrapolated_);
      before = eps;
    }
    return true;
  }

  // before_ becomes g.
  void step_along(double factor, bool moves) {
    const auto& side = alternation_.following();
    const std::int64_t n = side.weight.size;
    if (!moves) return assign<double>(before_, {side.potential, n, 1, exec_.device}, exec_);
    kernels::each(
        kernels::ExtrapolateArgs{factor, side.penalty, before_.data(), alternation_.moved()}, n,
        exec_);
  }

  // The first check after a step along epsilon: whether it went wrong, g then being where it was.
  bool strayed(const Check& check) {
    if (!std::exchange(extrapolated_, false)) return false;
    if (check.finite && check.marginal_error <= kWild) return false;
    put_back(before_);
    return true;
  }

  void put_back(const Buffer<double>& g) {
    copy(alternation_.moved(), exec_.device, g.data(), exec_.device,
         g.size() * std::int64_t{sizeof(double)}, exec_.stream);
  }

  bool level(double eps, int iterations) {
    begin(eps);
    Repeats repeats;
    for (int i = 0; i < iterations; ++i) {
      if (record_.last()) return true;  // the last iteration is the target's
      alternation_.lead(1, exec_);
      alternation_.sweep_following(exec_);
      const auto check = alternation_.check(exec_);
      record_.iterated();
      if (strayed(check) || undone(check)) continue;
      if (!check.finite) return true;  // the target decides what a non-finite number means
      const bool done = check.marginal_error < level_tolerance_;
      if (done && !record_.tell(check)) return record_.stop(check), false;
      if (i == kPlainSteps && may_mix()) mixes_ = true;
      follow(1);
      if (done || repeats.of(check) >= Record<T>::kFlatChecks) break;
    }
    return true;
  }

  void begin(double eps) {
    alternation_.set_epsilon(eps);
    leave_fast(eps);
    begin_mixing();
    const double left = 2.0 * (options_.max_iterations - record_.iterations);
    alternation_.absorb(std::min<double>(kPassesAhead, left), kernel_cache_, false, exec_);
  }

  void begin_target() {
    begin(options_.epsilon);
    checks_.restart();
    const bool relaxed = options_.acceleration == Acceleration::over_relaxation;
    record_.phase(relaxed ? "over_relaxation" : "plain", "at the target epsilon");
  }

  void target() {
    begin_target();
    for (int at_target = 1;; ++at_target) {
      const bool last = record_.last();
      if (fast_stage_ && record_.iterations + 1 > options_.max_iterations * (1 - kAccurateShare))
        end_fast_stage();
      if (op_.is_rough() && record_.iterations + 2 >= options_.max_iterations) end_rough_stage();
      const bool checked = last || checks_.due(at_target);
      bool lowers_floor = false;
      alternation_.lead(checked ? 1 : relaxation_.omega(), exec_);
      alternation_.sweep_following(exec_);
      record_.iterated();
      if (checked || mixes_ || extrapolated_ || relaxation_.measures(at_target)) {
        const auto check = alternation_.check(exec_);
        if (strayed(check) || undone(check)) {
          if (!last) continue;
          record_.report.status = Status::max_iterations;
          if (record_.has_pair()) return;
        }
        if (!check.finite) {
          // At a start far from the plan its mass may overflow: the next steps bring it back.
          if (record_.has_pair() || at_target >= kFirstFinite || last) return record_.fail();
          alternation_.follow(1, exec_);
          continue;
        }
        record_.report.omega = relaxation_.omega();
        lowers_floor = checked && kernel_lowers_floor(check);
        const bool rough = op_.is_rough();
        if (!fast_stage_ && !rough) {
          if ((checked || record_.meets(check)) && record_.decide(check, last, may_anneal() || lowers_floor))
            return;
        } else if (checked && !record_.tell(check)) {
          return record_.stop(check);
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
          if (!anneal(op_.range(), kStallWindow * kLevelIterations)) return;
          begin_target();
          relaxation_ = make_relaxation();
          at_target = 0;
          continue;
        }
        if (checked && !rough && wants_support(slow(at_target)) &&
            (at_target == 1 || checks_.to_go(record_.iterations) > kSupportPatience)) {
          if (support("the target is slow to reach")) return;
          begin_mixing();
          checks_.restart();
          continue;
        }
        if (checked && !rough && wants_newton(at_target)) {
          if (newton()) return;
          begin_mixing();
          checks_.restart();
        }
      }
      if (checked && at_target > 1)
        alternation_.absorb(lowers_floor ? kAtAnyPrice : 2 * checks_.to_go(record_.iterations),
                            kernel_cache_, may_be_rough_, exec_);
      if (!mixes_ && at_target > kPlainSteps && may_mix() &&
          (options_.acceleration == Acceleration::anderson ||
           checks_.to_go(record_.iterations) > kPatience)) {
        mixes_ = true;
        record_.phase("anderson", "plain steps are slow");
      }
      if (mixes_ && checked && !corrects_ && undone_ <= kUndone &&
          checks_.to_go(record_.iterations) > kCoarsePatience)
        begin_correcting();
      follow(relaxation_.omega());
    }
  }

  // The following half-step, mixed with those before it.
  void follow(double omega) {
    if (!mixes_) return alternation_.follow(omega, exec_);
    mixing_.before(alternation_.following().potential, exec_);
    if (corrects_) coarse_->before(alternation_, exec_);
    alternation_.follow(1, exec_);
    const auto& side = alternation_.following();
    assign<double>(plain_, {side.potential, side.weight.size, 1, exec_.device}, exec_);
    if (corrects_) coarse_->after(alternation_.moved(), side.penalty, exec_);
    mixing_.after(alternation_.moved(), exec_);
  }

  bool may_mix() const {
    return (options_.acceleration == Acceleration::automatic ||
            options_.acceleration == Acceleration::anderson ||
            options_.acceleration == Acceleration::newton ||
            options_.acceleration == Acceleration::support) &&
           !alternation_.has_level() && !fast_stage_;
  }

  // The correction by a coarse basis, of the pair in hand.
  void begin_correcting() {
    const auto* cloud = std::get_if<PointCloud<T>>(&problem_.geometry());
    const bool source = alternation_.following().side == Side::source;
    if (!cloud || cloud->x.cols > Coarse<T>::kDimension ||
        alternation_.following().weight.size < Coarse<T>::kLeastPoints)
      return;
    if (!coarse_)
      coarse_.emplace(source ? cloud->x : cloud->y, alternation_.following().weight, exec_);
    coarse_->build(alternation_, exec_);
    mixing_.forget();  // of another map
    corrects_ = true;
  }

  void begin_mixing() {
    mixes_ = corrects_ = false;
    undone_ = 0;
    mixing_.forget();
    dual_ = -std::numeric_limits<double>::infinity();
  }

  // Whether the last mix lowered the dual, beyond its rounding: then the plain step is taken.
  bool undone(const Check& check) {
    const double u =
        op_.is_rough() ? std::numeric_limits<float>::epsilon() : std::numeric_limits<T>::epsilon();
    const double rounding = 8 * u * (std::abs(dual_) + alternation_.epsilon() * check.mass);
    if (mixes_ && !mixing_.empty() && !(check.finite && check.dual >= dual_ - rounding)) {
      put_back(plain_);
      mixing_.forget();
      if (++undone_ > kUndone) corrects_ = false;
      return true;
    }
    dual_ = check.dual;
    return false;
  }

  // At the first chance, where a level or a slow target may have gathered the plan; then not before
  // epsilon has fallen further.
  bool wants_support(bool slow = false) const {
    // Where passes go axis by axis the lists of entries would cost far more than they do.
    const bool automatic = options_.acceleration == Acceleration::automatic && !op_.has_images() &&
                           (slow || options_.epsilon <= kTinyEpsilon * op_.range() ||
                            std::min(problem_.n(), problem_.m()) >= kWideProblem);
    return (automatic || options_.acceleration == Acceleration::support) &&
           !exec_.device.is_cuda() && !op_.planted() && !alternation_.has_level() && !fast_stage_ &&
           kernel_cache_ > 0 && alternation_.epsilon() <= support_below_;
  }

  // From the pair in hand and its epsilon. True: the solve ends with it.
  bool support(const char* why) {
    record_.phase("support", why);
    SupportPhase<T> phase(alternation_, options_.tolerance, kernel_cache_, exec_);
    bool ended = false;
    const auto outcome = phase.run(options_.epsilon, [&](const Check& check) {
      record_.iterated();
      const bool at_target = alternation_.epsilon() == options_.epsilon;
      if (at_target) {
        ended = record_.decide(check, record_.last(), false);
        return ended || kernel_lowers_floor(check);
      }
      if (!record_.tell(check)) {
        record_.stop(check);
        ended = true;
      }
      return ended || record_.last();  // the last iteration is the target's
    });
    record_.end_phase(outcome.sparse_steps, fmt::format("; k {}, {:.2g} outside, {}", outcome.k,
                                                        outcome.lost, outcome.why));
    if (ended) return true;
    support_below_ = alternation_.epsilon() / (outcome.lost > kFarFromSupport ? 4 : 2);
    alternation_.follow(1, exec_);
    return false;
  }

  bool slow(int at_target) const {
    return mixes_ && at_target > kMixingPatience &&
           checks_.to_go(record_.iterations) > kMixingPatience;
  }

  bool wants_newton(int at_target) const {
    if (options_.acceleration == Acceleration::newton) return at_target == 1;
    return options_.acceleration == Acceleration::automatic && !op_.planted() && !had_newton_ &&
           slow(at_target);
  }

  // From the pair in hand, at the target. True: the solve ends with it.
  bool newton() {
    const bool by_name = options_.acceleration == Acceleration::newton;
    record_.phase("newton", by_name ? "by name" : "mixing is slow");
    had_newton_ = true;
    begin_correcting();
    DenseModel<T> model(alternation_, corrects_ ? &*coarse_ : nullptr, exec_);
    bool ended = false;
    const int begun = record_.iterations;
    const std::int64_t passes = record_.passes();
    const auto counted = [&] {
      record_.iterations = begun + static_cast<int>((record_.passes() - passes) / 2);
    };
    NewtonOptions how{
        .eps = options_.epsilon,
        .tolerance = options_.criterion == Criterion::residual ? options_.tolerance : 0,
        .rounding = 8 * static_cast<double>(std::numeric_limits<T>::epsilon()),
        .max_products = std::max(1, options_.max_iterations - begun - 2)};
    how.on_step = [&] {
      counted();
      const auto check = alternation_.check(exec_);
      ended = !check.finite || record_.decide(check, record_.last(), false);
      return !ended;
    };
    const auto& side = alternation_.following();
    auto g = gathered(
        VectorView<const double>(side.potential, side.weight.size, 1, exec_.device), exec_);
    Newton<DenseModel<T>>(model, how, exec_).run(g);
    counted();
    if (!ended) record_.phase("plain", "newton stands still");
    return ended;
  }

  // Where it would be too wrong to bring a solve anywhere.
  void leave_fast(double eps) {
    if (fast_stage_ && kFastShare * op_.weight_error(eps) >= kLevelTolerance) end_fast_stage();
  }

  // Whether a stage whose passes hide an error has come to `enough`, or no further.
  bool stage_is_done(const Check& check, double enough) {
    flat_ = check.marginal_error < stage_error_ ? 0 : flat_ + 1;
    stage_error_ = std::min(stage_error_, check.marginal_error);
    return check.marginal_error <= enough || flat_ >= Record<T>::kFlatChecks;
  }

  // What is measured in fast decides nothing but where accurate begins.
  bool fast_is_done(const Check& check) {
    return stage_is_done(
        check, std::max(options_.tolerance, kFastShare * op_.weight_error(options_.epsilon)));
  }

  void end_fast_stage() {
    op_.sweep_in(kernels::Precision::accurate);
    record_.report.fast_passes = record_.passes();
    record_.report.weight_error = 0;
    fast_stage_ = false;
    relaxation_ = make_relaxation();
    checks_.restart();
  }

  // A kernel in float of a problem in double: what it hides, passes without it have to find.
  bool rough_is_done(const Check& check) {
    return stage_is_done(check, std::max(kRoughShare * options_.tolerance, kRoughError));
  }

  void end_rough_stage() {
    op_.forget();
    may_be_rough_ = false;
    flat_ = 0;
    checks_.restart();
  }

  double finest_level() const { return std::max(options_.tolerance, reach_.streamed.flat_below()); }
  // Whether the error is where the rounding of scores, which a kernel does not have, hides the rest.
  bool kernel_lowers_floor(const Check& check) {
    const auto& [streamed, absorbed] = reach_;
    return !check.absorbed && check.marginal_error <= kNearFloor * streamed.hidden &&
           !streamed.meets(0, options_.tolerance) &&
           kNearFloor * absorbed.hidden <= streamed.hidden && op_.may_absorb(kernel_cache_) &&
           kernels_for_floor_++ < kFlatKernels;
  }

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
    return flat && error > reach_.streamed.flat_below();
  }

  Relaxation make_relaxation() const {
    const bool automatic = options_.acceleration == Acceleration::automatic;
    return {options_.acceleration == Acceleration::over_relaxation ||
                (automatic && (alternation_.has_level() || fast_stage_)),
            automatic};
  }

  const Problem<T>& problem_;
  const SinkhornOptions& options_;
  Exec& exec_;
  bool fast_stage_;  // of the schedule staged
  Operator<T> op_;
  Alternation<T> alternation_;
  const Reaches reach_;
  Record<T> record_;
  Relaxation relaxation_;
  Anderson<T> mixing_;
  CheckPlan checks_;
  const std::int64_t kernel_cache_;
  std::optional<Coarse<T>> coarse_;
  Buffer<double> before_;  // g at the level before
  Buffer<double> plain_;   // of the last mix what a plain step would have been
  double level_tolerance_ = kLevelTolerance, window_error_ = 0;
  double dual_ = -std::numeric_limits<double>::infinity();  // of the pair that was mixed from
  int flat_ = 0, window_start_ = 0, undone_ = 0, kernels_for_floor_ = 0;
  double stage_error_ = std::numeric_limits<double>::infinity();
  double support_below_ = 0;  // the epsilon at which the plan may be worth gathering
  bool annealed_ = false, mixes_ = false, corrects_ = false, extrapolated_ = false,
       had_newton_ = false;
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
SinkhornResult<T> solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                        const Start<T>& start, std::shared_ptr<const Forest<T>> forest) {
  return Solve<T>(problem, options, exec, std::move(forest)).run(start);
}

template <class T>
SinkhornResult<T> sinkhorn(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                           const Start<T>& start) {
  validate(problem, options, start, exec);
  const auto forest =
      by_tree(problem, options) ? std::make_shared<const Forest<T>>(problem, exec) : nullptr;
  // A callback that has said stop is not asked again: what is still to come stops at its first
  // check.
  SinkhornOptions each = acting_on(problem, options);
  bool stopped = false;
  if (forest && options.on_check)
    each.on_check = [&](const SinkhornReport& report) {
      stopped = stopped || !options.on_check(report);
      return !stopped;
    };
  Multiscale<T> begun;
  Start<T> from = start;
  if (forest && !start.f.size && !start.g.size && options.annealing == Annealing::automatic) {
    begun = multiscale(problem, forest, each, exec);
    from = {begun.f.view(), begun.g.view()};
  }
  Solve<T> solve(problem, each, exec, forest);
  solve.count(begun);
  auto result = solve.run(from);
  if (options.verify) verify(problem, result, exec);
  return result;
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
  const auto f = joined(begun.f, begun.f_rest, exec), g = joined(begun.g, begun.g_rest, exec);
  const Start<double> start{f.view(), g.view()};
  validate(problem, mixed, start, exec);
  Solve<double> solve(problem, mixed, exec,
                      begun.report.geometry == Sweeps::tree
                          ? std::make_shared<const Forest<double>>(problem, exec)
                          : nullptr);
  solve.count(begun.report);
  return solve.run(start);
}

template SinkhornResult<float> solve(const Problem<float>&, const SinkhornOptions&, Exec&,
                                     const Start<float>&, std::shared_ptr<const Forest<float>>);
template SinkhornResult<double> solve(const Problem<double>&, const SinkhornOptions&, Exec&,
                                      const Start<double>&, std::shared_ptr<const Forest<double>>);
template SinkhornResult<float> sinkhorn(const Problem<float>&, const SinkhornOptions&, Exec&,
                                        const Start<float>&);
template SinkhornResult<double> sinkhorn(const Problem<double>&, const SinkhornOptions&, Exec&,
                                         const Start<double>&);
}  // namespace monge
