// The bodies of each() and sum() that truncated Newton is written on (ot/newton_cg.hpp). Vectors
// are double, of one side, "the columns". An entry of curvature 0 is frozen: no step moves it.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/penalty.hpp"

namespace monge::kernels {
/// The largest of numbers >= 0, as a result of sum().
struct Largest {
  double value = 0;

  MONGE_HOST_DEVICE Largest& operator+=(const Largest& other) {
    if (!(other.value <= value)) value = other.value;  // NaN stays seen
    return *this;
  }
};

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

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const double b = weight[j], at = g[j], total = q[j];
    slope[j] = log_slope[j] = curvature[j] = 0;
    if (!(b > 0)) return {};
    const bool kl = penalty.kind == Penalty::Kind::kl;
    const double target = kl ? b * std::exp(-at / penalty.strength) : b;
    const double residual = b * penalty.optimality(at, std::log(total / b), 0).residual;
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

/// out = curvature v - out, 0 where frozen: the Schur complement from P^T D^-1 P v. Sum v out.
struct SchurArgs {
  using Result = Sums<1>;
  const double *curvature, *v;
  double* out;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    out[j] = curvature[j] > 0 ? curvature[j] * v[j] - out[j] : 0;
    return {{v[j] * out[j]}};
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

/// p = z + beta p
struct DirectionArgs {
  const double* z;
  double beta;
  double* p;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const { p[j] = z[j] + beta * p[j]; }
};

struct DotArgs {
  using Result = Sums<1>;
  const double *x, *y;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const { return {{x[j] * y[j]}}; }
};

/// 1 over the largest alpha at which every |x + alpha p| <= radius; 0: no alpha is too large.
struct BoundaryArgs {
  using Result = Largest;
  const double *x, *p;
  double radius;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const double step = std::fabs(p[j]);
    if (!(step > 0)) return {};
    return {step / std::fmax(p[j] > 0 ? radius - x[j] : radius + x[j], 0.0)};
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

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const double step = (to[j] - g[j]) / eps;
    return {{slope[j] * step, slope_to[j] * step}};
  }
};

/// sum v and the number of entries, over free ones.
struct FreeSumArgs {
  using Result = Sums<2>;
  const double *curvature, *v;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    return curvature[j] > 0 ? Result{{v[j], 1}} : Result{};
  }
};
/// v += by, where free.
struct FreeShiftArgs {
  const double* curvature;
  double by;
  double* v;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    if (curvature[j] > 0) v[j] += by;
  }
};
}  // namespace monge::kernels

#define MONGE_NEWTON_EACH_BODIES(X) \
  X(PlainStepArgs) X(SchurDiagonalArgs) X(JacobiArgs) X(DirectionArgs) X(TrialArgs) X(FreeShiftArgs)
#define MONGE_NEWTON_SUM_BODIES(X) \
  X(SlopeArgs) X(SchurArgs) X(DotArgs) X(BoundaryArgs) X(AlongArgs) X(FreeSumArgs)
