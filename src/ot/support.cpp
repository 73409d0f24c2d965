#include "ot/support.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
constexpr int kLeast = 4;                                       // entries of a row
constexpr int kMostOnGpu = 64;                                  // whose lists are slow beyond
constexpr double kLower = 3e-3, kRaise = 0.03, kTooMuch = 0.1;  // shares of the plan outside
constexpr double kMayGather = 0.3;  // that a support of kMost may get below kTooMuch
constexpr double kDescend = 1e-2;   // full residual below which epsilon falls
constexpr double kLevel = 4;        // by how much, between two visits
constexpr double kHelps = 3;        // by how much a visit should reduce the residual
constexpr int kPatience = 4;        // visits that do not while the dual rises
constexpr int kShorter = 3;         // halvings of a stride that went too far
constexpr double kUnchanged = 1.3;  // times: residuals of two visits that are the same
constexpr double kPathTolerance = 1e-3;
constexpr double kFirstFactor = 0.6, kLeastFactor = 0.4, kMostFactor = 0.97, kFaster = 1.3;
constexpr int kPathSteps = 60, kPathProducts = 3000;  // of one epsilon on the way
constexpr int kSteps = 200, kProducts = 20000;        // of a solve before a visit
constexpr double kMostPasses = 1000;  // over all pairs, that steps on the support may come to

template <class T>
int affordable(const Alternation<T>& alternation, std::int64_t budget, const Exec& exec) {
  const std::int64_t rows = alternation.leading().weight.size + alternation.following().weight.size;
  const int most = exec.device.is_cuda() ? kMostOnGpu : SupportPhase<T>::kMost;
  return static_cast<int>(std::min<std::int64_t>(most, budget / (rows * Restricted<T>::kBytes)));
}
}  // namespace

template <class T>
SupportPhase<T>::SupportPhase(Alternation<T>& alternation, double tolerance, std::int64_t budget,
                              Exec& exec)
    : alternation_(alternation),
      tolerance_(tolerance),
      most_(affordable(alternation, budget, exec)),
      exec_(exec),
      model_(alternation.leading(), alternation.following(), exec),
      newton_(model_, exec),
      before_(alternation.following().weight.size, exec.device),
      trial_(before_.size(), exec.device) {}

template <class T>
void SupportPhase<T>::respond(Buffer<double>& g, double eps) {
  solve(g, eps, std::numeric_limits<double>::infinity());
}

template <class T>
NewtonReport SupportPhase<T>::solve(Buffer<double>& g, double eps, double tolerance) {
  const bool path = tolerance >= kPathTolerance;
  const NewtonOptions options{.eps = eps,
                              .tolerance = tolerance,
                              .rounding = 8 * std::numeric_limits<double>::epsilon(),
                              .max_steps = path ? kPathSteps : kSteps,
                              .max_products = static_cast<int>(std::min<double>(
                                  path ? kPathProducts : kProducts, steps_left()))};
  model_.set_epsilon(eps, exec_);
  const auto report = newton_.run(g, options);
  const int steps = report.responses + report.products;
  outcome_.sparse_steps += steps;
  passes_ += steps * passes_of_step();
  return report;
}

// A step goes over the entries twice, of which both sides have named k for each of their points.
template <class T>
double SupportPhase<T>::passes_of_step() const {
  const double points = 0.5 / static_cast<double>(alternation_.leading().weight.size) +
                        0.5 / static_cast<double>(alternation_.following().weight.size);
  return std::min(2.0, 4 * outcome_.k * points);
}

template <class T>
double SupportPhase<T>::steps_left() const {
  return std::max(1.0, (kMostPasses - passes_) / passes_of_step());
}

// Newton at every epsilon on the way, from g extrapolated linearly. Returns where it arrived.
template <class T>
double SupportPhase<T>::follow_path(Buffer<double>& g, double from, double to) {
  double eps = from, factor = kFirstFactor, before_eps = from;
  while (eps > to) {
    const double next = std::max(eps * factor, to);
    assign<double>(trial_, g.view(), exec_);
    if (before_eps > eps) {
      const double ahead = (next - eps) / (eps - before_eps);
      add(trial_, ahead, g, exec_);
      add(trial_, -ahead, before_, exec_);
      keep_feasible(trial_);
    }
    if (solve(trial_, next, kPathTolerance).converged) {
      assign<double>(before_, g.view(), exec_);
      std::swap(g, trial_);
      before_eps = std::exchange(eps, next);
      factor = std::max(std::pow(factor, kFaster), kLeastFactor);
    } else if (factor < kMostFactor) {
      factor = std::min(std::sqrt(factor), kMostFactor);
    } else {
      break;
    }
  }
  return eps;
}

template <class T>
void SupportPhase<T>::keep_feasible(Buffer<double>& g) {
  kernels::each(kernels::FeasibleArgs<double>{std::as_const(g).view(),
                                              alternation_.following().penalty, g.data()},
                g.size(), exec_);
}

template <class T>
void SupportPhase<T>::visit_next(Buffer<double>& g) {
  respond(g, alternation_.epsilon());
  alternation_.set_following(g.data(), model_.row_softmin(), model_.column_softmin(), exec_);
}

// Parts of the plan whose masses differ are joined by links that no support holds: what a solve
// moves them by, a few epsilon, is the way to go, and may be thousands of epsilon too short.
template <class T>
void SupportPhase<T>::stride() {
  assign<double>(trial_, summit_.view(), exec_);
  add(trial_, stride_, way_, exec_);
  keep_feasible(trial_);
  visit_next(trial_);
}

// Whether half of the stride, which went too far, is worth a visit.
template <class T>
bool SupportPhase<T>::shorten() {
  stride_ = ++shorter_ > kShorter ? 0 : stride_ / 2;
  return stride_ > 0;
}

template <class T>
SupportOutcome SupportPhase<T>::run(double target, const std::function<bool(const Check&)>& visited,
                                    int first) {
  outcome_ = {};
  stride_ = 0;
  outcome_.k = std::min(first, most_);
  passes_ = 0;
  if (most_ < kLeast) {
    outcome_.why = "no support fits kernel_cache";
    return outcome_;
  }
  if (alternation_.leading().penalty.kind == kernels::Penalty::Kind::capped ||
      alternation_.following().penalty.kind == kernels::Penalty::Kind::capped) {
    outcome_.why = "a total mass moves the potentials together";
    return outcome_;
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto following = [&] {
    return VectorView<const double>(alternation_.following().potential, before_.size(), 1,
                                    exec_.device);
  };
  double eps = alternation_.epsilon(), before = kInfinity, dual = -kInfinity, last = kInfinity;
  double most = kDescend;  // residual with which epsilon falls
  int idle = 0;
  bool seen = false;  // this pair, with fewer entries
  for (;;) {
    ++outcome_.visits;
    alternation_.visit(outcome_.k, rows_, columns_, exec_);
    const auto check = alternation_.check(exec_);
    const bool rose = check.finite && check.dual > dual;
    if (stride_ > 0 && !rose) {
      if (shorten()) {
        stride();
      } else {
        dual = -kInfinity;  // the summit is visited once more
        visit_next(summit_);
      }
      continue;
    }
    if (!check.finite) {
      outcome_.why = "a non-finite number";
      return outcome_;
    }
    if (!seen && visited(check)) {
      outcome_.ended = true;
      outcome_.why = "done";
      return outcome_;
    }
    if (stride_ > 0 && check.marginal_error * kHelps > before && (shorter_ == 0 || shorten())) {
      dual = check.dual;
      assign<double>(summit_, following(), exec_);
      if (shorter_ == 0) stride_ *= 2;
      stride();
      continue;
    }
    stride_ = 0;
    model_.refresh(rows_, columns_, eps, exec_, eps <= target);
    auto g = gathered(following(), exec_);
    respond(g, eps);
    outcome_.lost = model_.lost();
    // A GPU makes a hundred passes in the time of a visit with more, and mixing a level in fewer.
    seen = outcome_.lost > kTooMuch && outcome_.lost <= kMayGather && outcome_.k < most_ &&
           !exec_.device.is_cuda();
    if (seen) {
      outcome_.k = most_;
      continue;
    }
    if (!(outcome_.lost <= kTooMuch)) {
      outcome_.why = fmt::format("the plan is spread out: {:.1f} % of it beyond {} entries a row",
                                 100 * outcome_.lost, outcome_.k);
      return outcome_;
    }
    const bool helped = check.marginal_error * kHelps <= before;
    const bool stuck = std::abs(std::log(check.marginal_error / last)) < std::log(kUnchanged);
    idle = helped ? 0 : idle + 1;
    // Of a plan that is spread out a GPU's passes bring the rest sooner.
    const int patience = exec_.device.is_cuda() && outcome_.lost > kLower ? 0 : kPatience;
    if (idle > patience || (idle > 0 && !(check.dual > dual))) {
      outcome_.why = fmt::format("a visit left {:.1e} of {:.1e}", check.marginal_error, before);
      return outcome_;
    }
    outcome_.costly = passes_ >= kMostPasses;
    if (outcome_.costly) {
      outcome_.why = fmt::format("its steps have cost {:.0f} passes", passes_);
      return outcome_;
    }
    // What a path of epsilon leaves is no sign.
    last = std::max(check.marginal_error, eps > target ? kPathTolerance * kUnchanged : 0);
    before = check.marginal_error;
    dual = check.dual;

    if (stuck) {
      assign<double>(summit_, following(), exec_);
      most = std::min(most, check.marginal_error / kHelps);
    }
    const bool descends = eps > target && check.marginal_error <= most;
    // Above the target it need but bring the next visit to where epsilon falls.
    solve(g, eps,
          eps > target
              ? std::min(kPathTolerance, most / 10)
              : std::clamp(1e-3 * check.marginal_error, tolerance_ / 10, kPathTolerance / 2));
    if (descends) {
      const double reached = follow_path(g, eps, std::max(eps / kLevel, target));
      if (reached < eps) {
        most = kDescend;
        before = kInfinity;
        dual = -kInfinity;
      }
      eps = reached;
      respond(g, eps);
    }
    kernels::shift(g.data(), g.size(), -model_.gauge(), exec_);
    respond(g, eps);
    // What the solve moved through the remainders is what the next visit will find wrong.
    const double moved = std::abs(model_.lost() - outcome_.lost);
    if (outcome_.lost > kRaise || !helped || (!descends && moved > tolerance_ / 2))
      outcome_.k = std::min(2 * outcome_.k, most_);
    else if (descends && outcome_.lost < kLower)
      outcome_.k = std::max(outcome_.k / 2, std::min(kFirst, most_));
    if (eps != alternation_.epsilon()) alternation_.set_epsilon(eps);
    if (!stuck) {
      alternation_.set_following(g.data(), model_.row_softmin(), model_.column_softmin(), exec_);
    } else {
      assign<double>(way_, g.view(), exec_);
      add(way_, -1.0, summit_, exec_);
      assign<double>(summit_, g.view(), exec_);
      stride_ = 1;
      shorter_ = 0;
      stride();
    }
  }
}

template class SupportPhase<float>;
template class SupportPhase<double>;
}  // namespace monge
