#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "ot/arrays.hpp"
#include "ot/newton.hpp"
#include "ot/solve.hpp"
#include "ot/support.hpp"

namespace monge {
namespace {
constexpr double kFarFromSupport = 0.3;  // share of the plan outside that a level will not gather
constexpr double kTinyEpsilon = 1e-4;    // of the range of the cost, where nothing else arrives
constexpr std::int64_t kWideProblem = 1000;  // points that a support is worth
}  // namespace

// At the first chance, where a level or a slow target may have gathered the plan; then not before
// epsilon has fallen further.
template <class T>
bool Solve<T>::wants_support(bool slow) const {
  // Where passes go axis by axis the lists of entries would cost far more than they do.
  const bool automatic = options_.acceleration == Acceleration::automatic && !op_.has_images() &&
                         (slow || options_.epsilon <= kTinyEpsilon * op_.range() ||
                          std::min(problem_.n(), problem_.m()) >= kWideProblem);
  return (automatic || options_.acceleration == Acceleration::support) && !exec_.device.is_cuda() &&
         !op_.planted() && !alternation_.has_level() && !fast_stage_ && kernel_cache_ > 0 &&
         alternation_.epsilon() <= support_below_;
}

// From the pair in hand and its epsilon. True: the solve ends with it.
template <class T>
bool Solve<T>::support(const char* why) {
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
                    .max_products = std::max(1, options_.max_iterations - begun - 2)};
  how.on_step = [&] {
    counted();
    const auto check = alternation_.check(exec_);
    ended = !check.finite || record_.decide(check, record_.last(), false);
    return !ended;
  };
  const auto& side = alternation_.following();
  auto g =
      gathered(VectorView<const double>(side.potential, side.weight.size, 1, exec_.device), exec_);
  Newton<DenseModel<T>>(model, how, exec_).run(g);
  counted();
  if (!ended) record_.phase("plain", "newton stands still");
  return ended;
}

#define MONGE_INSTANTIATE(T)                         \
  template bool Solve<T>::wants_support(bool) const; \
  template bool Solve<T>::support(const char*);      \
  template bool Solve<T>::wants_newton(int) const;   \
  template bool Solve<T>::newton();
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
