// The bodies of each() and sum() beside those of update.hpp, and the lists by which a backend
// instantiates all of them.
#pragma once
#include "kernels/each.hpp"
#include "kernels/update.hpp"

namespace monge::kernels {
template <class T>
struct FillArgs {
  T value;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = value; }
};

/// out [rows, cols] row-major, from any strides.
template <class T>
struct GatherArgs {
  MatrixView<const T> from;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e] = from(e / from.cols, e % from.cols);
  }
};

/// The nearest potential at which the dual is finite.
template <class T>
struct FeasibleArgs {
  VectorView<const T> from;
  Penalty penalty;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = static_cast<T>(penalty.feasible(from[i]));
  }
};

/// From the gradient in the direction x^ of point i, in place, to that in the point itself:
/// d x^ / d x = (I - x^ x^T) / |x|. `center` [dim] was subtracted from the panels; null: nothing.
template <class T>
struct UnitLengthChainArgs {
  Panels<T> directions;
  const T* inverse_length;
  const double* center;
  T* gradient;  // [n, dim]

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    T* const row = gradient + i * directions.dim;
    double along = 0;
    for (int k = 0; k < directions.dim; ++k) along += direction(i, k) * row[k];
    for (int k = 0; k < directions.dim; ++k)
      row[k] = static_cast<T>(inverse_length[i] * (row[k] - along * direction(i, k)));
  }
  MONGE_HOST_DEVICE double direction(std::int64_t i, int k) const {
    const double packed = directions.data[(i / kPanel * directions.dim + k) * kPanel + i % kPanel];
    return center ? packed + center[k] : packed;
  }
};

/// f_i = -|x_i|^2 / 2, kept feasible: half the cost -x.y of a point with itself.
template <class T>
struct SelfDotArgs {
  MatrixView<const T> points;
  Penalty penalty;
  T* f;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    double square = 0;
    for (std::int64_t k = 0; k < points.cols; ++k)
      square += static_cast<double>(points(i, k)) * points(i, k);
    f[i] = static_cast<T>(penalty.feasible(-square / 2));
  }
};

/// f = prox(s) where the weight is 0.
template <class T>
struct ZeroWeightArgs {
  VectorView<const T> weight;
  const double* s;
  Penalty penalty;
  double eps;
  T* f;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    if (!(weight[i] > 0)) f[i] = static_cast<T>(penalty.prox(s[i], eps));
  }
};
}  // namespace monge::kernels

// X(body) for every body, in both types.
#define MONGE_EACH_BODIES_OF(X, T) \
  X(FillArgs<T>)                   \
  X(GatherArgs<T>)                 \
  X(FeasibleArgs<T>)               \
  X(UnitLengthChainArgs<T>)        \
  X(SelfDotArgs<T>)                \
  X(ZeroWeightArgs<T>)             \
  X(LogWeightArgs<T>)              \
  X(BiasArgs<T>)                   \
  X(ShiftArgs<T>)
#define MONGE_EACH_BODIES(X) MONGE_EACH_BODIES_OF(X, float) MONGE_EACH_BODIES_OF(X, double)
#define MONGE_SUM_BODIES_OF(X, T)
#define MONGE_SUM_BODIES(X) MONGE_SUM_BODIES_OF(X, float) MONGE_SUM_BODIES_OF(X, double)
