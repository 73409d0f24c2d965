#include "ot/symmetric.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"
#include "ot/check_plan.hpp"
#include "ot/operator.hpp"
#include "ot/overloaded.hpp"
#include "ot/penalty.hpp"
#include "ot/sinkhorn_options.hpp"
#include "ot/split_pair.hpp"

namespace monge {
namespace {
constexpr int kFlatChecks = 3;    // checks without progress that make a floor, as in sinkhorn()
constexpr int kPassesAhead = 12;  // that a solve takes: its rate is 1/2

template <class T>
class SymmetricSolve {
 public:
  SymmetricSolve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec)
      : problem_(problem),
        options_(options),
        exec_(exec),
        op_(problem, swept_in(options.precision), exec),
        checks_(options),
        penalty_(penalty_of<T>(problem.marginal_a())),
        log_weight_(log_weights(problem.a(), exec)),
        s_(problem.n(), exec.device),
        f_(start(problem, penalty_, exec)),
        h_(padded_buffer<double>(problem.n(), exec)),
        next_h_(padded_buffer<double>(problem.n(), exec)) {
    report_.predicted_floor = reach().predicted();
    report_.weight_error = op_.weight_error(options.epsilon);
  }

  void go_on(const SinkhornResult<float>& begun) {
    f_ = joined(begun.f, begun.f_rest, exec_);
    iterations_ = begun_ = begun.report.iterations;
    report_.absorbed = begun.report.absorbed;
    report_.trace = begun.report.trace;
  }

  SinkhornResult<T> run() {
    exec_.state = {};
    exec_.state.epsilon = options_.epsilon;
    absorb(nullptr);
    do sweep();
    while (!ended());
    report_.converged = report_.status == Status::converged;
    report_.iterations = iterations_;
    report_.passes = iterations_;
    SplitPair<T> pair;
    for (const Side side : {Side::source, Side::target})
      pair.take(side, best_.data(), best_.size(), 0, exec_);
    return std::move(pair).with(std::move(report_));
  }
  /// After it.
  Prepared<T> hand_over() { return handed_over(std::move(op_)); }

 private:
  // f_i = c(x_i, x_i) / 2, where no score f_i + f_j - c_ij is positive. Of all costs only -x.y has
  // a diagonal other than 0.
  static Buffer<double> start(const Problem<T>& problem, const kernels::Penalty& penalty,
                              Exec& exec) {
    const auto from = [&](const PointCloud<T>& cloud) {
      if (!std::holds_alternative<Dot>(cloud.cost)) return filled(problem.n(), 0.0, exec);
      Buffer<double> f(problem.n(), exec.device);
      kernels::each(kernels::SelfDotArgs<T>{cloud.x, penalty, f.data()}, f.size(), exec);
      return f;
    };
    return std::visit(
        Overloaded{
            from,
            [&](const Lattice<T>& lattice) { return from(LatticePoints<T>(lattice, exec).cloud); },
            [&](const CostMatrix<T>&) { return filled(problem.n(), 0.0, exec); }},
        problem.geometry());
  }

  // The step that follows, with the bias of what f_ becomes, goes with the sweep, unless the pair
  // is measured before it.
  void sweep() {
    const bool first = iterations_ == begun_;
    if (first) {
      kernels::bias<double>({f_.data(), log_weight_.data(), f_.size(), options_.epsilon, h_.data()},
                            exec_);
    } else {
      if (!stepped_) kernels::half_step(step(), exec_);
      std::swap(h_, next_h_);
    }
    if (iterations_ == begun_ + 1 && !absorbed_) absorb(s_.data());
    exec_.state.iterations = exec_.state.passes = ++iterations_;
    stepped_ = !measures();
    const auto next = step();
    absorbed_ = op_.softmin(Side::source, h_.data(), first ? nullptr : s_.data(), s_.data(),
                            options_.epsilon, exec_, stepped_ ? &next : nullptr);
    report_.absorbed += absorbed_;
  }

  kernels::HalfStepArgs<T> step() {
    return {.s = s_.data(),
            .f = f_.data(),
            .weight = problem_.a(),
            .mass = problem_.mass_a(),
            .penalty = penalty_,
            .eps = options_.epsilon,
            .omega = 0.5,
            .log_weight = log_weight_.data(),
            .h = next_h_.data()};
  }

  bool last() const { return iterations_ >= options_.max_iterations; }
  bool measures() const { return last() || checks_.due(iterations_ - begun_); }

  // s = softmin(f); null: of the first f. On a GPU, where nothing but a wait says whether a kernel
  // was of use, these few passes stream.
  void absorb(const double* s) {
    if (exec_.device.is_cuda()) return;
    op_.absorb(Side::source, s, f_.data(), options_.epsilon,
               std::min(kPassesAhead, options_.max_iterations - iterations_),
               cache_bytes(options_.kernel_cache, exec_.device), exec_);
  }

  Reach reach() const { return op_.reach(options_.epsilon, absorbed_); }

  struct Check : SinkhornCheck {
    double gap;
  };

  // Both sides of the pair (f, f) say the same.
  Check measured() const {
    const double slack = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
    const kernels::MeasureArgs<T> args{.f = f_.data(),
                                       .s = s_.data(),
                                       .weight = problem_.a(),
                                       .penalty = penalty_,
                                       .eps = options_.epsilon,
                                       .slack = slack,
                                       .optimality = true};
    kernels::Measures side;
    kernels::measure<T>({&args, 1}, &side, exec_);
    const double mass = std::exp(side.log_mass), square = problem_.mass_a() * problem_.mass_a();
    Check out;
    out.iterations = iterations_;
    out.passes = iterations_;
    out.epsilon = options_.epsilon;
    out.residual_a = out.residual_b = side.residual;
    out.marginal_error = side.residual == 0 ? 0 : 2 * side.residual / mass;
    out.transported_mass = mass;
    out.dual_value = 2 * side.dual + options_.epsilon * (square - mass);
    out.gap = 2 * side.gap;
    return out;
  }

  bool meets(const Check& check) const {
    if (options_.criterion == Criterion::residual)
      return reach().meets(check.marginal_error, options_.tolerance);
    return check.gap <= options_.tolerance * std::max(std::abs(check.dual_value),
                                                      options_.epsilon * check.transported_mass);
  }

  // Makes the current pair the one that is returned. Zero weights, which no residual watches, get
  // their plain half-step.
  void keep(const Check& check) {
    assign<double>(best_, f_.view(), exec_);
    kernels::each(kernels::ZeroWeightArgs<T>{problem_.a(), s_.data(), penalty_, options_.epsilon,
                                             best_.data()},
                  best_.size(), exec_);
    static_cast<SinkhornCheck&>(report_) = check;
    report_.duality_gap = check.gap;
    report_.predicted_floor = reach().predicted();
  }

  // Tells trace and callback; false when the callback says stop.
  bool record(const Check& check) {
    report_.trace.push_back(check);
    exec_.state.marginal_error = check.marginal_error;
    if (!options_.on_check) return true;
    SinkhornReport current = report_;
    static_cast<SinkhornCheck&>(current) = check;
    current.duality_gap = check.gap;
    return options_.on_check(current);
  }

  // Measures the pair in hand where that is due; true when the solve ends here.
  bool ended() {
    if (!measures()) return false;
    const int here = iterations_ - begun_;
    const Check check = measured();
    if (!std::isfinite(check.marginal_error) || !std::isfinite(check.dual_value)) {
      if (!best_.size())
        throw Error(
            fmt::format("[divergence] a non-finite number appeared before the first check "
                        "at epsilon {}",
                        options_.epsilon));
      return end(Status::diverged);
    }
    checks_.observe(here, check.marginal_error);
    checks_.plan(here, /*relaxed=*/false);
    const bool met = meets(check);
    if (!best_.size() || met || check.marginal_error < report_.marginal_error) keep(check);

    const bool go_on = record(check);
    flat_ = report_.marginal_error < checked_error_ ? 0 : flat_ + 1;
    checked_error_ = report_.marginal_error;
    if (met) return end(Status::converged);
    if (!go_on) {
      keep(check);
      return end(Status::stopped);
    }
    if (flat_ >= kFlatChecks && report_.marginal_error < reach().flat_below())
      return end(Status::precision_floor);
    return last() && end(Status::max_iterations);
  }

  bool end(Status status) {
    report_.status = status;
    return true;
  }

  const Problem<T>& problem_;
  const SinkhornOptions& options_;
  Exec& exec_;
  Operator<T> op_;
  CheckPlan checks_;
  kernels::Penalty penalty_;
  Buffer<double> log_weight_, s_, f_, h_, next_h_, best_;
  SinkhornReport report_;
  double checked_error_ = std::numeric_limits<double>::infinity();
  int iterations_ = 0, begun_ = 0, flat_ = 0;
  bool absorbed_ = false;  // the last sweep read a kernel
  bool stepped_ = false;   // and the step was taken with it
};
}  // namespace

template <class T>
SinkhornResult<T> symmetric_sinkhorn(const Problem<T>& problem, const SinkhornOptions& options,
                                     Exec& exec, Prepared<T>* prepared) {
  SymmetricSolve<T> solve(problem, options, exec);
  auto result = solve.run();
  if (prepared) *prepared = solve.hand_over();
  return result;
}
SinkhornResult<double> symmetric_sinkhorn(const Problem<double>& problem,
                                          const SinkhornOptions& options, Exec& exec,
                                          const SinkhornResult<float>& begun) {
  SinkhornOptions mixed = options;
  mixed.precision = Precision::mixed;
  SymmetricSolve<double> solve(problem, mixed, exec);
  solve.go_on(begun);
  return solve.run();
}
template SinkhornResult<float> symmetric_sinkhorn(const Problem<float>&, const SinkhornOptions&,
                                                  Exec&, Prepared<float>*);
template SinkhornResult<double> symmetric_sinkhorn(const Problem<double>&, const SinkhornOptions&,
                                                   Exec&, Prepared<double>*);
}  // namespace monge
