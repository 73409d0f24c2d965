#include "ot/closed_form.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ot/packing.hpp"

namespace monge {
namespace {
double total(const HostCloud& cloud) {
  return std::accumulate(cloud.weights.begin(), cloud.weights.end(), 0.0);
}

std::vector<std::int64_t> ascending(const HostCloud& cloud) {
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < cloud.size(); ++i)
    if (cloud.weights[i] > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t j) {
    return cloud.points[i] < cloud.points[j];
  });
  return order;
}

/// Row-major symmetric [d, d].
using Symmetric = std::vector<double>;

struct Moments {
  std::vector<double> mean;
  Symmetric covariance;

  explicit Moments(const HostCloud& cloud)
      : mean(cloud.dim, 0.0), covariance(cloud.dim * cloud.dim, 0.0) {
    const std::int64_t d = cloud.dim;
    const double mass = total(cloud);
    for (std::int64_t i = 0; i < cloud.size(); ++i)
      for (std::int64_t k = 0; k < d; ++k)
        mean[k] += cloud.weights[i] / mass * cloud.points[i * d + k];
    std::vector<double> off(d);
    for (std::int64_t i = 0; i < cloud.size(); ++i) {
      if (!(cloud.weights[i] > 0)) continue;
      for (std::int64_t k = 0; k < d; ++k) off[k] = cloud.points[i * d + k] - mean[k];
      for (std::int64_t k = 0; k < d; ++k)
        for (std::int64_t l = 0; l < d; ++l)
          covariance[k * d + l] += cloud.weights[i] / mass * off[k] * off[l];
    }
  }
};

Symmetric product(const Symmetric& a, const Symmetric& b, std::int64_t d) {
  Symmetric out(d * d, 0.0);
  for (std::int64_t i = 0; i < d; ++i)
    for (std::int64_t k = 0; k < d; ++k)
      for (std::int64_t j = 0; j < d; ++j) out[i * d + j] += a[i * d + k] * b[k * d + j];
  return out;
}

/// Cyclic Jacobi rotations: a = V diag(values) V^T, then V diag(f(value)) V^T.
template <class Function>
Symmetric spectral(Symmetric a, std::int64_t d, const Function& f) {
  Symmetric v(d * d, 0.0);
  for (std::int64_t i = 0; i < d; ++i) v[i * d + i] = 1;
  const auto off_diagonal = [&] {
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < i; ++j) sum += a[i * d + j] * a[i * d + j];
    return sum;
  };
  double size = 0;
  for (const double entry : a) size += entry * entry;
  for (int sweep = 0; sweep < 30 && off_diagonal() > 1e-30 * size; ++sweep)
    for (std::int64_t p = 0; p < d; ++p)
      for (std::int64_t q = p + 1; q < d; ++q) {
        if (a[p * d + q] == 0) continue;
        const double theta = (a[q * d + q] - a[p * d + p]) / (2 * a[p * d + q]);
        const double t = std::copysign(1, theta) / (std::abs(theta) + std::hypot(theta, 1));
        const double c = 1 / std::hypot(t, 1), s = t * c;
        const auto turn = [&](double& x, double& y) {
          const double before = x;
          x = c * before - s * y;
          y = s * before + c * y;
        };
        for (std::int64_t k = 0; k < d; ++k) turn(a[k * d + p], a[k * d + q]);
        for (std::int64_t k = 0; k < d; ++k) turn(a[p * d + k], a[q * d + k]);
        for (std::int64_t k = 0; k < d; ++k) turn(v[k * d + p], v[k * d + q]);
      }
  Symmetric out(d * d, 0.0);
  for (std::int64_t k = 0; k < d; ++k) {
    const double value = f(std::max(a[k * d + k], 0.0));
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < d; ++j) out[i * d + j] += value * v[i * d + k] * v[j * d + k];
  }
  return out;
}
}  // namespace

// Along the staircase of the plan f_i + g_j = c_ij. Where both of a pair are spent at once the
// stair may turn either way: potentials are the mean of both.
std::vector<double> sorted_potential(const HostCloud& from, const HostCloud& to, const Cost& cost) {
  const CostForm form = cost_form(cost);
  const auto xs = ascending(from), ys = ascending(to);
  const double scale = total(to) / total(from);
  const auto c = [&](std::size_t i, std::size_t j) {
    const double x = from.points[xs[i]], y = to.points[ys[j]];
    return form.form == kernels::Form::dot ? -form.scale * x * y
                                           : form.at_distance(std::abs(x - y));
  };
  std::vector<double> out(to.size(), 0.0);
  double g = 0, x_left = scale * from.weights[xs[0]], y_left = to.weights[ys[0]];
  for (std::size_t i = 0, j = 0; j + 1 < ys.size();) {
    const bool x_spent = x_left <= y_left && i + 1 < xs.size(), y_spent = y_left <= x_left;
    if (y_spent || i + 1 == xs.size()) {
      const double here = c(i, j + 1) - c(i, j);
      g += x_spent ? (here + c(i + 1, j + 1) - c(i + 1, j)) / 2 : here;
      out[ys[j + 1]] = g;
      x_left -= y_left;
      y_left = to.weights[ys[++j]];
      if (x_spent) x_left = scale * from.weights[xs[++i]];
    } else {
      y_left -= x_left;
      x_left = scale * from.weights[xs[++i]];
    }
  }
  return out;
}

// grad g = 2 (y - E[x | y]) with E[x | y] = mean_x + S (y - mean_y), eps = 2 sigma^2,
// S = B^-1/2 (1/2 (4 B^1/2 A B^1/2 + sigma^4)^1/2 - sigma^2 / 2) B^-1/2.
std::vector<double> gaussian_potential(const HostCloud& from, const HostCloud& to, double scale,
                                       double eps) {
  const std::int64_t d = to.dim;
  const Moments x(from), y(to);
  double largest = 0;
  for (std::int64_t k = 0; k < d; ++k) largest = std::max(largest, y.covariance[k * d + k]);
  const double least = 1e-12 * largest + 1e-300;  // a flat cloud has no inverse
  const Symmetric root = spectral(y.covariance, d, [](double b) { return std::sqrt(b); });
  const Symmetric inverse =
      spectral(y.covariance, d, [&](double b) { return 1 / std::sqrt(std::max(b, least)); });
  const double variance = eps / scale / 2;
  const Symmetric middle = spectral(
      product(product(root, x.covariance, d), root, d), d,
      [&](double v) { return 2 * v / (std::sqrt(4 * v + variance * variance) + variance); });
  const Symmetric slope = product(product(inverse, middle, d), inverse, d);
  std::vector<double> out(to.size()), off(d);
  for (std::int64_t j = 0; j < to.size(); ++j) {
    for (std::int64_t k = 0; k < d; ++k) off[k] = to.points[j * d + k] - y.mean[k];
    double sum = 0;
    for (std::int64_t k = 0; k < d; ++k) {
      double image = 0;
      for (std::int64_t l = 0; l < d; ++l) image += slope[k * d + l] * off[l];
      sum += off[k] * (off[k] - image + 2 * (y.mean[k] - x.mean[k]));
    }
    out[j] = scale * sum;
  }
  return out;
}
}  // namespace monge
