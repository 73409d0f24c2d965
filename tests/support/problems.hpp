// Small problems for tests: random clouds and matrices with weights that are neither uniform nor
// of equal mass, the same numbers for the same seed, and what a refused call said.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "monge/core/error.hpp"
#include "monge/core/random.hpp"
#include "monge/ot/problem.hpp"

namespace monge::testing {
/// `count` numbers, uniform in (low, high).
template <class T>
std::vector<T> random_vector(std::int64_t count, std::uint64_t seed, std::uint64_t stream,
                             double low = 0, double high = 1) {
  std::vector<T> out(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = static_cast<T>(low + (high - low) * philox_uniform(seed, stream, i));
  return out;
}

/// `count` weights of sum `mass`, the largest about three times the least.
template <class T>
std::vector<T> random_weights(std::int64_t count, double mass, std::uint64_t seed,
                              std::uint64_t stream) {
  const auto raw = random_vector<double>(count, seed, stream, 0.5, 1.5);
  double sum = 0;
  for (const double w : raw) sum += w;
  std::vector<T> out;
  for (const double w : raw) out.push_back(static_cast<T>(mass * w / sum));
  return out;
}

/// c(x, y) by its definition.
inline double cost_of(const Cost& cost, const std::vector<double>& x,
                      const std::vector<double>& y) {
  double squared = 0, dot = 0, xx = 0, yy = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    squared += (x[k] - y[k]) * (x[k] - y[k]);
    dot += x[k] * y[k];
    xx += x[k] * x[k];
    yy += y[k] * y[k];
  }
  if (std::holds_alternative<SquaredEuclidean>(cost)) return squared;
  if (std::holds_alternative<HalfSquaredEuclidean>(cost)) return squared / 2;
  if (std::holds_alternative<Euclidean>(cost)) return std::sqrt(squared);
  if (const auto* power = std::get_if<Power>(&cost)) return std::pow(squared, power->p / 2);
  if (std::holds_alternative<Cosine>(cost)) return 1 - dot / std::sqrt(xx * yy);
  return -dot;
}

/// Source and target points with weights, owned.
template <class T>
struct Clouds {
  std::int64_t n = 0, m = 0, d = 0;
  std::vector<T> x, y, a, b;

  MatrixView<const T> source() const { return {x.data(), n, d}; }
  MatrixView<const T> target() const { return {y.data(), m, d}; }
  VectorView<const T> source_weights() const { return {a.data(), n}; }
  VectorView<const T> target_weights() const { return {b.data(), m}; }
  Problem<T> problem(Marginal marginal_a, Marginal marginal_b, Cost cost = SquaredEuclidean{},
                     ProblemOptions options = {}) const {
    return Problem<T>(PointCloud<T>{source(), target(), cost}, source_weights(), target_weights(),
                      marginal_a, marginal_b, options);
  }
  /// Row-major [n, m] in double.
  std::vector<double> costs(const Cost& cost = SquaredEuclidean{}) const {
    std::vector<double> out;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < m; ++j)
        out.push_back(cost_of(cost, {x.begin() + i * d, x.begin() + (i + 1) * d},
                              {y.begin() + j * d, y.begin() + (j + 1) * d}));
    return out;
  }
};

/// x in the unit cube, y in a cube of side 0.8 moved by 0.3.
template <class T>
Clouds<T> random_clouds(std::int64_t n, std::int64_t m, std::int64_t d, std::uint64_t seed,
                        double mass_a = 1.5, double mass_b = 1) {
  return {n,
          m,
          d,
          random_vector<T>(n * d, seed, 0),
          random_vector<T>(m * d, seed, 1, 0.3, 1.1),
          random_weights<T>(n, mass_a, seed, 2),
          random_weights<T>(m, mass_b, seed, 3)};
}

/// What an InvalidArgument said.
struct Refusal {
  std::string message, argument;
  std::optional<std::int64_t> index;

  bool says(const std::string& part) const { return message.find(part) != std::string::npos; }
};

/// The InvalidArgument that `call` throws; a test failure when it throws none.
template <class Call>
Refusal refusal(Call&& call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return {error.what(), error.argument(), error.index()};
  } catch (const std::exception& error) {
    ADD_FAILURE() << "wanted InvalidArgument, got: " << error.what();
    return {};
  }
  ADD_FAILURE() << "wanted InvalidArgument, got an answer";
  return {};
}

/// n points uniform in the unit cube against m of uniform^1.5, masses 1.
template <class T>
Clouds<T> cubes(std::int64_t n, std::int64_t m, std::int64_t d) {
  Clouds<T> out{n, m, d, random_vector<T>(n * d, 11, 0), random_vector<T>(m * d, 11, 1), {}, {}};
  for (T& y : out.y) y = std::pow(y, T(1.5));
  out.a.assign(n, T(1) / static_cast<T>(n));
  out.b.assign(m, T(1) / static_cast<T>(m));
  return out;
}
}  // namespace monge::testing
