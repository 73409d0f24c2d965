// The bodies of each() and sum() that derivatives are written on. One side of a plan is `rows`;
// arrays of directions are [n, count], double unless a kernel reads them. With w = P / a, rows
// have the ratio sum_j w_ij = r_i / a_i and tau_i (monge/ot/derivatives.hpp).
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/entries.hpp"

namespace monge::kernels {
/// tau, tau / ratio, which is 0 where no plan passes, and D = a ratio / tau, 0 where the potential
/// does not move or the weight is 0.
template <class T>
struct LinearSideArgs {
  VectorView<const T> weight;
  const T *f, *mass;  // mass: the ratio as a sweep gave it
  Penalty penalty;
  double eps;
  double *ratio, *tau, *response, *curvature;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const double a = weight[i], r = mass[i], share = tau_of(r, f[i]);
    const bool some = r > 0 && std::isfinite(r);
    ratio[i] = some ? r : 0;
    tau[i] = share;
    response[i] = some ? share / r : 0;
    curvature[i] = some && share > 0 ? a * r / share : 0;
  }
  MONGE_HOST_DEVICE double tau_of(double r, double potential) const {
    using Kind = Penalty::Kind;
    if (penalty.kind == Kind::kl) return penalty.strength / (penalty.strength + eps);
    const double s = potential - eps * std::log(r);  // the potential before its bound
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
      out.error = a * penalty.optimality(f[i], std::log(r), 0).residual;
      return out;
    }
    const double z = std::log(r), s = f[i] - eps * z;
    out.mass = a * r;
    out.error = a * penalty.optimality(f[i], z, 0).residual;
    out.step = std::fabs(penalty.prox(s, eps) - f[i]);
    out.relaxed = tau[i] < 1;
    if (penalty.kind == Penalty::Kind::tv) {
      out.margin = std::fabs(std::fabs(s) - penalty.strength);
      out.point = i;
    }
    return out;
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

/// out_ir = center_i.v_ir: the mean change of the costs of a row along its own point.
template <class T>
struct OwnChangeArgs {
  const T *center, *v;  // [n, dim], [n, count, dim]
  std::int64_t count;
  int dim;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    double sum = 0;
    for (int k = 0; k < dim; ++k)
      sum += static_cast<double>(center[e / count * dim + k]) * v[e * dim + k];
    out[e] = sum;
  }
};

/// out = factor rows / ratio_i, 0 without a ratio.
template <class T>
struct MeanArgs {
  const T* rows;  // [n, count]
  const double* ratio;
  std::int64_t count;
  double factor;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const double r = ratio[e / count];
    out[e] = r > 0 ? factor * rows[e] / r : 0;
  }
};

/// What moves at a bound of tv by itself: sign(f) dlambda, 0 where tau > 0.
template <class T>
struct BoundMoveArgs {
  const T* f;
  const double *tau, *by;  // [n], [count]
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    out[e] = tau[i] > 0 ? 0 : std::copysign(by[e % count], by[e % count] * f[i]);
  }
};

/// out = tau_i (mean + eps f_i c_r - sum / ratio_i) + bound: df where the other side's moves are in
/// `sum`; c = drho / rho^2.
template <class T>
struct PotentialMoveArgs {
  const double *tau, *response, *mean;
  const T* f;
  const double* c;      // null: 0
  const double* bound;  // null: 0
  const T* sum;         // null: 0
  double eps, factor;   // of sum
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    double value = mean ? mean[e] : 0;
    if (c) value += eps * c[e % count] * f[i];
    value *= tau[i];
    if (sum) value -= response[i] * factor * sum[e];
    out[e] = value + (bound ? bound[e] : 0);
  }
};

/// out = -b_j sum + eps b_j ratio_j g_j c_r of the Schur complement, 0 where frozen.
template <class T>
struct SchurRightArgs {
  VectorView<const T> weight;
  const double *ratio, *curvature;
  const T *g, *sum;
  const double* c;  // null: 0
  double eps;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t j = e / count;
    double value = -static_cast<double>(sum[e]);
    if (c) value += eps * ratio[j] * g[j] * c[e % count];
    out[e] = curvature[j] > 0 ? weight[j] * value : 0;
  }
};

/// The potential moves of points of weight 0, which no sweep of the other side sees, in place; from
/// eps sum = sum_j w_ij (dg_j - dc_ij ...).
template <class T>
struct ZeroWeightMoveArgs {
  VectorView<const T> weight;
  const double *tau, *response;
  const T *f, *sum;
  const double *c, *bound;  // null: 0
  double eps;
  std::int64_t count;
  double* df;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    if (weight[i] > 0) return;
    df[e] = eps * (tau[i] * (c ? c[e % count] * f[i] : 0) - response[i] * sum[e]) +
            (bound ? bound[e] : 0);
  }
};

/// eps sum_j dP_ij / a_i without what da_i does: known where the potential is free, else from
/// sum_j w_ij t_ij of a sweep, whose t lacks df less the mean.
template <class T>
struct FlowArgs {
  const double *ratio, *tau, *df, *mean;  // mean null: t lacks df alone
  const T *f, *sum;                       // sum null: not known, 0
  const double* c;
  double eps, factor;  // factor: of sum
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    if (tau[i] > 0)
      out[e] = ratio[i] * (df[e] * (1 - 1 / tau[i]) + (c ? eps * c[e % count] * f[i] : 0));
    else
      out[e] = sum ? factor * sum[e] + ratio[i] * (df[e] - (mean ? mean[e] : 0)) : 0;
  }
};

/// From a sweep's [n, count, dim] to [count, n, dim]: a_i (rows + center_i (flow / eps + ratio
/// alpha)), 0 at weight 0.
template <class T>
struct PointProductArgs {
  VectorView<const T> weight;
  const T *rows, *center;
  const double *ratio, *flow, *alpha;  // alpha null: 0
  double eps;
  std::int64_t n, count, dim;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t k = e % dim, ir = e / dim, i = ir / count, r = ir % count;
    const double a = weight[i], along = flow[ir] / eps + (alpha ? ratio[i] * alpha[ir] : 0);
    out[(r * n + i) * dim + k] =
        a > 0 ? static_cast<T>(a * (rows[e] + center[i * dim + k] * along)) : T(0);
  }
};

/// The change of a weight's derivative, [count, n].
template <class T>
struct WeightProductArgs {
  const double *ratio, *tau, *df, *flow;
  const T* f;
  Penalty penalty;
  const double *deps, *c;  // [count] or null; c = drho / rho^2
  const double* masses;    // [count]: eps sum of the other side's moves
  double opposite;         // mass of the other side
  std::int64_t n, count;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count, r = e % count;
    double value = masses[r] - flow[e] + (tau[i] > 0 ? ratio[i] : 1) * df[e];
    if (deps) value += deps[r] * (opposite - ratio[i]);
    if (c && penalty.kind == Penalty::Kind::kl) {
      const double rho = penalty.strength;
      value += c[r] * rho * (rho - ratio[i] * (rho + f[i]));
    }
    out[r * n + i] = static_cast<T>(value);
  }
};

/// values - mean, 0 where the weight is 0: as CentreArgs, without its ones.
template <class T>
struct RelativeArgs {
  MatrixView<const T> values;
  VectorView<const T> weight;
  const double* mean;  // [cols]
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t j = e / values.cols, k = e % values.cols;
    out[e] = weight[j] > 0 ? static_cast<T>(values(j, k) - mean[k]) : T(0);
  }
};

/// How the images move: (mean_irk - image_ik sum_ir + carried_irk) / ratio_i to [count, n, d].
template <class T>
struct ImageMoveArgs {
  const T *mean, *sum, *image, *carried;  // carried null: 0
  const double* ratio;
  std::int64_t n, count, dim;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t k = e % dim, ir = e / dim, i = ir / count, r = ir % count;
    double value = mean[e] - static_cast<double>(image[i * dim + k]) * sum[ir];
    if (carried) value += carried[e];
    out[(r * n + i) * dim + k] = ratio[i] > 0 ? static_cast<T>(value / ratio[i]) : T(0);
  }
};

/// a_i (flow / eps + ratio alpha): how the marginal moves, to [count, n].
template <class T>
struct MarginalMoveArgs {
  VectorView<const T> weight;
  const double *ratio, *flow, *alpha;  // alpha null: 0
  double eps;
  std::int64_t n, count;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    const double along = flow[e] / eps + (alpha ? ratio[i] * alpha[e] : 0);
    out[e % count * n + i] = static_cast<T>(weight[i] * along);
  }
};

/// sum_i a_i (rows_ir + ratio_i x_ir) of direction r, over rows of positive weight; what is null is
/// 0.
template <class T>
struct WeightedRowsArgs {
  using Result = Sums<1>;
  VectorView<const T> weight;
  const T* rows;
  const double *ratio, *x;
  std::int64_t count, r;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double a = weight[i];
    if (!(a > 0)) return {};
    return {{a * ((rows ? rows[i * count + r] : 0) + (x ? ratio[i] * x[i * count + r] : 0))}};
  }
};

/// out = sum of k x over what is there, with x in double and s in T.
template <class T>
struct CombinationArgs {
  const double *x, *y;
  const T* s;
  double kx, ky, ks;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e] = (x ? kx * x[e] : 0) + (y ? ky * y[e] : 0) + (s ? ks * s[e] : 0);
  }
};
/// out = factor x scale_i^-1 or x scale_i; 0 where a division has none.
struct ScaleArgs {
  const double *x, *scale;
  std::int64_t count;
  bool divides;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const double s = scale[e / count];
    out[e] = divides ? (s > 0 ? x[e] / s : 0) : x[e] * s;
  }
};

/// A cotangent from [count, n] to [n, count].
template <class T>
struct CotangentArgs {
  MatrixView<const T> from;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e] = from(e % from.rows, e / from.rows);
  }
};
/// out_i. = theta_i. / (a_i ratio_i) of [n, count, d], and what its rows take off: image_i.out_i.
template <class T>
struct ImageCotangentArgs {
  VectorView<const T> weight;
  const T *theta, *image;
  const double* ratio;
  std::int64_t count;
  int dim;
  T* out;
  double* off;  // [n, count]

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const double r = weight[e / count] * ratio[e / count];
    double sum = 0;
    for (int k = 0; k < dim; ++k) {
      const double v = r > 0 ? theta[e * dim + k] / r : 0;
      out[e * dim + k] = static_cast<T>(v);
      sum += v * image[e / count * dim + k];
    }
    off[e] = sum;
  }
};

/// lambda = response (phi - factor crossed), 0 at weight 0: D1^-1 (F - P mu) with phi = F / a.
template <class T>
struct MultiplierArgs {
  VectorView<const T> weight;
  const double *response, *phi;
  const T* crossed;  // null: 0
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    const double off = crossed ? crossed[e] : 0;
    out[e] = weight[i] > 0 ? response[i] * (phi[e] - off) : 0;
  }
};
/// The right-hand side b_j (phi - crossed) of the Schur complement, 0 where frozen.
template <class T>
struct AdjointRightArgs {
  VectorView<const T> weight;
  const double *curvature, *phi;
  const T* crossed;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t j = e / count;
    out[e] = curvature[j] > 0 ? weight[j] * (phi[e] - crossed[e]) : 0;
  }
};

/// What the other side's multipliers are to a row, (P mu)_i / a_i: phi - ratio lambda / tau where
/// the potential is free and the weight positive, else from a sweep.
template <class T>
struct CrossedArgs {
  VectorView<const T> weight;
  const double *ratio, *tau, *phi, *multiplier;
  const T* crossed;  // null: not known, 0
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    if (weight[i] > 0 && tau[i] > 0)
      out[e] = phi[e] - ratio[i] * multiplier[e] / tau[i];
    else
      out[e] = crossed ? crossed[e] : 0;
  }
};

/// What a strength's move does, over the weight: eps / rho^2 lambda ratio f of kl, at a bound of tv
/// sign(f) (phi - (P mu) / a).
template <class T>
struct StrengthArgs {
  const double *ratio, *tau, *phi, *multiplier, *crossed;
  const T* f;
  Penalty penalty;
  double eps;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    const double rho = penalty.strength, at = f[i];
    if (penalty.kind == Penalty::Kind::kl)
      out[e] = eps / (rho * rho) * multiplier[e] * ratio[i] * at;
    else
      out[e] = tau[i] > 0 ? 0 : std::copysign(1.0, at) * (phi[e] - crossed[e]);
  }
};

/// [n, count] of the type of results, in [count, n], plus by_r f_i.
template <class T>
struct TurnGaugedArgs {
  const double* from;
  const T* f;
  const double* by;  // [count]; null: 0
  std::int64_t n, count;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count, r = e % count;
    out[r * n + i] = static_cast<T>(from[e] + (by ? by[r] * f[i] : 0));
  }
};

/// out [count, n, dim] += carried [n, count, dim] times the weight.
template <class T>
struct CarriedArgs {
  VectorView<const T> weight;
  const T* carried;
  std::int64_t n, count, dim;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t k = e % dim, ir = e / dim, i = ir / count, r = ir % count;
    out[(r * n + i) * dim + k] += weight[i] * carried[e];
  }
};

/// [n, count] to [count, n].
template <class T>
struct TurnArgs {
  const double* from;
  std::int64_t n, count;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e % count * n + e / count] = static_cast<T>(from[e]);
  }
};

/// out [rows, 16 columns at a time] = sum_i x_ia y_ib for 4 columns a from `a` and b from `b` on.
struct GramArgs {
  static constexpr int kSide = 4;
  using Result = Sums<kSide * kSide>;
  const double *x, *y;
  std::int64_t x_cols, y_cols, a, b;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    Result out;
    for (int s = 0; s < kSide && a + s < x_cols; ++s)
      for (int t = 0; t < kSide && b + t < y_cols; ++t)
        out.value[s * kSide + t] = x[i * x_cols + a + s] * y[i * y_cols + b + t];
    return out;
  }
};

/// out [n, cols] = keep out + x [n, inner] matrix [inner, cols]
struct CombineArgs {
  const double *x, *matrix;
  std::int64_t inner, cols;
  double keep;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const double *const row = x + e / cols * inner, *const column = matrix + e % cols;
    double sum = keep != 0 ? keep * out[e] : 0;
    for (std::int64_t l = 0; l < inner; ++l) sum += row[l] * column[l * cols];
    out[e] = sum;
  }
};

/// out [n, count] = rows scale_i^power, in T where a kernel reads it: power 1 or 1/2 or -1/2; 0
/// where the scale is.
template <class T>
struct RescaleArgs {
  enum class Power : std::uint8_t { one, root, inverse_root };
  const double *rows, *scale;
  Power power;
  std::int64_t count;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const double s = scale[e / count];
    const double factor = !(s > 0)               ? 0
                          : power == Power::one  ? s
                          : power == Power::root ? std::sqrt(s)
                                                 : 1 / std::sqrt(s);
    out[e] = static_cast<T>(factor * rows[e]);
  }
};
/// rows [n, count] *= scale_i
template <class T>
struct RespondArgs {
  const double* scale;
  std::int64_t count;
  T* rows;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    rows[e] = static_cast<T>(rows[e] * scale[e / count]);
  }
};

/// out = diag^-1/2 (D v / diag^1/2 - b_j crossed): one product of the scaled Schur complement.
template <class T>
struct SchurProductArgs {
  VectorView<const T> weight;
  const double *curvature, *diagonal, *v;
  const T* crossed;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t j = e / count;
    const double s = diagonal[j];
    out[e] =
        s > 0 ? (curvature[j] * v[e] / std::sqrt(s) - weight[j] * crossed[e]) / std::sqrt(s) : 0;
  }
};

/// out = v + D^-1/2 a_i crossed: one product of a self term's scaled system, 0 where frozen.
template <class T>
struct SelfProductArgs {
  VectorView<const T> weight;
  const double *curvature, *v;
  const T* crossed;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    const double d = curvature[i];
    out[e] = d > 0 ? v[e] + weight[i] * crossed[e] / std::sqrt(d) : 0;
  }
};

/// diagonal = D - b_j^2 squares_j, kept above rounding; 0 where frozen.
template <class T>
struct ExactDiagonalArgs {
  VectorView<const T> weight;
  const double* curvature;
  const T* squares;
  double* diagonal;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    constexpr double kLeast = 1e-13;
    const double b = weight[j], d = curvature[j];
    diagonal[j] = d > 0 ? std::fmax(d - b * b * squares[j], kLeast * d) : 0;
  }
};
/// r = start - r
struct ResidualArgs {
  const double* start;
  double* r;
  MONGE_HOST_DEVICE void operator()(std::int64_t j) const { r[j] = start[j] - r[j]; }
};
/// The largest of numbers >= 0, as a result of sum().
struct Largest {
  double value = 0;

  MONGE_HOST_DEVICE Largest& operator+=(const Largest& other) {
    if (!(other.value <= value)) value = other.value;  // NaN stays seen
    return *this;
  }
};
/// The least diagonal / D, over free entries, as the largest D / diagonal.
struct DiagonalRatioArgs {
  using Result = Largest;
  const double *curvature, *diagonal;

  MONGE_HOST_DEVICE Largest operator()(std::int64_t j) const {
    return {diagonal[j] > 0 ? curvature[j] / diagonal[j] : 0};
  }
};

/// 1 / D1_i = response_i / a_i: what squared sweeps of the other side weigh rows by.
template <class T>
struct SquareWeightArgs {
  VectorView<const T> weight;
  const double* response;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const double a = weight[i];
    out[i] = a > 0 ? static_cast<T>(response[i] / a) : T(0);
  }
};

/// sum_i (a_i df_ir + da_ir f_i) and sum_i da_ir, for direction r: how a side's share of the gauge
/// moves.
template <class T>
struct GaugeArgs {
  using Result = Sums<2>;
  VectorView<const T> weight;
  const T* f;
  const double *df, *alpha;  // alpha = da / a, null: 0
  std::int64_t count, r;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double a = weight[i];
    if (!(a > 0)) return {};
    const double moved = alpha ? alpha[i * count + r] : 0;
    return {{a * (df[i * count + r] + moved * f[i]), a * moved}};
  }
};
/// df_ir += by_r
struct GaugeShiftArgs {
  const double* by;
  std::int64_t count;
  double* df;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const { df[e] += by[e % count]; }
};
}  // namespace monge::kernels

#define MONGE_DERIVATIVE_EACH_BODIES_OF(X, T)                                                    \
  X(LinearSideArgs<T>)                                                                           \
  X(OverRatioArgs<T>)                                                                            \
  X(DirectionsArgs<T>)                                                                           \
  X(UnitTangentArgs<T>)                                                                          \
  X(UnitCurvatureArgs<T>)                                                                        \
  X(WeightTangentArgs<T>)                                                                        \
  X(TermArgs<T>)                                                                                 \
  X(OwnChangeArgs<T>)                                                                            \
  X(MeanArgs<T>)                                                                                 \
  X(BoundMoveArgs<T>)                                                                            \
  X(PotentialMoveArgs<T>)                                                                        \
  X(SchurRightArgs<T>)                                                                           \
  X(ZeroWeightMoveArgs<T>)                                                                       \
  X(FlowArgs<T>)                                                                                 \
  X(PointProductArgs<T>)                                                                         \
  X(WeightProductArgs<T>)                                                                        \
  X(RelativeArgs<T>)                                                                             \
  X(ImageMoveArgs<T>)                                                                            \
  X(MarginalMoveArgs<T>)                                                                         \
  X(CombinationArgs<T>)                                                                          \
  X(CotangentArgs<T>)                                                                            \
  X(ImageCotangentArgs<T>) X(MultiplierArgs<T>) X(AdjointRightArgs<T>) X(CrossedArgs<T>)         \
      X(TurnGaugedArgs<T>) X(StrengthArgs<T>) X(CarriedArgs<T>) X(TurnArgs<T>) X(RescaleArgs<T>) \
          X(RespondArgs<T>) X(SchurProductArgs<T>) X(SelfProductArgs<T>) X(ExactDiagonalArgs<T>) \
              X(SquareWeightArgs<T>)
#define MONGE_DERIVATIVE_EACH_BODIES(X)      \
  MONGE_DERIVATIVE_EACH_BODIES_OF(X, float)  \
  MONGE_DERIVATIVE_EACH_BODIES_OF(X, double) \
  X(CombineArgs) X(GaugeShiftArgs) X(ScaleArgs)
#define MONGE_DERIVATIVE_SUM_BODIES(X) \
  X(LinearReportArgs<float>)           \
  X(LinearReportArgs<double>)          \
  X(WeightedRowsArgs<float>)           \
  X(WeightedRowsArgs<double>)          \
  X(WeightMoveArgs<float>)             \
  X(WeightMoveArgs<double>)            \
  X(GaugeArgs<float>) X(GaugeArgs<double>) X(GramArgs) X(DiagonalRatioArgs)
