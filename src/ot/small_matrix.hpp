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

/// V diag(f(value, largest)) V^T of a symmetric a = V diag(values) V^T, by cyclic Jacobi rotations:
/// of rows, which lie together, the columns following by symmetry.
template <class Function>
SmallMatrix spectral(SmallMatrix a, std::int64_t d, const Function& f) {
  SmallMatrix v(d * d, 0.0);  // V^T
  for (std::int64_t i = 0; i < d; ++i) v[i * d + i] = 1;
  const auto off_diagonal = [&] {
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < i; ++j) sum += a[i * d + j] * a[i * d + j];
    return sum;
  };
  double size = 0;
  for (const double entry : a) size += entry * entry;
  const double square = static_cast<double>(d * d), nothing = 1e-30 * size;
  for (int sweep = 0; sweep < 30 && off_diagonal() > nothing; ++sweep)
    for (std::int64_t p = 0; p < d; ++p)
      for (std::int64_t q = p + 1; q < d; ++q) {
        const double between = a[p * d + q];
        if (between * between * square <= nothing) continue;  // all such add up to no more
        const double theta = (a[q * d + q] - a[p * d + p]) / (2 * between);
        const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        const auto turn = [&](double* x, double* y) {
          for (std::int64_t k = 0; k < d; ++k) {
            const double before = x[k];
            x[k] = c * before - s * y[k];
            y[k] = s * before + c * y[k];
          }
        };
        const double pp = a[p * d + p] - t * between, qq = a[q * d + q] + t * between;
        turn(&a[p * d], &a[q * d]);
        turn(&v[p * d], &v[q * d]);
        a[p * d + p] = pp;
        a[q * d + q] = qq;
        a[p * d + q] = a[q * d + p] = 0;
        for (std::int64_t k = 0; k < d; ++k) {
          a[k * d + p] = a[p * d + k];
          a[k * d + q] = a[q * d + k];
        }
      }
  double largest = 0;
  for (std::int64_t k = 0; k < d; ++k) largest = std::max(largest, a[k * d + k]);
  SmallMatrix out(d * d, 0.0);
  for (std::int64_t k = 0; k < d; ++k) {
    const double value = f(std::max(a[k * d + k], 0.0), largest);
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < d; ++j) out[i * d + j] += value * v[k * d + i] * v[k * d + j];
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
