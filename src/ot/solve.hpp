// One solve: the schedule of epsilon, and what each check decides. Its loops are in solve.cpp, what
// they leave to Newton, on a support or on all pairs, in solve_newton.cpp.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "ot/mixing.hpp"
#include "ot/multiscale.hpp"
#include "ot/prepared.hpp"
#include "ot/record.hpp"
#include "ot/relaxation.hpp"
#include "ot/support.hpp"

namespace monge {
template <class T>
class Solve {
 public:
  /// `forest`: sweeps are those of its trees; null: all pairs.
  Solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
        std::shared_ptr<const Forest<T>> forest = nullptr);

  /// Counts what was done before.
  void count(const SinkhornReport& begun) { record_.count(begun); }
  void count(const Multiscale<T>& begun) {
    record_.report.coarse_passes = begun.passes;
    record_.report.trace = begun.trace;
    begun_ = begun.epsilon;
  }

  /// Where that pays, a start from float, which is kept here; else what is given.
  Start<T> in_float(const Start<T>& start);

  SinkhornResult<T> run(const Start<T>& start);
  /// After it.
  Prepared<T> hand_over() { return handed_over(std::move(op_)); }

 private:
  using Check = typename Alternation<T>::Check;

  Initializer initializer() const;
  bool anneal(double first, int level_iterations);
  bool level(int iterations);
  void begin(double eps);
  void target();
  void begin_target();
  void take_up();

  void remember();
  void step_along(double factor);
  bool strayed(const Check& check);
  double finest_level() const { return std::max(options_.tolerance, reach_.streamed.flat_below()); }
  bool may_round(int at_target) const;
  bool kernel_lowers_floor(const Check& check);
  bool may_anneal() const { return annealed_ && level_tolerance_ > finest_level(); }
  bool stalled(int at_target, double error);
  bool may_mix() const;
  double coarse_patience(int at_target) const;
  bool slow(int at_target) const;
  /// Where a support's systems are chains, which CG goes along pair by pair, and the coarse basis
  /// of Newton is a fine one: that comes first.
  bool on_line() const { return op_.dim() == 1 && !op_.has_images(); }
  /// There mixes go apart along weak links, unless a KL side holds them.
  bool on_hard_line() const {
    constexpr auto kKL = kernels::Penalty::Kind::kl;
    return on_line() && alternation_.leading().penalty.kind != kKL &&
           alternation_.following().penalty.kind != kKL;
  }
  bool many_on_trees(int at_target) const;
  Relaxation make_relaxation() const;

  int wants_support(bool slow = false);
  bool support(int k, const char* why);
  bool wants_newton(int at_target) const;
  bool newton();

  void leave_fast(double eps);
  bool fast_is_done(const Check& check);
  void end_fast_stage();
  bool rough_is_done(const Check& check);
  void end_rough_stage();
  bool stage_is_done(const Check& check, double enough);

  const Problem<T>& problem_;
  const SinkhornOptions& options_;
  Exec& exec_;
  bool fast_stage_;  // of the schedule staged
  Operator<T> op_;
  Alternation<T> alternation_;
  const Reaches reach_;
  Record<T> record_;
  Relaxation relaxation_;
  Mixing<T> mixing_;
  std::optional<SupportPhase<T>> support_;
  CheckPlan checks_;
  const std::int64_t kernel_cache_;
  Buffer<T> begun_f_, begun_g_;  // in float, whose residual was
  double begun_error_ = 0;
  Buffer<double> before_;  // g at the level before, or with which a target on a line began
  double level_tolerance_, window_error_ = 0;
  int flat_ = 0, window_start_ = 0, kernels_for_floor_ = 0;
  double stage_error_ = std::numeric_limits<double>::infinity();
  double begun_ = 0;          // the epsilon that a start by trees is for
  double support_below_ = 0;  // the epsilon at which the plan may be worth gathering
  bool started_ = false;      // from potentials that no sweep has seen
  bool annealed_ = false, extrapolated_ = false, had_newton_ = false, passes_are_many_ = false;
  bool may_be_rough_;
};
}  // namespace monge
