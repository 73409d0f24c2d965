// What the kernels are measured on: uniform points of a cube about 0, or a matrix of their costs,
// with h and shift as in the middle of a solve; and sampled rows of the same in a longer type.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>
#include <vector>

#include "kernels/math.hpp"
#include "monge/core/random.hpp"
#include "monge/ot/problem.hpp"
#include "ot/operator.hpp"

namespace monge::bench {
template <class T>
using Real = std::conditional_t<sizeof(T) == 4, double, long double>;

/// On the host: coordinates of (-1/2, 1/2).
template <class T>
struct Points {
  std::int64_t n, m;
  int dim;
  Buffer<T> x, y;

  Points(std::int64_t n, std::int64_t m, int dim)
      : n(n), m(m), dim(dim), x(uniform(n * dim, 1)), y(uniform(m * dim, 2)) {}

 private:
  Buffer<T> uniform(std::int64_t count, std::uint64_t seed) const {
    Buffer<T> out(count);
#pragma omp parallel for
    for (std::int64_t e = 0; e < count; ++e)
      out[e] = static_cast<T>(philox_uniform(seed, dim, e) - 0.5);
    return out;
  }
};

/// Where the costs are: computed from points, or a matrix with contiguous rows or columns.
enum class Layout { points, rows, columns };

/// A row that is checked: its weights exp((h_j + shift_i - c_ij) / eps).
template <class T>
struct Sample {
  std::int64_t i;
  std::vector<Real<T>> weights;
};

/// `shift` is the softmin of h. h, bias, shift, softmin and matrix are where the kernels run.
template <class T>
struct Case {
  const Points<T>& points;
  double eps;
  Buffer<T> x, y, h, shift, matrix;
  Buffer<double> bias, softmin;  // bias: h once more, as softmin takes it
  std::vector<Sample<T>> samples;
  std::optional<Problem<T>> problem;
  std::optional<Operator<T>> op;

  Case(const Points<T>& points, const Cost& cost, Layout layout, kernels::Precision precision,
       Exec& exec)
      : points(points), form_(cost_form(cost)) {
    const auto [n, m, dim] = std::tuple(points.n, points.m, points.dim);
    eps = mean_cost() / 10;
    Buffer<T> rounded(kernels::padded(m), -std::numeric_limits<T>::infinity());
    for (std::int64_t j = 0; j < m; ++j)
      rounded[j] = static_cast<T>(-eps * philox_uniform(3, dim, j));
    h = rounded.to(exec.device);
    Buffer<double> wide(rounded.size());
    std::copy(rounded.begin(), rounded.end(), wide.begin());
    bias = std::move(wide).to(exec.device);
    if (layout == Layout::points) {
      x = points.x.to(exec.device);
      y = points.y.to(exec.device);
      problem.emplace(PointCloud<T>{{x.data(), n, dim, dim, 1, exec.device},
                                    {y.data(), m, dim, dim, 1, exec.device},
                                    cost},
                      VectorView<const T>{}, VectorView<const T>{}, Balanced{}, Balanced{});
    } else {
      const bool rows = layout == Layout::rows;
      matrix = costs(rows).to(exec.device);
      problem.emplace(CostMatrix<T>{{matrix.data(), n, m, rows ? m : 1, rows ? 1 : n, exec.device}},
                      VectorView<const T>{}, VectorView<const T>{}, Balanced{}, Balanced{});
    }
    op.emplace(*problem, precision);
    softmin = Buffer<double>(n, exec.device);
    op->softmin(Side::source, bias.data(), nullptr, softmin.data(), eps, exec);
    Buffer<T> near(n);
    const auto result = softmin.to(Device{});
    for (std::int64_t i = 0; i < n; ++i) near[i] = static_cast<T>(result[i]);
    sample(rounded, near, layout);
    shift = std::move(near).to(exec.device);
  }

 private:
  static constexpr std::int64_t kRows = 16;

  Real<T> cost_of(std::int64_t i, std::int64_t j) const {
    Real<T> squared = 0, dot = 0, xx = 0, yy = 0;
    for (int k = 0; k < points.dim; ++k) {
      const Real<T> xk = points.x[i * points.dim + k], yk = points.y[j * points.dim + k];
      squared += (xk - yk) * (xk - yk);
      dot += xk * yk;
      xx += xk * xk;
      yy += yk * yk;
    }
    if (form_.form == kernels::Form::dot) return -dot;
    if (form_.unit_length) squared = 2 - 2 * dot / std::sqrt(xx * yy);
    return kernels::cost_of_squared<Real<T>>(form_.form, form_.scale, form_.power, squared);
  }

  double mean_cost() const {
    double sum = 0;
    for (std::int64_t s = 0; s < 256; ++s)
      sum += std::abs(static_cast<double>(cost_of(s * points.n / 256, s * 97 % points.m)));
    return sum / 256;
  }

  Buffer<T> costs(bool by_rows) const {
    Buffer<T> out(points.n * points.m);
#pragma omp parallel for
    for (std::int64_t i = 0; i < points.n; ++i)
      for (std::int64_t j = 0; j < points.m; ++j)
        out[by_rows ? i * points.m + j : i + j * points.n] = static_cast<T>(cost_of(i, j));
    return out;
  }

  void sample(const Buffer<T>& h, const Buffer<T>& shift, Layout layout) {
    samples.resize(kRows);
#pragma omp parallel for
    for (std::int64_t s = 0; s < kRows; ++s) {
      const std::int64_t i = s * points.n / kRows;
      samples[s] = {i, std::vector<Real<T>>(points.m)};
      for (std::int64_t j = 0; j < points.m; ++j) {
        Real<T> cost = cost_of(i, j);
        if (layout != Layout::points) cost = static_cast<T>(cost);
        samples[s].weights[j] =
            std::exp((static_cast<Real<T>>(h[j]) + shift[i] - cost) / static_cast<Real<T>>(eps));
      }
    }
  }

  CostForm form_;
};
}  // namespace monge::bench
