// What the kernels are measured on: uniform points of the unit cube, or a matrix of their costs,
// with h and shift as in the middle of a solve; and sampled rows of the same in a longer type.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/math.hpp"
#include "monge/core/random.hpp"
#include "monge/ot/problem.hpp"
#include "ot/operator.hpp"

namespace monge::bench {
template <class T>
using Real = std::conditional_t<sizeof(T) == 4, double, long double>;

/// n rows against m columns. `shift` is the softmin of h, `center` the mean target.
template <class T>
struct Case {
  std::int64_t n, m;
  int dim;
  Cost cost;
  double eps;
  Buffer<T> x, y, h, shift, center, matrix;
  Buffer<double> softmin;
  std::optional<Problem<T>> problem;
  std::optional<Operator<T>> op;

  Case(std::int64_t n, std::int64_t m, int dim, const Cost& cost, bool as_matrix, Exec& exec)
      : n(n),
        m(m),
        dim(dim),
        cost(cost),
        x(n * dim),
        y(m * dim),
        h(kernels::padded(m), -std::numeric_limits<T>::infinity()),
        shift(n),
        center(n * dim, T(0.5)),
        softmin(n) {
    std::uint64_t draw = 0;
    for (auto* points : {&x, &y})
      for (T& value : *points) value = static_cast<T>(philox_uniform(1, dim, draw++));
    eps = mean_cost() / 10;
    for (std::int64_t j = 0; j < m; ++j) h[j] = static_cast<T>(-eps * philox_uniform(2, dim, j));
    if (as_matrix) {
      matrix = Buffer<T>(n * m);
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < m; ++j) matrix[i * m + j] = static_cast<T>(cost_of(i, j));
      problem.emplace(CostMatrix<T>{{matrix.data(), n, m}}, VectorView<const T>{},
                      VectorView<const T>{}, Balanced{}, Balanced{});
    } else {
      problem.emplace(PointCloud<T>{{x.data(), n, dim}, {y.data(), m, dim}, cost},
                      VectorView<const T>{}, VectorView<const T>{}, Balanced{}, Balanced{});
    }
    op.emplace(*problem);
    op->softmin(Side::source, h.data(), nullptr, softmin.data(), eps, exec);
    for (std::int64_t i = 0; i < n; ++i) shift[i] = static_cast<T>(softmin[i]);
  }

  Real<T> cost_of(std::int64_t i, std::int64_t j) const {
    Real<T> squared = 0, dot = 0, xx = 0, yy = 0;
    for (int k = 0; k < dim; ++k) {
      const Real<T> xk = x[i * dim + k], yk = y[j * dim + k];
      squared += (xk - yk) * (xk - yk);
      dot += xk * yk;
      xx += xk * xk;
      yy += yk * yk;
    }
    if (std::holds_alternative<HalfSquaredEuclidean>(cost)) return squared / 2;
    if (std::holds_alternative<Euclidean>(cost)) return std::sqrt(squared);
    if (const auto* power = std::get_if<Power>(&cost))
      return std::pow(squared, static_cast<Real<T>>(power->p) / 2);
    if (std::holds_alternative<Cosine>(cost)) return 1 - dot / std::sqrt(xx * yy);
    if (std::holds_alternative<Dot>(cost)) return -dot;
    return squared;
  }

  /// w_ij = exp((h_j + shift_i - c_ij) / eps) of one row.
  std::vector<Real<T>> weights(std::int64_t i) const {
    std::vector<Real<T>> out(m);
    for (std::int64_t j = 0; j < m; ++j)
      out[j] = std::exp((static_cast<Real<T>>(h[j]) + shift[i] - cost_of(i, j)) /
                        static_cast<Real<T>>(eps));
    return out;
  }

  /// Rows that are checked.
  std::vector<std::int64_t> sample() const {
    std::vector<std::int64_t> rows;
    for (std::int64_t s = 0; s < kRows; ++s) rows.push_back(s * n / kRows);
    return rows;
  }

 private:
  static constexpr std::int64_t kRows = 16;

  double mean_cost() const {
    double sum = 0;
    for (std::int64_t s = 0; s < 256; ++s)
      sum += std::abs(static_cast<double>(cost_of(s * n / 256, (s * 97) % m)));
    return sum / 256;
  }
};
}  // namespace monge::bench
