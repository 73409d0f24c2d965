// Bodies of each() and sum() of a linearised side, and of the directions that it moves along. One
// side of a plan is `rows`; arrays of directions are [n, count], double unless a kernel reads them.
// With w = P / a, rows have the ratio sum_j w_ij = r_i / a_i and tau_i (monge/ot/derivatives.hpp).
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/entries.hpp"

namespace monge::kernels {
/// tau, tau / ratio, which is 0 where no plan passes, and D = a ratio / tau, 0 where the potential
/// does not move or the weight is 0. Of a row of which bounds hold a part the ratio is that of the
/// rest, and tau what makes D a (ratio + eps / rho whole) of a KL side.
template <class T>
struct LinearSideArgs {
  VectorView<const T> weight;
  const T *f, *mass;    // mass: the ratio as a sweep gave it
  const double* whole;  // with what bounds hold; null: nothing
  Penalty penalty;
  double eps;
  double *ratio, *tau, *response, *curvature;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const double a = weight[i], r = mass[i], share = tau_of(r, whole ? whole[i] : r, f[i]);
    const bool some = r > 0 && std::isfinite(r);
    ratio[i] = some ? r : 0;
    tau[i] = share;
    response[i] = some ? share / r : 0;
    curvature[i] = some && share > 0 ? a * r / share : 0;
  }
  MONGE_HOST_DEVICE double tau_of(double r, double all, double potential) const {
    using Kind = Penalty::Kind;
    if (penalty.kind == Kind::kl)
      return penalty.strength / (penalty.strength + (all == r ? eps : eps * all / r));
    const double s = potential - eps * std::log(all);  // the potential before its bound
    if (penalty.kind == Kind::tv) return std::fabs(s) < penalty.strength ? 1 : 0;
    if (penalty.kind == Kind::capped) return s < penalty.level ? 1 : 0;
    return 1;
  }
};

/// How far a side is from convergence, and from a kink of tv.
struct LinearReport {
  double error = 0;  // L1 residual
  double step = 0;   // the largest |prox(s) - f|
  double mass = 0, relaxed = 0, zeros = 0;
  double margin = std::numeric_limits<double>::infinity();
  std::int64_t point = -1;  // of the margin

  MONGE_HOST_DEVICE LinearReport& operator+=(const LinearReport& other) {
    error += other.error;
    if (!(other.step <= step)) step = other.step;
    mass += other.mass;
    relaxed += other.relaxed;
    zeros += other.zeros;
    if (other.margin < margin) margin = other.margin, point = other.point;
    return *this;
  }
};

template <class T>
struct LinearReportArgs {
  using Result = LinearReport;
  VectorView<const T> weight;
  const T* f;
  const double *ratio, *tau;
  Penalty penalty;
  double eps;

  MONGE_HOST_DEVICE LinearReport operator()(std::int64_t i) const {
    LinearReport out;
    const double a = weight[i], r = ratio[i];
    if (!(a > 0)) {
      out.zeros = 1;
      return out;
    }
    if (!(r > 0)) {
      out.error = penalty.optimality(a, f[i], std::log(r), 0).residual;
      return out;
    }
    const double z = std::log(r), s = f[i] - eps * z;
    out.mass = a * r;
    out.error = penalty.optimality(a, f[i], z, 0).residual;
    out.step = std::fabs(penalty.prox(s, eps) - f[i]);
    out.relaxed = tau[i] < 1;
    if (penalty.kind == Penalty::Kind::tv || penalty.kind == Penalty::Kind::capped) {
      out.margin = penalty.kind == Penalty::Kind::tv ? std::fabs(std::fabs(s) - penalty.strength)
                                                     : std::fabs(s - penalty.level);
      out.point = i;
    }
    return out;
  }
};

/// out += x, of both types: sums of a row, and what bounds hold of it.
template <class T>
struct AddWideArgs {
  const T* x;
  double* out;
  MONGE_HOST_DEVICE void operator()(std::int64_t e) const { out[e] += x[e]; }
};
template <class T>
struct AddRoundedArgs {
  const double* x;
  T* out;
  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e] = static_cast<T>(out[e] + x[e]);
  }
};

/// out = eps (whole / ratio - 1) (alpha + c f): what a row's held part adds to the mean of its rest
/// as the target of its marginal moves.
template <class T>
struct HeldMoveArgs {
  const double *ratio, *whole;
  const T* f;
  const double *alpha, *c;  // [n, count], [count]; null: 0
  double eps;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    const double by = (alpha ? alpha[e] : 0) + (c ? c[e % count] * f[i] : 0);
    out[e] = ratio[i] > 0 ? eps * (whole[i] / ratio[i] - 1) * by : 0;
  }
};

/// rows [n, k] over their ratio, 0 without one.
template <class T>
struct OverRatioArgs {
  const double* ratio;
  std::int64_t k;
  T* rows;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const double r = ratio[e / k];
    rows[e] = r > 0 ? static_cast<T>(rows[e] / r) : T(0);
  }
};

/// From [count, n, d] in any strides to [n, count, d].
template <class T>
struct DirectionsArgs {
  MatrixView<const T> from;  // [count n, d]
  std::int64_t n, count;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t d = from.cols, i = e / d / count, r = e / d % count;
    out[e] = from(r * n + i, e % d);
  }
};

/// Directions of points to those of unit vectors, in place: v = (v - x^ x^.v) / |x|.
template <class T>
struct UnitTangentArgs {
  UnitLengthChainArgs<T> chain;  // its gradient is not read
  std::int64_t count;
  T* v;  // [n, count, dim]

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    const int dim = chain.directions.dim;
    T* const row = v + e * dim;
    double along = 0;
    for (int k = 0; k < dim; ++k) along += chain.direction(i, k) * row[k];
    for (int k = 0; k < dim; ++k)
      row[k] = static_cast<T>(chain.inverse_length[i] * (row[k] - along * chain.direction(i, k)));
  }
};

/// What the chain itself adds to a Hessian product, with g the gradient in the unit vector, u = the
/// direction, v = its unit tangent and l = 1 / |x|:
///   out -= l (v x^.g + x^ v.g) + l^2 x^.u (g - x^ x^.g)
template <class T>
struct UnitCurvatureArgs {
  UnitLengthChainArgs<T> chain;
  std::int64_t n, count;
  VectorView<const T> weight;
  const double* ratio;
  const T* center;   // [n, dim]: g over the row's mass
  const T *raw, *v;  // [n, count, dim]
  T* out;            // [count, n, dim]

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count, r = e % count;
    const int dim = chain.directions.dim;
    const T *const g = center + i * dim, *const u = raw + e * dim, *const t = v + e * dim;
    double xg = 0, xu = 0, tg = 0;
    for (int k = 0; k < dim; ++k) {
      const double x = chain.direction(i, k);
      xg += x * g[k], xu += x * u[k], tg += static_cast<double>(t[k]) * g[k];
    }
    const double mass = weight[i] * ratio[i], l = chain.inverse_length[i];
    for (int k = 0; k < dim; ++k) {
      const double x = chain.direction(i, k);
      T& to = out[(r * n + i) * dim + k];
      to = static_cast<T>(to - mass * (l * (t[k] * xg + x * tg) + l * l * xu * (g[k] - x * xg)));
    }
  }
};

/// out = da / a from [count, n], 0 at a = 0.
template <class T>
struct WeightTangentArgs {
  MatrixView<const T> from;
  VectorView<const T> weight;
  double* out;  // [n, count]

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / from.rows;
    const double a = weight[i];
    out[e] = a > 0 ? from(e % from.rows, i) / a : 0;
  }
};

/// sum_i da_i of direction r, and how many of them are not 0 where a is.
template <class T>
struct WeightMoveArgs {
  using Result = Sums<2>;
  MatrixView<const T> from;
  VectorView<const T> weight;
  std::int64_t r;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double by = from(r, i);
    return {{by, !(weight[i] > 0) && by != 0 ? 1.0 : 0.0}};
  }
};

/// out = x kx + y ky + z kz + f_i c_r, of what is there.
template <class T>
struct TermArgs {
  const double *x, *y, *z;
  double kx, ky, kz;
  const T* f;
  const double* c;  // [count]
  std::int64_t count;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    double value = 0;
    if (x) value += kx * x[e];
    if (y) value += ky * y[e];
    if (z) value += kz * z[e];
    if (c) value += c[e % count] * f[e / count];
    out[e] = static_cast<T>(value);
  }
};
}  // namespace monge::kernels

#define MONGE_LINEAR_EACH_BODIES_OF(X, T) \
  X(LinearSideArgs<T>)                    \
  X(AddWideArgs<T>)                       \
  X(AddRoundedArgs<T>)                    \
  X(HeldMoveArgs<T>)                      \
  X(OverRatioArgs<T>)                     \
  X(DirectionsArgs<T>)                    \
  X(UnitTangentArgs<T>)                   \
  X(UnitCurvatureArgs<T>)                 \
  X(WeightTangentArgs<T>)                 \
  X(TermArgs<T>)
#define MONGE_LINEAR_EACH_BODIES(X)     \
  MONGE_LINEAR_EACH_BODIES_OF(X, float) \
  MONGE_LINEAR_EACH_BODIES_OF(X, double)
#define MONGE_LINEAR_SUM_BODIES_OF(X, T) \
  X(LinearReportArgs<T>)                 \
  X(WeightMoveArgs<T>)
#define MONGE_LINEAR_SUM_BODIES(X)     \
  MONGE_LINEAR_SUM_BODIES_OF(X, float) \
  MONGE_LINEAR_SUM_BODIES_OF(X, double)
