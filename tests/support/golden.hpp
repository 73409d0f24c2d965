// The golden problem of the derivatives' specification: 5 against 4 points in the plane, no random
// numbers, and directions for both.
#pragma once
#include <cmath>
#include <cstddef>
#include <vector>

#include "support/solved.hpp"

namespace monge::testing {
inline constexpr double kGoldenEpsilon = 0.3;

inline Clouds<double> golden_clouds(double factor_a = 1, double factor_b = 1) {
  Clouds<double> out{5, 4, 2, {}, {}, {}, {}};
  for (int i = 0; i < 5; ++i) {
    out.x.push_back(std::sin(i + 1));
    out.x.push_back(std::cos(2 * i + 1));
    out.a.push_back(factor_a * (i + 1) / 15);
  }
  for (int j = 0; j < 4; ++j) {
    out.y.push_back(std::cos(j + 0.5));
    out.y.push_back(std::sin(3 * j + 0.2));
    out.b.push_back(factor_b * (4 - j) / 10);
  }
  return out;
}

/// A of the source, B of the target.
inline std::vector<double> golden_dx() {
  std::vector<double> out;
  for (int i = 0; i < 5; ++i) {
    out.push_back(std::cos(i));
    out.push_back(std::sin(i + 2));
  }
  return out;
}
inline std::vector<double> golden_dy() {
  std::vector<double> out;
  for (int j = 0; j < 4; ++j) {
    out.push_back(std::sin(j));
    out.push_back(std::cos(2 * j));
  }
  return out;
}

template <class X, class Y>
double dot(const X& x, const Y& y) {
  double sum = 0;
  for (std::size_t e = 0; e < static_cast<std::size_t>(y.size()); ++e) sum += x[e] * y[e];
  return sum;
}
template <class X>
double norm(const X& x) {
  return std::sqrt(dot(x, x));
}
}  // namespace monge::testing
