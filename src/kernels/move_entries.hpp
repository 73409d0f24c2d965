// Bodies of each() and sum() of what moves along a direction: potentials, gradients, marginals and
// images. Names as in linear_entries.hpp.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/entries.hpp"

namespace monge::kernels {
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

/// out = 1 where a potential is at the level of a total mass.
struct LevelMoveArgs {
  const double* tau;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = tau[i] > 0 ? 0 : 1; }
};

/// out [count, size] += by_r level [size]
template <class T>
struct AddLevelArgs {
  const T* level;
  const double* by;  // [count]
  std::int64_t size;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e] = static_cast<T>(out[e] + by[e / size] * level[e % size]);
  }
};

/// out = tau_i (mean + held + eps f_i c_r - sum / ratio_i) + bound: df where the other side's moves
/// are in `sum`; c = drho / rho^2.
template <class T>
struct PotentialMoveArgs {
  const double *tau, *response, *mean;
  const T* f;
  const double* c;      // null: 0
  const double* bound;  // null: 0
  const double* held;   // see HeldMoveArgs, null: 0
  const T* sum;         // null: 0
  double eps, factor;   // of sum
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    double value = mean ? mean[e] : 0;
    if (c) value += eps * c[e % count] * f[i];
    if (held) value += held[e];
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
  const double *c, *held;  // null: 0
  double eps;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t j = e / count;
    double value = -static_cast<double>(sum[e]);
    if (c) value += eps * ratio[j] * g[j] * c[e % count];
    if (held) value += ratio[j] * held[e];
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
  const double *ratio, *whole, *tau, *df, *mean;  // mean null: t lacks df alone
  const T *f, *sum;                               // sum null: not known, 0
  const double *c, *held;
  double eps, factor;  // factor: of sum
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    if (tau[i] > 0)
      out[e] = ratio[i] * df[e] * (1 - 1 / tau[i]) + (c ? whole[i] * eps * c[e % count] * f[i] : 0);
    else
      out[e] =
          sum ? factor * sum[e] + ratio[i] * (df[e] - (mean ? mean[e] : 0) - (held ? held[e] : 0))
              : 0;
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

/// Of direction r over rows of positive weight: sum_i f_i dr_i, sum_i r_i da_i / a_i, and how the
/// derivative of the penalty in its strength moves (kl: of KL(r | a), tv: of |r - a|_1).
template <class T>
struct StrengthMoveArgs {
  using Result = Sums<3>;
  VectorView<const T> weight;
  const T *f, *moved;                 // moved [count, n]: dr
  const double *ratio, *tau, *alpha;  // alpha [n, count] da / a, null: 0
  Penalty penalty;
  std::int64_t n, count, r;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double a = weight[i], p = ratio[i];
    if (!(a > 0 && p > 0)) return {};
    const double by = moved[r * n + i], da = alpha ? a * alpha[i * count + r] : 0;
    double strength = 0;
    if (penalty.kind == Penalty::Kind::kl) strength = std::log(p) * by + (1 - p) * da;
    if (penalty.kind == Penalty::Kind::tv && tau[i] == 0) strength = f[i] > 0 ? da - by : by - da;
    return {{f[i] * by, p * da, strength}};
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
}  // namespace monge::kernels

#define MONGE_MOVE_EACH_BODIES_OF(X, T) \
  X(OwnChangeArgs<T>)                   \
  X(MeanArgs<T>)                        \
  X(BoundMoveArgs<T>)                   \
  X(PotentialMoveArgs<T>)               \
  X(SchurRightArgs<T>)                  \
  X(ZeroWeightMoveArgs<T>)              \
  X(FlowArgs<T>)                        \
  X(PointProductArgs<T>)                \
  X(WeightProductArgs<T>)               \
  X(RelativeArgs<T>)                    \
  X(ImageMoveArgs<T>)                   \
  X(MarginalMoveArgs<T>)                \
  X(CombinationArgs<T>)                 \
  X(AddLevelArgs<T>)
#define MONGE_MOVE_EACH_BODIES(X)      \
  MONGE_MOVE_EACH_BODIES_OF(X, float)  \
  MONGE_MOVE_EACH_BODIES_OF(X, double) \
  X(LevelMoveArgs)
#define MONGE_MOVE_SUM_BODIES_OF(X, T) X(WeightedRowsArgs<T>) X(StrengthMoveArgs<T>)
#define MONGE_MOVE_SUM_BODIES(X)     \
  MONGE_MOVE_SUM_BODIES_OF(X, float) \
  MONGE_MOVE_SUM_BODIES_OF(X, double)
