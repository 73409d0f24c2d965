#include "ot/closed_form.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ot/packing.hpp"
#include "ot/small_matrix.hpp"

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

struct CloudMoments {
  std::vector<double> mean;
  SmallMatrix covariance;

  explicit CloudMoments(const HostCloud& cloud)
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
  const CloudMoments x(from), y(to);
  const SmallMatrix root = spectral(y.covariance, d, [](double b, double) { return std::sqrt(b); });
  const SmallMatrix inverse = spectral(y.covariance, d, [](double b, double largest) {
    return 1 / std::sqrt(std::max(b, 1e-12 * largest + 1e-300));  // a flat cloud has no inverse
  });
  const double variance = eps / scale / 2;
  const SmallMatrix middle =
      spectral(product(product(root, x.covariance, d), root, d), d, [&](double v, double) {
        return 2 * v / (std::sqrt(4 * v + variance * variance) + variance);
      });
  const SmallMatrix slope = product(product(inverse, middle, d), inverse, d);
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
