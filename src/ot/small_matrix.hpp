// Dense matrices of a few dozen rows on the host, row-major.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace monge {
using SmallMatrix = std::vector<double>;  // [d, d]

inline SmallMatrix product(const SmallMatrix& a, const SmallMatrix& b, std::int64_t d) {
  SmallMatrix out(d * d, 0.0);
  for (std::int64_t i = 0; i < d; ++i)
    for (std::int64_t k = 0; k < d; ++k)
      for (std::int64_t j = 0; j < d; ++j) out[i * d + j] += a[i * d + k] * b[k * d + j];
  return out;
}

/// V diag(f(value, largest)) V^T of a symmetric a = V diag(values) V^T, by cyclic Jacobi rotations.
template <class Function>
SmallMatrix spectral(SmallMatrix a, std::int64_t d, const Function& f) {
  SmallMatrix v(d * d, 0.0);
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
        const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0), s = t * c;
        const auto turn = [&](double& x, double& y) {
          const double before = x;
          x = c * before - s * y;
          y = s * before + c * y;
        };
        for (std::int64_t k = 0; k < d; ++k) turn(a[k * d + p], a[k * d + q]);
        for (std::int64_t k = 0; k < d; ++k) turn(a[p * d + k], a[q * d + k]);
        for (std::int64_t k = 0; k < d; ++k) turn(v[k * d + p], v[k * d + q]);
      }
  double largest = 0;
  for (std::int64_t k = 0; k < d; ++k) largest = std::max(largest, a[k * d + k]);
  SmallMatrix out(d * d, 0.0);
  for (std::int64_t k = 0; k < d; ++k) {
    const double value = f(std::max(a[k * d + k], 0.0), largest);
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < d; ++j) out[i * d + j] += value * v[i * d + k] * v[j * d + k];
  }
  return out;
}

/// Of a symmetric matrix whose eigenvalues below `least` of the largest count as 0.
inline SmallMatrix pseudo_inverse(SmallMatrix a, std::int64_t d, double least) {
  return spectral(std::move(a), d, [=](double value, double largest) {
    return value > least * largest ? 1 / value : 0.0;
  });
}
}  // namespace monge
