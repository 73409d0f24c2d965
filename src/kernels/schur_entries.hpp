// Bodies of each() and sum() of the Schur complement and of block conjugate gradients on it. Names
// as in linear_entries.hpp.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/entries.hpp"

namespace monge::kernels {
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

/// sum_i x_ia y_ib for `rows` columns a from `a` and `cols` columns b from `b` on, at most kMost
/// products in all: value[(a' - a) cols + b' - b].
struct GramArgs {
  static constexpr std::int64_t kMost = 16;
  using Result = Sums<kMost>;
  const double *x, *y;
  std::int64_t x_cols, y_cols, a, b, rows, cols;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    Result out;
    for (std::int64_t s = 0; s < rows; ++s)
      for (std::int64_t t = 0; t < cols; ++t)
        out.value[s * cols + t] = x[i * x_cols + a + s] * y[i * y_cols + b + t];
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

/// The same from out = M^T M v, M the plan with both scales.
struct NormalSchurArgs {
  const double *curvature, *diagonal, *v;
  std::int64_t count;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const double s = diagonal[e / count];
    out[e] = s > 0 ? curvature[e / count] / s * v[e] - out[e] : 0;
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

/// p = r + beta p
struct TurnDirectionArgs {
  const double* r;
  double beta;
  double* p;
  MONGE_HOST_DEVICE void operator()(std::int64_t e) const { p[e] = r[e] + beta * p[e]; }
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

/// sum_j of 1 - diagonal / D: the squared shares of a column, 0 where frozen.
struct SquaredShareArgs {
  using Result = Sums<1>;
  const double *curvature, *diagonal;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    return {{curvature[j] > 0 ? 1 - diagonal[j] / curvature[j] : 0.0}};
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

#define MONGE_SCHUR_EACH_BODIES_OF(X, T) \
  X(TurnArgs<T>)                         \
  X(RescaleArgs<T>)                      \
  X(RespondArgs<T>)                      \
  X(SchurProductArgs<T>)                 \
  X(SelfProductArgs<T>)                  \
  X(ExactDiagonalArgs<T>)                \
  X(SquareWeightArgs<T>)
#define MONGE_SCHUR_EACH_BODIES(X)      \
  MONGE_SCHUR_EACH_BODIES_OF(X, float)  \
  MONGE_SCHUR_EACH_BODIES_OF(X, double) \
  X(CombineArgs)                        \
  X(NormalSchurArgs)                    \
  X(ResidualArgs)                       \
  X(TurnDirectionArgs)                  \
  X(GaugeShiftArgs)
#define MONGE_SCHUR_SUM_BODIES_OF(X, T) X(GaugeArgs<T>)
#define MONGE_SCHUR_SUM_BODIES(X)      \
  MONGE_SCHUR_SUM_BODIES_OF(X, float)  \
  MONGE_SCHUR_SUM_BODIES_OF(X, double) \
  X(GramArgs)                          \
  X(DiagonalRatioArgs)                 \
  X(SquaredShareArgs)
