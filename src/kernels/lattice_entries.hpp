// The bodies that list entries of a lattice's plan one by one: the k best of a row by one pass an
// axis, in the order of the axes from the last to the first, descents into the few lines that
// matter, and all of them. Scores are h - c, in double; costs are taken from them from the last
// axis to the first, so that a bound and what it bounds are rounded alike. And those of moments.
#pragma once
#include <cfloat>
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/math.hpp"
#include "monge/core/random.hpp"

namespace monge::kernels {
/// Costs along one axis, as AxisArgs has them; an axis that a lattice lacks has one point a side.
template <class T>
struct AxisCosts {
  Form form = Form::squared;
  double scale = 1, power = 2, period = 0;
  const T *x = nullptr, *y = nullptr;  // null: no cost
  std::int64_t n = 1, m = 1;

  MONGE_HOST_DEVICE double operator()(std::int64_t i, std::int64_t j) const {
    if (!x) return 0;
    double u = static_cast<double>(y[j]) - x[i];
    if (period > 0) u -= std::round(u / period) * period;
    return cost_of_squared(form, scale, power, u * u);
  }
};

/// The k best scores of every row of one axis, from the lists of its columns: [before, m, after] to
/// [before, n, after], each list number q of which stands at q times the size of its array. -inf
/// and -1 behind the last.
template <class T>
struct AxisTopArgs {
  AxisCosts<T> costs;
  std::int64_t before, after;
  int from, k;  // lengths of the lists
  const double* scores;
  const std::int64_t* columns;  // null: of lists of one, which stand in the order of columns
  double* best;
  std::int64_t* places;  // null: not wanted

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t at = e % after, i = e / after % costs.n, b = e / after / costs.n;
    const std::int64_t lines = before * costs.m * after, rows = before * costs.n * after;
    for (int q = 0; q < k; ++q) {
      best[q * rows + e] = -INFINITY;
      if (places) places[q * rows + e] = -1;
    }
    double& least = best[(k - 1) * rows + e];
    for (std::int64_t j = 0; j < costs.m; ++j) {
      const std::int64_t line = (b * costs.m + j) * after + at;
      const double cost = costs(i, j);
      for (int q = 0; q < from; ++q) {
        const double score = scores[q * lines + line] - cost;
        if (!(score > least)) break;
        insert(e, rows, score, columns ? columns[q * lines + line] : line);
      }
    }
  }

  // Behind its equals, whose columns are lower.
  MONGE_HOST_DEVICE void insert(std::int64_t e, std::int64_t rows, double score,
                                std::int64_t column) const {
    int q = k - 1;
    for (; q > 0 && score > best[(q - 1) * rows + e]; --q) {
      best[q * rows + e] = best[(q - 1) * rows + e];
      if (places) places[q * rows + e] = places[(q - 1) * rows + e];
    }
    best[q * rows + e] = score;
    if (places) places[q * rows + e] = column;
  }
};

/// w = exp((score + shift) / eps), in T; 0 below its normal numbers, as the exponentials of sweeps
/// are, and of a shift that is not finite.
template <class T>
struct ScoreWeight {
  const T* shift;
  double eps;

  MONGE_HOST_DEVICE T operator()(std::int64_t i, double score) const {
    constexpr double kLeast = sizeof(T) == 4 ? FLT_MIN : DBL_MIN;
    const double w = std::isfinite(shift[i]) ? std::exp((score + shift[i]) / eps) : 0.0;
    return w >= kLeast ? static_cast<T>(w) : T(0);
  }
};

/// Lists to what TopKArgs wants of them.
template <class T>
struct ScoreListArgs {
  const double* scores;  // [k, n]
  const std::int64_t* from;
  ScoreWeight<T> weight;
  std::int64_t n;
  int k;
  std::int64_t* columns;  // [n, k]
  T* weights;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / k, at = e % k * n + i;
    weights[e] = weight(i, scores[at]);
    columns[e] = weights[e] > 0 ? from[at] : -1;
  }
};

/// -best and its column, as HardArgs has them.
template <class T>
struct LeastCostArgs {
  const double* best;
  const std::int64_t* from;
  T* out;
  std::int64_t* columns;  // null: not wanted

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = static_cast<T>(-best[i]);
    if (columns) columns[i] = from[i];
  }
};

/// Three axes, and for each what its columns are worth to a row once those of the axes before are
/// chosen: level[k] [m_0 .. m_k, n_k+1 .. n_2], of the last h itself.
template <class T>
struct LatticeLevels {
  AxisCosts<T> axis[3];
  const double* level[3];

  struct Row {
    std::int64_t i[3];
  };
  MONGE_HOST_DEVICE Row row(std::int64_t i) const {
    return {{i / axis[2].n / axis[1].n, i / axis[2].n % axis[1].n, i % axis[2].n}};
  }
  /// The column of axis k under `line`, that of the axes before, and what it is worth.
  MONGE_HOST_DEVICE std::int64_t column(int k, std::int64_t line, std::int64_t j) const {
    return line * axis[k].m + j;
  }
  MONGE_HOST_DEVICE double worth(int k, const Row& r, std::int64_t column) const {
    for (int l = k + 1; l < 3; ++l) column = column * axis[l].n + r.i[l];
    return level[k][column];
  }
};

/// Every entry: out [n, m] = weight_i w_ij, 0 where the weight is; of the levels h alone.
template <class T>
struct LatticeDenseArgs {
  LatticeLevels<T> levels;
  ScoreWeight<T> of;
  VectorView<const T> weight;
  std::int64_t m;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / m, j = e % m;
    const auto& [first, second, third] = levels.axis;
    const auto r = levels.row(i);
    const double score = levels.level[2][j] - third(r.i[2], j % third.m) -
                         second(r.i[1], j / third.m % second.m) -
                         first(r.i[0], j / third.m / second.m);
    out[e] = weight[i] > 0 ? weight[i] * of(i, score) : T(0);
  }
};

/// SelectArgs of a lattice, levels being maxima.
template <class T>
struct LatticeSelectArgs {
  LatticeLevels<T> levels;
  ScoreWeight<T> weight;
  const T* threshold;
  std::int64_t* counts;
  const std::int64_t* offsets;
  std::int64_t* columns;  // null: count only
  T* weights;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const auto r = levels.row(i);
    const auto& [first, second, third] = levels.axis;
    std::int64_t count = 0;
    const auto keeps = [&](double score) { return weight(i, score) >= threshold[i]; };
    for (std::int64_t j0 = 0; j0 < first.m; ++j0) {
      const double c0 = first(r.i[0], j0);
      if (!keeps(levels.worth(0, r, j0) - c0)) continue;
      for (std::int64_t j1 = 0; j1 < second.m; ++j1) {
        const double c1 = second(r.i[1], j1);
        const std::int64_t line = levels.column(1, j0, j1);
        if (!keeps(levels.worth(1, r, line) - c1 - c0)) continue;
        for (std::int64_t j2 = 0; j2 < third.m; ++j2) {
          const std::int64_t j = levels.column(2, line, j2);
          const T w = weight(i, levels.worth(2, r, j) - third(r.i[2], j2) - c1 - c0);
          if (!(w >= threshold[i])) continue;
          if (columns) {
            columns[offsets[i] + count] = j;
            weights[offsets[i] + count] = w;
          }
          ++count;
        }
      }
    }
    if (!columns) counts[i] = count;
  }
};

/// Draws of DrawArgs of a lattice, levels being eps log sums: of each its row and its number there.
/// An axis at a time, by the same uniform number: what is left of it within a column's share falls
/// on the columns of the next axis, as the cumulative sum in column order does.
template <class T>
struct LatticeDrawArgs {
  LatticeLevels<T> levels;
  const T* shift;
  const std::int64_t *rows, *numbers;
  std::uint64_t seed;
  double eps;
  std::int64_t* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = rows[e];
    const auto r = levels.row(i);
    double u = philox_uniform(seed, i, numbers[e]), top = -static_cast<double>(shift[i]);
    std::int64_t line = 0;
    for (int k = 0; k < 3 && line >= 0; ++k) line = pick(k, r, line, top, u);
    out[e] = line;
  }

  // `top`: about eps log of all that the line holds, then of what its column does.
  MONGE_HOST_DEVICE std::int64_t pick(int k, const typename LatticeLevels<T>::Row& r,
                                      std::int64_t line, double& top, double& u) const {
    const AxisCosts<T>& costs = levels.axis[k];
    const auto share = [&](std::int64_t j) {
      const double worth = levels.worth(k, r, levels.column(k, line, j));
      return std::exp((worth - costs(r.i[k], j) - top) / eps);
    };
    double sum = 0;
    for (std::int64_t j = 0; j < costs.m; ++j) sum += share(j);
    if (!(sum > 0)) return -1;
    double left = u * sum, last = 0;
    std::int64_t chosen = -1;
    for (std::int64_t j = 0; j < costs.m; ++j) {
      const double w = share(j);
      if (!(w > 0)) continue;
      if (chosen >= 0) left -= last;
      chosen = j;
      last = w;
      if (left < w) break;
    }
    u = left < last ? left / last : 1 - 0x1p-53;  // rounding may leave it behind the last
    const std::int64_t column = levels.column(k, line, chosen);
    top = levels.worth(k, r, column);
    return column;
  }
};
/// out [m, (k + 1) (k + 2) / 2]: the products v_a v_b, a <= b, of (1, values) [m, 1 + k].
template <class T>
struct ProductColumnsArgs {
  MatrixView<const T> values;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t k = values.cols, columns = (k + 1) * (k + 2) / 2, j = e / columns;
    std::int64_t a = 0, b = e % columns;  // b: from the diagonal of row a
    for (; b > k - a; ++a) b -= k - a + 1;
    const auto v = [&](std::int64_t c) {
      return c > 0 ? static_cast<double>(values(j, c - 1)) : 1;
    };
    out[e] = v(a) * v(a + b);
  }
};

/// From sums of these, [n, (k + 1) (k + 2) / 2], to what MomentsArgs wants of them.
template <class T>
struct CentredProductsArgs {
  const double* sums;
  const T* center;  // [n, k]
  std::int64_t k;
  T *mass, *first, *second;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / (k * k), p = e / k % k, q = e % k;
    const double* const row = sums + i * ((k + 1) * (k + 2) / 2);
    const double of_p = center[i * k + p], of_q = center[i * k + q];
    const std::int64_t low = p < q ? p : q, high = p < q ? q : p;
    const double product = row[(low + 1) * (k + 1) - low * (low + 1) / 2 + high - low];
    second[e] =
        static_cast<T>(product - of_p * row[1 + q] - of_q * row[1 + p] + of_p * of_q * row[0]);
    if (q == 0) first[i * k + p] = static_cast<T>(row[1 + p] - of_p * row[0]);
    if (p + q == 0) mass[i] = static_cast<T>(row[0]);
  }
};
}  // namespace monge::kernels

#define MONGE_LATTICE_EACH_BODIES_OF(X, T) \
  X(AxisTopArgs<T>)                        \
  X(ScoreListArgs<T>)                      \
  X(LeastCostArgs<T>)                      \
  X(LatticeSelectArgs<T>)                  \
  X(LatticeDrawArgs<T>)                    \
  X(LatticeDenseArgs<T>) X(ProductColumnsArgs<T>) X(CentredProductsArgs<T>)
#define MONGE_LATTICE_EACH_BODIES(X) \
  MONGE_LATTICE_EACH_BODIES_OF(X, float) MONGE_LATTICE_EACH_BODIES_OF(X, double)
