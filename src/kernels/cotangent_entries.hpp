// Bodies of each() of what is pulled back: cotangents, their multipliers and what those carry.
// Names as in linear_entries.hpp.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/entries.hpp"

namespace monge::kernels {
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

/// out [count, n, dim] += k_r a_i ratio_i slope_i: what costs k_r P c are to points by themselves.
template <class T>
struct CostPullArgs {
  VectorView<const T> weight;
  const double* ratio;
  const T* slope;   // [n, dim]
  const double* k;  // [count]
  std::int64_t n, dim;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t in = e % (n * dim), i = in / dim;
    const double a = weight[i];
    if (a > 0) out[e] = static_cast<T>(out[e] + k[e / (n * dim)] * a * ratio[i] * slope[in]);
  }
};

/// out [n, count] += eps lambda (whole - ratio): what a weight does to the target of a marginal of
/// which bounds hold a part.
struct HeldPullArgs {
  const double *ratio, *whole, *multiplier;
  double eps;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e] += eps * multiplier[e] * (whole[e / count] - ratio[e / count]);
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
}  // namespace monge::kernels

#define MONGE_COTANGENT_EACH_BODIES_OF(X, T) \
  X(CotangentArgs<T>)                        \
  X(ImageCotangentArgs<T>)                   \
  X(MultiplierArgs<T>)                       \
  X(AdjointRightArgs<T>)                     \
  X(CrossedArgs<T>)                          \
  X(StrengthArgs<T>)                         \
  X(TurnGaugedArgs<T>)                       \
  X(CarriedArgs<T>)                          \
  X(CostPullArgs<T>)
#define MONGE_COTANGENT_EACH_BODIES(X)      \
  MONGE_COTANGENT_EACH_BODIES_OF(X, float)  \
  MONGE_COTANGENT_EACH_BODIES_OF(X, double) \
  X(ScaleArgs)                              \
  X(HeldPullArgs)
