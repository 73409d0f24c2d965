#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "ot/arrays.hpp"
#include "ot/newton.hpp"
#include "ot/sinkhorn_options.hpp"
#include "ot/solve.hpp"
#include "ot/spread.hpp"

namespace monge {
namespace {
constexpr double kScattered = 0.08;  // share of the plan beyond the most entries of sampled rows,
constexpr double kGathered = 0.1;    // and beyond those that a support begins with
constexpr double kHopeful =
    0.99;  // share that the best entries of rows carry, about: of it a tenth is beyond
constexpr double kFarFromSupport = 0.5;  // share of the plan outside that a level will not gather
constexpr std::int64_t kWideProblem = 1024;  // points that a support is worth
// A GPU makes hundreds of passes in the time of a support phase, and those of a batch side by side.
constexpr std::int64_t kWideOnGpu = 8000;
constexpr int kMostProducts = 300, kMostResponses = 16;  // of a step of Newton on all pairs
constexpr double kTightTolerance = 4e-3;                 // that float leaves to double, too

// What a support phase takes, in passes of mixing that read a kernel of T: its visits with their
// lists, and its steps in double on k entries a row, which are many of the pairs of a small problem
// and read by index.
template <class T>
double support_passes(std::int64_t points, int k) {
  return 90 + 65000.0 * 8 / sizeof(T) / static_cast<double>(points) * k / SupportPhase<T>::kFirst;
}

// About what mixing takes, by clouds of 256 to 1024 points of `dim` coordinates (0: no points); up
// to three it is corrected. Soft sides bound it: `contraction` is what an iteration multiplies
// errors by at most, and mixing does as conjugate gradients do. They spare a support steps, too:
// where passes count, that makes mixing worth less.
double mixing_passes(double range_over_eps, double tolerance, std::int64_t dim, double contraction,
                     bool passes_count) {
  const bool spared = passes_count && contraction < 1;
  const double slope = dim == 1              ? 0.2
                       : dim == 2            ? 2.5
                       : dim > 3 || dim == 0 ? 8
                       : spared              ? 3.3
                                             : 2.5;
  const double spread = slope * std::sqrt(range_over_eps) * std::log10(tolerance) / -6,
               soft = (spared ? 1.5 : 1) * std::log(2 / tolerance) / std::sqrt(1 - contraction);
  return std::max(0.0, std::min(spread, soft));
}

double contraction_of(const kernels::Penalty& penalty, double eps) {
  return penalty.kind == kernels::Penalty::Kind::kl ? penalty.prox(1, eps) : 1;
}
}  // namespace

// The entries of a row to begin a support with; 0: none is wanted. Asked at the first chance, where
// a level or a slow target may have gathered the plan; then not before epsilon has fallen further.
template <class T>
int Solve<T>::wants_support(bool slow) {
  using Phase = SupportPhase<T>;
  // Where passes go axis by axis, or on a CPU over the few pairs that trees keep, a step on the
  // support costs as much as they do.
  const bool cuda = exec_.device.is_cuda();
  const std::int64_t points = std::min(problem_.n(), problem_.m());
  const std::int64_t dim = op_.has_points() ? op_.dim() : 0;
  const auto pays = [&](int k) {
    if (cuda)
      return slow || (points >= kWideOnGpu && options_.tolerance <= kTightTolerance &&
                      options_.max_iterations >= kManyIterations);
    const double support = support_passes<T>(points, k);
    // Of many points in double it is counted in passes, half of what its time says.
    const bool many = points >= kWideProblem && sizeof(T) == 8;
    const double worth = many ? support / 2 : support;
    const double contraction = contraction_of(alternation_.leading().penalty, options_.epsilon) *
                               contraction_of(alternation_.following().penalty, options_.epsilon);
    return mixing_passes(op_.range() / options_.epsilon, options_.tolerance, dim, contraction,
                         many) > worth ||
           (slow && (had_newton_ || !on_line()) && 2 * checks_.to_go(record_.iterations) > support);
  };
  const bool automatic = options_.acceleration == Acceleration::automatic && !op_.has_images() &&
                         (!op_.planted() || passes_are_many_) && pays(Phase::kFirst);
  const bool by_name = options_.acceleration == Acceleration::support;
  if (!(automatic || by_name) || alternation_.has_level() || fast_stage_ || kernel_cache_ <= 0 ||
      alternation_.epsilon() > support_below_ || (cuda && op_.planted() && !by_name))
    return 0;
  if (by_name) return Phase::kFirst;
  if (cuda) {
    // Lists of a few rows fill no GPU, those of all take it ten passes, in float; in double little
    // more than the two that would say whether they are worth it.
    const bool hopeless =
        std::is_same_v<T, float> && best_share(alternation_, Phase::kFirst, exec_) < kHopeful;
    if (hopeless) support_below_ = alternation_.epsilon() / 2;
    return hopeless ? 0 : Phase::kFirst;
  }
  constexpr int kCounts[] = {Phase::kFirst, 2 * Phase::kFirst, Phase::kMost};
  const auto lost = outside<T>(problem_, alternation_, kCounts, exec_);
  if (lost.empty()) return Phase::kFirst;
  if (lost.back() > kScattered) {
    support_below_ = alternation_.epsilon() / 2;
    return 0;
  }
  int c = 0;
  while (kCounts[c] < Phase::kMost && lost[c] > kGathered) ++c;
  if (pays(kCounts[c])) return kCounts[c];
  support_below_ = alternation_.epsilon() / 2;
  return 0;
}

// From the pair in hand and its epsilon. True: the solve ends with it.
template <class T>
bool Solve<T>::support(int k, const char* why) {
  record_.phase("support", why);
  if (!support_) support_.emplace(alternation_, options_.tolerance, kernel_cache_, exec_);
  bool ended = false;
  const auto outcome = support_->run(
      options_.epsilon,
      [&](const Check& check) {
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
      },
      k);
  record_.end_phase(outcome.sparse_steps, fmt::format("; k {}, {:.2g} outside, {}", outcome.k,
                                                      outcome.lost, outcome.why));
  if (ended) return true;
  extrapolated_ = false;
  support_below_ =
      outcome.costly ? 0 : alternation_.epsilon() / (outcome.lost > kFarFromSupport ? 4 : 2);
  alternation_.follow(1, exec_);
  return false;
}

template <class T>
bool Solve<T>::wants_newton(int at_target) const {
  if (options_.acceleration == Acceleration::newton) return at_target == 1;
  return options_.acceleration == Acceleration::automatic && !op_.planted() && !had_newton_ &&
         slow(at_target);
}

// From the pair in hand, at the target. True: the solve ends with it.
template <class T>
bool Solve<T>::newton() {
  const bool by_name = options_.acceleration == Acceleration::newton;
  record_.phase("newton", by_name ? "by name" : "mixing is slow");
  had_newton_ = true;
  // A step solves twice at most; its responses may take the rest of the iterations that are left.
  const auto products_left = [&] {
    return (options_.max_iterations - record_.iterations - kMostResponses - 1) / 2;
  };
  if (products_left() < 1) return false;
  if (!by_name && on_hard_line() && before_.size() > 0) {
    alternation_.put_back(before_.data(), exec_);
    alternation_.lead(1, exec_);
    alternation_.sweep_following(exec_);
    record_.iterated();
  }
  mixing_.correct();
  DenseModel<T> model(alternation_, mixing_.coarse(), exec_);
  bool ended = false;
  const int begun = record_.iterations;
  const std::int64_t passes = record_.passes();
  const auto counted = [&] {
    record_.iterations = begun + static_cast<int>((record_.passes() - passes) / 2);
  };
  NewtonOptions how{.eps = options_.epsilon,
                    .tolerance = options_.criterion == Criterion::residual ? options_.tolerance : 0,
                    .rounding = 8 * static_cast<double>(std::numeric_limits<T>::epsilon()),
                    .max_products = options_.max_iterations,
                    .max_step_products = std::clamp(products_left(), 1, kMostProducts)};
  how.on_step = [&] {
    counted();
    const auto check = alternation_.check(exec_);
    ended = !check.finite || record_.decide(check, record_.last(), false);
    how.max_step_products = std::clamp(products_left(), 1, kMostProducts);
    return !ended && products_left() >= 1;
  };
  const auto& side = alternation_.following();
  auto g =
      gathered(VectorView<const double>(side.potential, side.weight.size, 1, exec_.device), exec_);
  Newton(model, exec_).run(g, how);
  counted();
  if (!ended) record_.phase("plain", "newton stands still");
  return ended;
}

#define MONGE_INSTANTIATE(T)                         \
  template int Solve<T>::wants_support(bool);        \
  template bool Solve<T>::support(int, const char*); \
  template bool Solve<T>::wants_newton(int) const;   \
  template bool Solve<T>::newton();
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
