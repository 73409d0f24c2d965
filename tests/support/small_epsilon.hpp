// Problems whose small epsilon is hard: clouds in few and many dimensions, scaled so that the
// largest cost is about 1, with weights of both sides between one and three and mass 1.
#pragma once
#include <cmath>
#include <numbers>
#include <string>

#include "support/problems.hpp"

namespace monge::testing {
/// Standard normal numbers.
inline std::vector<double> normal_vector(std::int64_t count, std::uint64_t seed,
                                         std::uint64_t stream) {
  const auto u = random_vector<double>(2 * count, seed, stream);
  std::vector<double> out(count);
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = std::sqrt(-2 * std::log(u[2 * i])) * std::cos(2 * std::numbers::pi * u[2 * i + 1]);
  return out;
}

/// `name`: cube3d, x uniform and y uniform^1.5; clusters3d, eight clusters of standard deviation
/// 0.08 on each side; gauss16d and gauss64d, N(0, I) against 0.7 N(0, I) + 0.3.
template <class T>
Clouds<T> small_epsilon(const std::string& name, std::int64_t n, std::uint64_t seed = 1) {
  const std::int64_t d = name == "gauss64d" ? 64 : name == "gauss16d" ? 16 : 3;
  std::vector<double> x, y;
  if (name == "cube3d") {
    x = random_vector<double>(n * d, seed, 10);
    y = random_vector<double>(n * d, seed, 11);
    for (double& v : y) v = std::pow(v, 1.5);
  } else if (name == "clusters3d") {
    const auto c = normal_vector(8 * d, seed, 14);
    x = normal_vector(n * d, seed, 10);
    y = normal_vector(n * d, seed, 11);
    const auto pick = random_vector<double>(2 * n, seed, 15, 0, 8);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = 0; k < d; ++k) {
        x[i * d + k] = 0.08 * x[i * d + k] + 0.6 * c[int(pick[i]) * d + k];
        y[i * d + k] = 0.08 * y[i * d + k] - 0.6 * c[int(pick[n + i]) * d + (k + 1) % d];
      }
  } else {
    x = normal_vector(n * d, seed, 10);
    y = normal_vector(n * d, seed, 11);
    for (double& v : y) v = 0.7 * v + 0.3;
  }
  double most = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double cost = 0;
      for (std::int64_t k = 0; k < d; ++k)
        cost += (x[i * d + k] - y[j * d + k]) * (x[i * d + k] - y[j * d + k]);
      most = std::max(most, cost);
    }
  const auto scaled = [&](const std::vector<double>& from) {
    std::vector<T> out;
    for (const double v : from) out.push_back(static_cast<T>(v / std::sqrt(most)));
    return out;
  };
  return {n,
          n,
          d,
          scaled(x),
          scaled(y),
          random_weights<T>(n, 1, seed, 12),
          random_weights<T>(n, 1, seed, 13)};
}
}  // namespace monge::testing
