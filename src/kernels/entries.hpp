// The bodies of each() and sum() beside those of update.hpp, and the lists by which a backend
// instantiates all of them.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/bounds.hpp"
#include "kernels/cells.hpp"
#include "kernels/cg.hpp"
#include "kernels/coarse.hpp"
#include "kernels/each.hpp"
#include "kernels/initial.hpp"
#include "kernels/lattice_entries.hpp"
#include "kernels/lists.hpp"
#include "kernels/mixing.hpp"
#include "kernels/newton.hpp"
#include "kernels/newton_dense.hpp"
#include "kernels/support.hpp"
#include "kernels/update.hpp"

namespace monge::kernels {
template <class T>
struct FillArgs {
  T value;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = value; }
};

/// 0, 1, 2 ..
struct CountUpArgs {
  std::int32_t* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = static_cast<std::int32_t>(i); }
};

/// out [rows, cols] row-major, from any strides; row i is row order[i] of `from`.
template <class T>
struct GatherArgs {
  MatrixView<const T> from;
  T* out;
  const std::int32_t* order = nullptr;  // null: as they are

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / from.cols;
    out[e] = from(order ? order[i] : i, e % from.cols);
  }
};

/// The way back: row order[i] of out [n, cols] is row i of `from`.
template <class T>
struct ScatterArgs {
  const T* from;
  std::int64_t cols;
  const std::int32_t* order;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[order[e / cols] * cols + e % cols] = from[e];
  }
};

/// Places in an order to what stands there; those below 0 stay.
struct LookUpArgs {
  const std::int32_t* order;
  std::int64_t* at;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    if (at[i] >= 0) at[i] = order[at[i]];
  }
};

/// The same of counts[i] places from offsets[i] on, for row i.
struct LookUpRowsArgs {
  const std::int32_t* order;
  const std::int64_t *offsets, *counts;
  std::int64_t* at;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    for (std::int64_t e = offsets[i]; e < offsets[i] + counts[i]; ++e) at[e] = order[at[e]];
  }
};

/// The largest now_i - then_i: what a bound from `then` rises by. Where both are the same infinity,
/// nothing.
struct HighestRise {
  double value = 0;
  bool any = false;  // default: of nothing

  MONGE_HOST_DEVICE HighestRise& operator+=(const HighestRise& other) {
    const bool rises = !any || other.value > value || std::isnan(other.value);  // a NaN stays
    if (other.any && rises) *this = other;
    return *this;
  }
};
template <class T>
struct RiseArgs {
  using Result = HighestRise;
  const T *now, *then;

  MONGE_HOST_DEVICE HighestRise operator()(std::int64_t i) const {
    if (now[i] == then[i]) return {0, true};
    return {static_cast<double>(now[i]) - then[i], true};
  }
};

/// The nearest potential at which the dual is finite.
template <class T>
struct FeasibleArgs {
  VectorView<const T> from;
  Penalty penalty;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = penalty.feasible(from[i]); }
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
  double* f;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    double square = 0;
    for (std::int64_t k = 0; k < points.cols; ++k)
      square += static_cast<double>(points(i, k)) * points(i, k);
    f[i] = penalty.feasible(-square / 2);
  }
};

/// f = prox(s) where the weight is 0.
template <class T>
struct ZeroWeightArgs {
  VectorView<const T> weight;
  const double* s;
  Penalty penalty;
  double eps;
  double* f;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    if (!(weight[i] > 0)) f[i] = penalty.prox(s[i], eps);
  }
};

/// out [points, dim]: the points of a grid (monge/ot/geometry.hpp).
template <class T>
struct GridPointsArgs {
  int dim;
  std::int64_t shape[3];
  double origin[3], spacing[3];
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const int k = static_cast<int>(e % dim);
    std::int64_t i = e / dim;
    for (int axis = dim - 1; axis > k; --axis) i /= shape[axis];
    out[e] = static_cast<T>(origin[k] + static_cast<double>(i % shape[k]) * spacing[k]);
  }
};

/// From averages over a row's weights to sums of them: out_i = factor w_i average_i, or is raised
/// by it, with w_i = exp((shift_i - s_i) / eps), s the row's softmin; 0 where the shift is not
/// finite.
template <class T>
struct RowSumsArgs {
  const T* average;  // null: ones
  const T* shift;    // null: w = 1
  const double* s;
  double eps, factor;
  bool adds;
  std::int64_t stride;  // of out
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    double w = factor;
    if (shift) w = std::isfinite(shift[i]) ? factor * std::exp((shift[i] - s[i]) / eps) : 0.0;
    if (average) w = w != 0 ? w * average[i] : 0.0;
    T& to = out[i * stride];
    to = static_cast<T>(adds ? to + w : w);
  }
};

/// out_i += factor x_i
template <class T>
struct AddArgs {
  const T* x;
  T factor;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] += factor * x[i]; }
};

/// out [padded]: from [size] where that is finite (null: `otherwise`), else and behind it
/// -infinity.
struct FiniteArgs {
  const double* from;
  std::int64_t size;
  double otherwise;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const double value = i >= size ? -INFINITY : from ? from[i] : otherwise;
    out[i] = std::isfinite(value) ? value : -INFINITY;
  }
};

/// Parts of `size` values each, one after the other.
template <class T>
struct StackArgs {
  const T* const* parts;
  std::int64_t size;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const { out[e] = parts[e / size][e % size]; }
};

template <class T>
struct RoundArgs {
  const double* from;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = static_cast<T>(from[i]); }
};

/// No smaller than what it rounds.
template <class T>
struct RoundUpArgs {
  const double* from;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const T nearest = static_cast<T>(from[i]);
    out[i] = nearest < from[i] ? std::nextafter(nearest, static_cast<T>(INFINITY)) : nearest;
  }
};

struct WidenArgs {
  const float* from;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = from[i]; }
};

/// A number as its rounding to T and what that took: 48 bits in float. rest null: it is lost, or
/// there is none.
template <class T>
struct SplitNumbers {
  T *rounded, *rest;

  MONGE_HOST_DEVICE double at(std::int64_t i) const {
    return rest ? static_cast<double>(rounded[i]) + rest[i] : static_cast<double>(rounded[i]);
  }
  MONGE_HOST_DEVICE void set(std::int64_t i, double value) const {
    rounded[i] = static_cast<T>(value);
    if (rest) rest[i] = std::isfinite(value) ? static_cast<T>(value - rounded[i]) : T(0);
  }
};
/// to = from + by; from null: to += by.
template <class T>
struct SplitArgs {
  const double* from;
  double by;
  SplitNumbers<T> to;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    to.set(i, (from ? from[i] : to.at(i)) + by);
  }
};
template <class T>
struct JoinArgs {
  SplitNumbers<const T> from;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = from.at(i); }
};

/// Row i of values [n, k] times weight_i: exactly 0 at weight 0, also where the row overflowed.
template <class T>
struct ScaleRowsArgs {
  VectorView<const T> weight;
  std::int64_t k;
  T* values;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const T a = weight[e / k];
    values[e] = a > 0 ? a * values[e] : T(0);
  }
};

/// p_i = a_i exp((f_i - s_i) / eps), 0 for a row without partner, and whether it is positive.
template <class T>
struct RowMassArgs {
  VectorView<const T> weight;
  const T *f, *s;
  double eps;
  double* mass;    // null: not wanted
  bool* positive;  // null: not wanted

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const double a = weight[i];
    const bool some = a > 0 && !std::isinf(s[i]);
    const double p = some ? a * std::exp((static_cast<double>(f[i]) - s[i]) / eps) : 0;
    if (mass) mass[i] = p;
    if (positive) positive[i] = p > 0;
  }
};

/// p_i / a_i of a row whose softmin is s; 0 where f is not finite or the row has no partner.
template <class T>
struct MarginalRatioArgs {
  const double *f, *s;
  double eps;
  T* ratio;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const bool some = std::isfinite(f[i]) && !std::isinf(s[i]);
    ratio[i] = some ? static_cast<T>(std::exp((f[i] - s[i]) / eps)) : T(0);
  }
};

/// Over rows of positive weight, with r_i = p_i / a_i:
///   sum a r,  sum a r f,  sum a divergence(r),  sum a violation(r)
template <class T>
struct RatioSumsArgs {
  using Result = Sums<4>;
  VectorView<const T> weight;
  const T *ratio, *f;
  Penalty penalty;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double a = weight[i], r = ratio[i];
    if (!(a > 0)) return {};
    const double paired = r > 0 ? r * f[i] : 0;  // f = +inf carries nothing
    return {{a * r, a * paired, a * penalty.divergence(r), a * penalty.violation(r)}};
  }
};

/// sum_j b_j v_jc over rows of positive weight, of kColumns columns from `first` on.
template <class T>
struct ColumnSumsArgs {
  static constexpr int kColumns = 16;
  using Result = Sums<kColumns>;
  MatrixView<const T> values;
  VectorView<const T> weight;
  std::int64_t first;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    Result out;
    const double b = weight[j];
    if (!(b > 0)) return out;
    for (int c = 0; c < kColumns && first + c < values.cols; ++c)
      out.value[c] = b * values(j, first + c);
    return out;
  }
};

/// out [rows, cols + 1]: values - mean, 0 where the weight is 0, and a column of ones.
template <class T>
struct CentreArgs {
  MatrixView<const T> values;
  VectorView<const T> weight;
  const double* mean;  // [cols]
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t j = e / (values.cols + 1), c = e % (values.cols + 1);
    if (c == values.cols)
      out[e] = 1;
    else
      out[e] = weight[j] > 0 ? static_cast<T>(values(j, c) - mean[c]) : T(0);
  }
};

/// out [n, k] = the first k columns of sums [n, k + 1] over the last; 0 where that is no number >
/// 0.
template <class T>
struct AverageArgs {
  const T* sums;
  std::int64_t k;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const T* const row = sums + e / k * (k + 1);
    out[e] = row[k] > 0 && std::isfinite(row[k]) ? row[e % k] / row[k] : T(0);
  }
};

/// values [n, k] += mean [k]
template <class T>
struct AddMeanArgs {
  const double* mean;
  std::int64_t k;
  T* values;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    values[e] = static_cast<T>(values[e] + mean[e % k]);
  }
};

/// From second moments [n, k, k] about a rounded mean, in place, to covariances: over the mass,
/// less what the mean was rounded by. 0 for a row without mass.
template <class T>
struct CovarianceArgs {
  const T *mass, *first;
  std::int64_t k;
  T* second;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / (k * k), c = e % (k * k);
    const double row = mass[i];
    const bool some = row > 0 && std::isfinite(row);
    const double shift = first[i * k + c / k] / row * (first[i * k + c % k] / row);
    second[e] = some ? static_cast<T>(second[e] / row - shift) : T(0);
  }
};

/// Rows listed as SelectArgs does, m places a row, written out: out [n, m] += a_i w_ij.
template <class T>
struct DenseArgs {
  VectorView<const T> weight;
  const std::int64_t *counts, *columns;  // [n], [n, m]
  const T* weights;                      // [n, m]
  std::int64_t m;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / m;
    if (weight[i] > 0 && e % m < counts[i]) out[i * m + columns[e]] = weight[i] * weights[e];
  }
};

/// d D / d a_i = conjugate(f_i) - eps (p_i / a_i - m_b), at the potentials as they are.
template <class T>
struct WeightGradientArgs {
  const T *f, *ratio;  // ratio null: the first term alone
  Penalty penalty;
  double eps, opposite;  // mass of the other side
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const double masses = ratio ? eps * (ratio[i] - opposite) : 0;
    out[i] = static_cast<T>(penalty.conjugate(f[i]) - masses);
  }
};

/// d D / d g_j where the other side is at its best: what optimality asks of the marginal (of a
/// balanced or kl side) less the marginal itself.
template <class T>
struct SemiDualGradientArgs {
  VectorView<const T> weight;
  const T *g, *ratio;  // ratio: q / b
  Penalty penalty;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const double b = weight[j];
    out[j] = b > 0 ? static_cast<T>(b * (std::exp(penalty.log_target(g[j])) - ratio[j])) : T(0);
  }
};

/// One measure's dual term in a divergence: its potential in the cross term against those of its
/// self term, conjugate(cross) - (conjugate_f(f) + conjugate_g(g)) / 2. With the same penalty on
/// both sides f = g, and the difference is formed at once.
template <class T>
struct Debiased {
  const T *cross, *f, *g;
  Penalty own, first, second;
  bool symmetric;

  MONGE_HOST_DEVICE double operator()(std::int64_t i) const {
    if (symmetric) return own.conjugate_difference(cross[i], f[i]);
    return own.conjugate(cross[i]) - (first.conjugate(f[i]) + second.conjugate(g[i])) / 2;
  }
};
template <class T>
struct DebiasedSumArgs {
  using Result = Sums<1>;
  VectorView<const T> weight;
  Debiased<T> term;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const {
    const double a = weight[i];
    return {{a > 0 ? a * term(i) : 0}};
  }
};
/// out_i = term(i) - eps ratio_i
template <class T>
struct DebiasedGradientArgs {
  Debiased<T> term;
  const T* ratio;
  double eps;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = static_cast<T>(term(i) - eps * ratio[i]);
  }
};
}  // namespace monge::kernels

// X(body) for every body, in both types where it has one.
#define MONGE_EACH_BODIES_OF(X, T) \
  X(FillArgs<T>)                   \
  X(LeafBoxArgs<T>)                \
  X(GatherArgs<T>)                 \
  X(ScatterArgs<T>)                \
  X(FeasibleArgs<T>)               \
  X(UnitLengthChainArgs<T>)        \
  X(SelfDotArgs<T>)                \
  X(ZeroWeightArgs<T>)             \
  X(GridPointsArgs<T>)             \
  X(RowSumsArgs<T>)                \
  X(AddArgs<T>)                    \
  X(StackArgs<T>)                  \
  X(RoundArgs<T>)                  \
  X(RoundUpArgs<T>)                \
  X(SplitArgs<T>)                  \
  X(JoinArgs<T>)                   \
  X(ScaleRowsArgs<T>)              \
  X(RowMassArgs<T>)                \
  X(MarginalRatioArgs<T>)          \
  X(CentreArgs<T>)                 \
  X(AverageArgs<T>)                \
  X(AddMeanArgs<T>)                \
  X(CovarianceArgs<T>)             \
  X(DenseArgs<T>)                  \
  X(WeightGradientArgs<T>)         \
  X(SemiDualGradientArgs<T>)       \
  X(DebiasedGradientArgs<T>)       \
  X(LogWeightArgs<T>)              \
  X(BiasArgs<T>)                   \
  X(ShiftArgs<T>)
#define MONGE_EACH_BODIES(X)      \
  MONGE_EACH_BODIES_OF(X, float)  \
  MONGE_EACH_BODIES_OF(X, double) \
  X(WidenArgs)                    \
  X(FiniteArgs)                   \
  X(LookUpArgs)                   \
  X(LookUpRowsArgs)               \
  X(ParentBoxArgs)                \
  X(CountUpArgs)                  \
  X(FillArgs<std::int64_t>)       \
  X(GatherArgs<std::int64_t>)     \
  X(ScatterArgs<std::int64_t>)    \
  MONGE_NEWTON_EACH_BODIES(X)     \
  MONGE_CG_EACH_BODIES(X)         \
  MONGE_DENSE_EACH_BODIES(X)      \
  MONGE_MIXING_EACH_BODIES(X)     \
  MONGE_INITIAL_EACH_BODIES(X)    \
  MONGE_COARSE_EACH_BODIES(X)     \
  MONGE_LATTICE_EACH_BODIES(X)    \
  MONGE_SUPPORT_EACH_BODIES(X)    \
  MONGE_CELL_EACH_BODIES(X)       \
  MONGE_LIST_EACH_BODIES(X)
/// Those that have the same bits on every backend.
#define MONGE_EXACT_EACH_BODIES(X) \
  X(LeafPlaneArgs<float>)          \
  X(LeafPlaneArgs<double>)         \
  X(ParentPlaneArgs)
#define MONGE_SUM_BODIES_OF(X, T) \
  X(RatioSumsArgs<T>)             \
  X(RiseArgs<T>)                  \
  X(ColumnSumsArgs<T>)            \
  X(DebiasedSumArgs<T>)
#define MONGE_SUM_BODIES(X)      \
  MONGE_SUM_BODIES_OF(X, float)  \
  MONGE_SUM_BODIES_OF(X, double) \
  MONGE_COARSE_SUM_BODIES(X)     \
  MONGE_CELL_SUM_BODIES(X)       \
  MONGE_SUPPORT_SUM_BODIES(X)    \
  MONGE_LIST_SUM_BODIES(X)
#define MONGE_LATER_BODIES(X) MONGE_MIXING_LATER_BODIES(X)
#define MONGE_SETTLE_BODIES(X) \
  MONGE_NEWTON_SETTLE_BODIES(X) MONGE_CG_SETTLE_BODIES(X) MONGE_SUPPORT_SETTLE_BODIES(X)
