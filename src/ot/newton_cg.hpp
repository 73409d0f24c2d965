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

/// v less its mean over free entries: for two Balanced sides, whose constants S does not see.
inline void project_constants(const double* curvature, double* v, std::int64_t n, Exec& exec) {
  const auto [sum, count] = kernels::sum(kernels::FreeSumArgs{curvature, v}, n, exec).value;
  if (count > 0) kernels::each(kernels::FreeShiftArgs{curvature, -sum / count, v}, n, exec);
}

/// A Model has
///   NewtonSide side() const
///   double respond(const double* g, double* q, Exec&)
///     sets f to the best for g, writes the column totals of (f, g) and returns
///     D(f, g) - sum b conjugate(g) + eps sum q; what follows is of the last response
///   void product(const double* v, double* out, Exec&)      out = P^T D1^-1 P v
///   void squares(double* out, Exec&)                        out_j = sum_i P_ij^2 / D1_i
///   void project(const double* curvature, double* v, Exec&) takes out what S does not see
/// and, where it has a better preconditioner than the diagonal of S (flexible: it may change),
///   void precondition(const double* diagonal, const double* r, double* z, Exec&)
///   void begin(const double* rhs, double* x, Exec&)         a start of CG in place of 0
template <class Model>
class Newton {
 public:
  Newton(Model& model, const NewtonOptions& options, Exec& exec)
      : model_(model), o_(options), side_(model.side()), n_(side_.size), exec_(exec) {
    for (Point* point : {&at_, &trial_})
      for (Buffer<double>* v :
           {&point->g, &point->q, &point->slope, &point->log_slope, &point->curvature})
        *v = Buffer<double>(n_, exec.device);
    for (Buffer<double>* v : {&x_, &r_, &z_, &p_, &w_, &diagonal_})
      *v = Buffer<double>(n_, exec.device);
  }

  /// From g on; g becomes the best point, which is also that of the model's last response.
  NewtonReport run(Buffer<double>& g) {
    std::swap(at_.g, g);
    visit(at_);
    int idle = 0;  // steps that moved nothing beyond rounding
    double best = at_.residual;
    while (at_.residual > o_.tolerance && idle < kIdleSteps && report_.steps < o_.max_steps &&
           report_.products < o_.max_products) {
      const double before = at_.dual;
      ++report_.steps;
      if (at_.residual > kPlainAbove || !(climb(true) || climb(false))) plain();
      const bool moved = at_.dual - before > rounding() || at_.residual < best;
      idle = moved ? 0 : idle + 1;
      best = std::min(best, at_.residual);
      if (!std::isfinite(at_.dual) || (o_.on_step && !o_.on_step())) break;
    }
    report_.residual = at_.residual;
    report_.dual = at_.dual;
    report_.converged = at_.residual <= o_.tolerance;
    std::swap(at_.g, g);
    return report_;
  }

 private:
  static constexpr double kPlainAbove = 0.5;  // residual, where the linear model says nothing
  static constexpr double kBoundary = 3;      // in eps, of an entry of a step
  static constexpr int kHalvings = 6;
  static constexpr int kIdleSteps = 5;
  static constexpr double kSufficient = 1e-4;      // share of the first slope that a step must gain
  static constexpr double kLeastDiagonal = 1e-13;  // share of the curvature: above its rounding

  struct Point {
    Buffer<double> g, q, slope, log_slope, curvature;
    double dual, residual, mass;
    double correction;  // multiple of the curvature that gives log_slope the sum of slope
  };

  double rounding() const { return o_.rounding * (std::abs(at_.dual) + o_.eps * at_.mass); }

  void visit(Point& point) {
    ++report_.responses;
    const double rows = model_.respond(point.g.data(), point.q.data(), exec_);
    const auto sums = kernels::sum(
        kernels::SlopeArgs{side_.weight, point.g.data(), point.q.data(), side_.penalty, o_.eps,
                           point.slope.data(), point.log_slope.data(), point.curvature.data()},
        n_, exec_);
    const auto [columns, mass, residual, excess, curvature] = sums.value;
    point.dual = rows + columns - o_.eps * mass;
    point.mass = mass;
    point.residual = residual == 0 ? 0 : residual / mass;
    point.correction = curvature > 0 ? excess / curvature : 0;
    if (std::isnan(point.residual)) point.residual = std::numeric_limits<double>::infinity();
  }

  double dot(const Buffer<double>& x, const Buffer<double>& y) {
    return kernels::sum(kernels::DotArgs{x.data(), y.data()}, n_, exec_).value[0];
  }
  void add(Buffer<double>& to, double factor, const Buffer<double>& x) {
    kernels::each(kernels::AddArgs<double>{x.data(), factor, to.data()}, n_, exec_);
  }
  void fill(Buffer<double>& to, double value) {
    kernels::each(kernels::FillArgs<double>{value, to.data()}, n_, exec_);
  }
  void project(Buffer<double>& v) { model_.project(at_.curvature.data(), v.data(), exec_); }

  /// out = S v; returns v.S v.
  double schur(const Buffer<double>& v, Buffer<double>& out) {
    ++report_.products;
    model_.product(v.data(), out.data(), exec_);
    const double curved =
        kernels::sum(kernels::SchurArgs{at_.curvature.data(), v.data(), out.data()}, n_, exec_)
            .value[0];
    project(out);
    return curved;
  }

  void precondition() {
    if constexpr (requires { model_.precondition(r_.data(), r_.data(), z_.data(), exec_); })
      model_.precondition(diagonal_.data(), r_.data(), z_.data(), exec_);
    else
      kernels::each(kernels::JacobiArgs{diagonal_.data(), r_.data(), z_.data()}, n_, exec_);
    project(z_);
  }

  /// x_ = a step, from the right-hand side in r_.
  void solve() {
    ++report_.diagonals;
    model_.squares(diagonal_.data(), exec_);
    kernels::each(kernels::SchurDiagonalArgs{at_.curvature.data(), diagonal_.data(), kLeastDiagonal,
                                             diagonal_.data()},
                  n_, exec_);
    project(r_);
    fill(x_, 0);
    if constexpr (requires { model_.begin(r_.data(), x_.data(), exec_); }) {
      model_.begin(r_.data(), x_.data(), exec_);
      schur(x_, w_);
      add(r_, -1, w_);
    }
    precondition();
    fill(p_, 0);
    add(p_, 1, z_);
    double rz = dot(r_, z_);
    const double forcing = std::min(0.1, std::sqrt(at_.residual)), enough = forcing * forcing * rz;
    const int last = std::min(o_.max_products, report_.products + o_.max_step_products);
    while (rz > enough && report_.products < last) {
      const double curved = schur(p_, w_);
      const double inverse =
          kernels::sum(kernels::BoundaryArgs{x_.data(), p_.data(), kBoundary * o_.eps}, n_, exec_)
              .value;
      const double alpha = rz / curved;
      if (!(curved > 0) || !(alpha * inverse < 1)) {
        if (inverse > 0 && std::isfinite(inverse)) add(x_, 1 / inverse, p_);
        return;
      }
      add(x_, alpha, p_);
      add(r_, -alpha, w_);
      precondition();
      const double next = dot(r_, z_), turned = -alpha * dot(w_, z_);
      kernels::each(kernels::DirectionArgs{z_.data(), turned / rz, p_.data()}, n_, exec_);
      rz = next;
    }
  }

  /// A Newton step, on the logarithm or plain; false, and nothing has moved, where none of its
  /// halves climbs.
  bool climb(bool on_logarithm) {
    if (!on_logarithm) visit(at_);  // the model is where the last trial was
    fill(r_, 0);
    add(r_, 1, on_logarithm ? at_.log_slope : at_.slope);
    if (on_logarithm) add(r_, at_.correction, at_.curvature);
    solve();
    double alpha = 1;
    for (int halving = 0; halving <= kHalvings; ++halving, alpha /= 2) {
      kernels::each(
          kernels::TrialArgs{at_.g.data(), x_.data(), alpha, side_.penalty, trial_.g.data()}, n_,
          exec_);
      visit(trial_);
      const auto along =
          kernels::sum(kernels::AlongArgs{at_.g.data(), trial_.g.data(), at_.slope.data(),
                                          trial_.slope.data(), o_.eps},
                       n_, exec_);
      const double first = along.value[0], second = along.value[1];
      if (!(first > 0)) return false;
      // A concave function that still climbs has gained; where its gain is below rounding, that of
      // the slopes is not.
      const double gain = trial_.dual - at_.dual;
      if (std::isfinite(trial_.dual) && (second >= 0 || gain >= kSufficient * first ||
                                         (first + second > 0 && std::abs(gain) <= rounding()))) {
        std::swap(at_, trial_);
        return true;
      }
    }
    return false;
  }

  void plain() {
    kernels::each(
        kernels::PlainStepArgs{side_.weight, at_.q.data(), side_.penalty, o_.eps, at_.g.data()}, n_,
        exec_);
    visit(at_);
  }

  Model& model_;
  const NewtonOptions o_;
  const NewtonSide side_;
  const std::int64_t n_;
  Exec& exec_;
  NewtonReport report_;
  Point at_, trial_;
  Buffer<double> x_, r_, z_, p_, w_, diagonal_;
};
}  // namespace monge
