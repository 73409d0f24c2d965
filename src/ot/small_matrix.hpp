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

/// (1 - u u^T) a (1 - u u^T) of a symmetric a, u of length 1: a that does not see u.
inline void take_out(const std::vector<double>& u, SmallMatrix& a) {
  const auto d = static_cast<std::int64_t>(u.size());
  const auto of_rows = [&] {
    for (std::int64_t i = 0; i < d; ++i) {
      double along = 0;
      for (std::int64_t j = 0; j < d; ++j) along += a[i * d + j] * u[j];
      for (std::int64_t j = 0; j < d; ++j) a[i * d + j] -= along * u[j];
    }
  };
  of_rows();
  for (std::int64_t i = 0; i < d; ++i)
    for (std::int64_t j = 0; j < i; ++j) std::swap(a[i * d + j], a[j * d + i]);
  of_rows();
}

/// Of a symmetric positive semi-definite matrix, by its Cholesky factorisation with pivots, in a
/// tenth of the time of eigenvalues: the largest of what is left of a diagonal entry, in its parts,
/// is next. Where that is below `least` a column depends on those before it and says what the
/// matrix does not see; that is taken out of the inverse of the others.
inline SmallMatrix pseudo_inverse(const SmallMatrix& a, std::int64_t d, double least) {
  SmallMatrix factor(d * d, 0.0);  // of a in the order of the pivots, lower
  std::vector<std::int64_t> order;
  std::vector<double> left(d);  // of the diagonal
  for (std::int64_t i = 0; i < d; ++i) left[i] = a[i * d + i];
  for (;;) {
    std::int64_t pivot = -1;
    double most = least;
    for (std::int64_t i = 0; i < d; ++i)
      if (left[i] > most * a[i * d + i] && a[i * d + i] > 0) {
        most = left[i] / a[i * d + i];
        pivot = i;
      }
    if (pivot < 0) break;
    const auto rank = static_cast<std::int64_t>(order.size());
    const double root = std::sqrt(left[pivot]);
    for (std::int64_t i = 0; i < d; ++i) {
      if (left[i] < 0) continue;  // was a pivot
      double sum = a[i * d + pivot];
      for (std::int64_t k = 0; k < rank; ++k) sum -= factor[i * d + k] * factor[pivot * d + k];
      factor[i * d + rank] = sum / root;
      left[i] = std::max(left[i] - sum / root * (sum / root), 0.0);
    }
    left[pivot] = -1;
    order.push_back(pivot);
  }

  // The inverse of the lower triangle, row by row of L X = 1, then X^T X.
  const auto rank = static_cast<std::int64_t>(order.size());
  SmallMatrix root(rank * rank, 0.0), out(d * d, 0.0);
  for (std::int64_t i = 0; i < rank; ++i) {
    const double* const row = &factor[order[i] * d];
    double* const x = &root[i * rank];
    for (std::int64_t k = 0; k < i; ++k)
      for (std::int64_t j = 0; j <= k; ++j) x[j] -= row[k] * root[k * rank + j];
    x[i] = 1;
    for (std::int64_t j = 0; j <= i; ++j) x[j] /= row[i];
  }
  for (std::int64_t k = 0; k < rank; ++k)
    for (std::int64_t i = 0; i <= k; ++i)
      for (std::int64_t j = 0; j <= k; ++j)
        out[order[i] * d + order[j]] += root[k * rank + i] * root[k * rank + j];

  std::vector<std::vector<double>> unseen;
  const auto dot = [d](const std::vector<double>& x, const std::vector<double>& y) {
    double sum = 0;
    for (std::int64_t i = 0; i < d; ++i) sum += x[i] * y[i];
    return sum;
  };
  for (std::int64_t i = 0; i < d; ++i) {
    if (left[i] < 0 || !(a[i * d + i] > 0)) continue;
    std::vector<double> u(d);
    u[i] = 1;
    for (std::int64_t k = 0; k < rank; ++k)
      for (std::int64_t j = 0; j <= k; ++j) u[order[j]] -= root[k * rank + j] * factor[i * d + k];
    for (const auto& other : unseen) {
      const double along = dot(u, other);
      for (std::int64_t j = 0; j < d; ++j) u[j] -= along * other[j];
    }
    const double length = std::sqrt(dot(u, u));
    for (double& entry : u) entry /= length;
    unseen.push_back(std::move(u));
  }
  for (const auto& u : unseen) take_out(u, out);
  return out;
}
}  // namespace monge
