// The bodies of each() and settle() that truncated Newton is written on (ot/newton_cg.hpp). Vectors
// are double, of one side, "the columns". An entry of curvature 0 is frozen: no step moves it.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/penalty.hpp"

namespace monge::kernels {
/// What column totals q say at g, with target t = b (kl: b exp(-g / rho)):
///   slope = eps (t - q),  log_slope = eps q log(t / q),  curvature = q (kl: q (1 + eps / rho)),
/// all 0 where b = 0 or a bound of the penalty stops the slope. Sums, the last two over free
/// entries:
///   sum b conjugate(g),  sum q,  L1 residual,  sum slope - log_slope,  sum curvature
struct SlopeArgs {
  using Result = Sums<5>;
  const double *weight, *g, *q;
  Penalty penalty;
  double eps;
  double *slope, *log_slope, *curvature;
  Result* sums;

  MONGE_HOST_DEVICE void finish(const Result& all) const { *sums = all; }
  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const double b = weight[j], at = g[j], total = q[j];
    slope[j] = log_slope[j] = curvature[j] = 0;
    if (!(b > 0)) return {};
    const bool kl = penalty.kind == Penalty::Kind::kl;
    const double target = kl ? b * std::exp(-at / penalty.strength) : b;
    const double residual = penalty.optimality(b, at, std::log(total / b), 0).residual;
    Result out{{b * penalty.conjugate(at), total, residual, 0, 0}};
    if (penalty.feasible(total <= target ? at + eps : at - eps) == at) return out;
    slope[j] = eps * (target - total);
    log_slope[j] = total > 0 ? eps * total * std::log(target / total) : 0;
    curvature[j] = kl ? total * (1 + eps / penalty.strength) : total;
    out.value[3] = slope[j] - log_slope[j];
    out.value[4] = curvature[j];
    return out;
  }
};

/// g = prox(softmin), the softmin being known from the total: the plain half-step.
struct PlainStepArgs {
  const double *weight, *q;
  Penalty penalty;
  double eps;
  double* g;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    if (weight[j] > 0 && q[j] > 0)
      g[j] = penalty.prox(g[j] + eps * std::log(weight[j] / q[j]), eps);
  }
};

/// diagonal = curvature - squares, kept above rounding; 0 where frozen.
struct SchurDiagonalArgs {
  const double *curvature, *squares;
  double least;  // share of the curvature
  double* diagonal;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    diagonal[j] = std::fmax(curvature[j] - squares[j], least * curvature[j]);
  }
};

/// z = r / diagonal, 0 where frozen.
struct JacobiArgs {
  const double *diagonal, *r;
  double* z;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    z[j] = diagonal[j] > 0 ? r[j] / diagonal[j] : 0;
  }
};

/// out = feasible(g + alpha x)
struct TrialArgs {
  const double *g, *x;
  double alpha;
  Penalty penalty;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    out[j] = penalty.feasible(g[j] + alpha * x[j]);
  }
};

/// Slopes of the dual at both ends of the step from g to `to`: sum slope (to - g) of each, over
/// eps.
struct AlongArgs {
  using Result = Sums<2>;
  const double *g, *to, *slope, *slope_to;
  double eps;
  Result* sums;

  MONGE_HOST_DEVICE void finish(const Result& all) const { *sums = all; }
  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const double step = (to[j] - g[j]) / eps;
    return {{slope[j] * step, slope_to[j] * step}};
  }
};

/// The right-hand side of a step: a slope, plus a multiple of the curvature.
struct RightSideArgs {
  const double *slope, *curvature;
  double correction;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    out[j] = slope[j] + correction * curvature[j];
  }
};

/// Scratch of a launch that does several steps, 0 before the first; a CPU has no use for it.
inline constexpr std::int64_t kStepRoom = 4096;

/// What is asked of a model at g: it makes q, and says what that says.
struct ResponseArgs {
  std::int64_t n;
  double *g, *q;
  SlopeArgs slope;               // at g and q
  TrialArgs trial{};             // by which g is made; out null: it is there
  AlongArgs along{};             // of a step that ends at g; sums null: none does
  std::int64_t* room = nullptr;  // [kStepRoom]
};
inline void make_trial(const ResponseArgs& args, Exec& exec) {
  if (args.trial.out) each(args.trial, args.n, exec);
}
inline void settle_slopes(const ResponseArgs& args, Exec& exec) {
  settle(args.slope, args.n, exec);
  if (args.along.sums) settle(args.along, args.n, exec);
}
}  // namespace monge::kernels

#define MONGE_NEWTON_EACH_BODIES(X) \
  X(PlainStepArgs) X(SchurDiagonalArgs) X(JacobiArgs) X(TrialArgs) X(RightSideArgs)
#define MONGE_NEWTON_SETTLE_BODIES(X) X(SlopeArgs) X(AlongArgs)
