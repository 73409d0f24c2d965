// Truncated Newton on the dual reduced to one side, d(g) = max_f D(f, g), for whatever can answer
// for f: all pairs (the dense phase) or a support with remainders. With column totals q(g) and
// their target t, curvature c = q (kl: q (1 + eps / rho)), D1 the same of the rows,
//   grad d = t - q,     -eps hess d = S = diag(c) - P^T D1^-1 P,
// a step solves S x = eps q log(t / q): Newton on the logarithm, exact where pairs decouple. CG
// stops at an accuracy that the residual deserves, or where an entry of x reaches 3 eps: beyond,
// weak links make the linear model useless. Vectors are double, where the model's data are.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

#include "kernels/cg.hpp"
#include "kernels/entries.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"

namespace monge {
/// The side that Newton moves.
struct NewtonSide {
  const double* weight;  // [size]
  std::int64_t size;
  kernels::Penalty penalty;
};

struct NewtonOptions {
  double eps;
  double tolerance;                    // on the L1 residual of the columns over the mass
  double rounding;                     // of the dual: what of it a step may seem to lose
  int max_steps = 100;                 // Newton steps and plain ones
  int max_products = 10000;            // of CG in all
  int max_step_products = 300;         // in one step
  std::function<bool()> on_step = {};  // after each, at the model's last response; false stops
};

struct NewtonReport {
  double residual = 0;  // L1, over the mass, of the last response
  double dual = 0;
  int steps = 0, responses = 0, products = 0, diagonals = 0;
  bool converged = false;
};

/// A Model has
///   Totals                                 plain data: what of a response the host reads besides
///   NewtonSide side() const
///   void respond(const kernels::ResponseArgs&, Totals*, Exec&)
///     sets f to the best for g, writes the column totals of (f, g) and what they say; what follows
///     is of the last response
///   double dual(const Totals&)             D(f, g) - sum b conjugate(g) + eps sum q
///   bool projects() const                  whether S does not see constants; after dual()
///   void step(const kernels::StepArgs&, Exec&)
///     CG (kernels/cg.hpp) with S = diag(curvature) - P^T D1^-1 P, whose diagonal takes
///     sum_i P_ij^2 / D1_i
template <class Model>
class Newton {
 public:
  Newton(Model& model, Exec& exec)
      : model_(model),
        side_(model.side()),
        n_(side_.size),
        exec_(exec),
        scratch_((2 * kPointVectors + kStepVectors) * n_, exec.device),
        found_(1, exec.device),
        room_(kernels::kStepRoom, exec.device) {
    kernels::each(kernels::FillArgs<std::int64_t>{0, room_.data()}, room_.size(), exec);
    double* next = scratch_.data();
    for (Point* point : {&at_, &trial_})
      for (double** v : {&point->g, &point->q, &point->slope, &point->log_slope, &point->curvature})
        *v = std::exchange(next, next + n_);
    for (double** v : {&cg_.x, &cg_.r, &cg_.z, &cg_.p, &cg_.w, &diagonal_})
      *v = std::exchange(next, next + n_);
    cg_.n = n_;
    cg_.diagonal = diagonal_;
    cg_.state = &found_.data()->cg;
  }

  /// From g on; g becomes the best point, which is also that of the model's last response.
  NewtonReport run(Buffer<double>& g, const NewtonOptions& options) {
    o_ = &options;
    report_ = {};
    sharper_ = 1;
    take(at_.g, g.data());
    visit(at_);
    int idle = 0;  // steps that moved nothing beyond rounding
    double best = at_.residual;
    while (at_.residual > o_->tolerance && idle < kIdleSteps && report_.steps < o_->max_steps &&
           report_.products < o_->max_products) {
      const double before = at_.dual, residual = at_.residual;
      ++report_.steps;
      if (residual > kPlainAbove || !(climb(true) || climb(false)))
        plain();
      else if (at_.residual > kHelps * residual)
        mend();
      const bool moved = at_.dual - before > rounding() || at_.residual < best;
      idle = moved ? 0 : idle + 1;
      best = std::min(best, at_.residual);
      if (!std::isfinite(at_.dual) || (o_->on_step && !o_->on_step())) break;
    }
    report_.residual = at_.residual;
    report_.dual = at_.dual;
    report_.converged = at_.residual <= o_->tolerance;
    take(g.data(), at_.g);
    return report_;
  }

 private:
  static constexpr double kPlainAbove = 0.5;  // residual, where the linear model says nothing
  static constexpr double kBoundary = 3;      // in eps, of an entry of a step
  static constexpr double kHelps = 0.5;       // of the residual, that a step should leave at most
  static constexpr double kSharper = 0.1, kSharpest = 1e-4;  // accuracies of CG, over the first
  static constexpr double kLasts = 0.5;  // of the first slope, at the end of a step to go on
  static constexpr int kHalvings = 6;
  static constexpr int kIdleSteps = 5;
  static constexpr double kSufficient = 1e-4;      // share of the first slope that a step must gain
  static constexpr double kLeastDiagonal = 1e-13;  // share of the curvature: above its rounding
  static constexpr std::int64_t kPointVectors = 5, kStepVectors = 6;

  struct Point {
    double *g, *q, *slope, *log_slope, *curvature;
    double dual, residual, mass;
    double correction;  // multiple of the curvature that gives log_slope the sum of slope
  };
  /// What is read back, at once.
  struct Found {
    kernels::SlopeArgs::Result sums;
    kernels::AlongArgs::Result along;
    kernels::Cg cg;
    typename Model::Totals model;
  };

  double rounding() const { return o_->rounding * (std::abs(at_.dual) + o_->eps * at_.mass); }

  void take(double* to, const double* from) {
    copy(to, exec_.device, from, exec_.device, n_ * std::int64_t{sizeof(double)}, exec_.stream);
  }

  /// `trial`: the step from at_ that leads there, if any.
  Found visit(Point& point, const kernels::TrialArgs& trial = {}) {
    ++report_.responses;
    Found* const found = found_.data();
    kernels::ResponseArgs args{
        .n = n_,
        .g = point.g,
        .q = point.q,
        .slope = {side_.weight, point.g, point.q, side_.penalty, o_->eps, point.slope,
                  point.log_slope, point.curvature, &found->sums},
        .trial = trial,
        .room = room_.data()};
    if (trial.out) args.along = {at_.g, point.g, at_.slope, point.slope, o_->eps, &found->along};
    model_.respond(args, &found->model, exec_);
    Found now;
    copy(&now, Device{}, found, exec_.device, sizeof now, exec_.stream);
    const auto [columns, mass, residual, excess, curvature] = now.sums.value;
    point.dual = model_.dual(now.model) + columns - o_->eps * mass;
    point.mass = mass;
    point.residual = residual == 0 ? 0 : residual / mass;
    point.correction = curvature > 0 ? excess / curvature : 0;
    if (std::isnan(point.residual)) point.residual = std::numeric_limits<double>::infinity();
    return now;
  }

  /// cg_.x = a step.
  void solve(bool on_logarithm) {
    ++report_.diagonals;
    cg_.curvature = at_.curvature;
    cg_.forcing = sharper_ * std::min(0.1, std::sqrt(at_.residual));
    cg_.radius = kBoundary * o_->eps;
    cg_.most = std::min(o_->max_products - report_.products, o_->max_step_products);
    cg_.projects = model_.projects();
    model_.step({.diagonal = {at_.curvature, diagonal_, kLeastDiagonal, diagonal_},
                 .right = {on_logarithm ? at_.log_slope : at_.slope, at_.curvature,
                           on_logarithm ? at_.correction : 0, cg_.r},
                 .cg = cg_,
                 .room = room_.data()},
                exec_);
  }

  /// A Newton step, on the logarithm or plain; false, and nothing has moved, where none of its
  /// halves climbs.
  bool climb(bool on_logarithm) {
    if (!on_logarithm) visit(at_);  // the model is where the last trial was
    solve(on_logarithm);
    double alpha = 1;
    for (int halving = 0; halving <= kHalvings; ++halving, alpha /= 2) {
      const Found found = visit(trial_, {at_.g, cg_.x, alpha, side_.penalty, trial_.g});
      if (halving == 0) {
        report_.products += found.cg.products;
        cut_ = found.cg.boundary;
      }
      const auto [first, second] = found.along.value;
      if (!(first > 0)) return false;
      // A concave function that still climbs has gained; where its gain is below rounding, that of
      // the slopes is not.
      const double gain = trial_.dual - at_.dual;
      if (std::isfinite(trial_.dual) && (second >= 0 || gain >= kSufficient * first ||
                                         (first + second > 0 && std::abs(gain) <= rounding()))) {
        std::swap(at_, trial_);
        if (cut_ && halving == 0 && second > kLasts * first) go_on();
        return true;
      }
    }
    return false;
  }

  /// Behind a step that was cut where its slope had hardly fallen: the same way, twice as far each
  /// time, as long as that is so. Counts as the steps that it is long, of which a run has few: how
  /// far parts go that nothing holds, a model does not know.
  void go_on() {
    for (int alpha = 1; report_.steps + alpha <= o_->max_steps; alpha *= 2) {
      const auto [first, second] =
          visit(trial_, {at_.g, cg_.x, static_cast<double>(alpha), side_.penalty, trial_.g})
              .along.value;
      if (!(std::isfinite(trial_.dual) && second > 0)) return void(visit(at_));
      report_.steps += alpha;
      std::swap(at_, trial_);
      if (!(second > kLasts * first)) return;
    }
  }

  /// Behind a step that hardly helped. Where it was cut, single entries kept all others back: those
  /// of rows that a bound of their penalty holds, say, which a plain step takes to where they
  /// belong however far that is. Else CG ended at an r.z that does not show what is left: parts of
  /// the plan that hardly hang together, whose masses differ.
  void mend() {
    if (cut_)
      plain();
    else
      sharper_ = std::max(kSharper * sharper_, kSharpest);
  }

  void plain() {
    kernels::each(kernels::PlainStepArgs{side_.weight, at_.q, side_.penalty, o_->eps, at_.g}, n_,
                  exec_);
    visit(at_);
  }

  Model& model_;
  const NewtonSide side_;
  const std::int64_t n_;
  Exec& exec_;
  const NewtonOptions* o_ = nullptr;  // of the run
  NewtonReport report_;
  Buffer<double> scratch_;
  Buffer<Found> found_;
  Buffer<std::int64_t> room_;
  Point at_, trial_;
  kernels::CgArgs cg_{};
  double* diagonal_;
  double sharper_ = 1;  // of this run, CG: share of its usual accuracy
  bool cut_ = false;    // the last step ended at the boundary
};
}  // namespace monge
