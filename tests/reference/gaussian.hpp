// Entropic transport between Gaussian measures in closed form: squared Euclidean cost, product
// reference, eps = 2 sigma^2 (Janati, Muzellec, Peyre, Cuturi 2020, arXiv 2006.02572). M is double
// in one dimension, Matrix2 in two.
#pragma once
#include <cmath>

namespace monge::reference {
struct Matrix2 {
  double a = 0, b = 0, c = 0, d = 0;  // rows (a, b), (c, d)
  friend Matrix2 operator+(const Matrix2& l, const Matrix2& r) {
    return {l.a + r.a, l.b + r.b, l.c + r.c, l.d + r.d};
  }
  friend Matrix2 operator-(const Matrix2& l, const Matrix2& r) { return l + -1.0 * r; }
  friend Matrix2 operator*(double s, const Matrix2& m) {
    return {s * m.a, s * m.b, s * m.c, s * m.d};
  }
  friend Matrix2 operator*(const Matrix2& l, const Matrix2& r) {
    return {l.a * r.a + l.b * r.c, l.a * r.b + l.b * r.d, l.c * r.a + l.d * r.c,
            l.c * r.b + l.d * r.d};
  }
};
struct Vector2 {
  double x = 0, y = 0;
  friend Vector2 operator+(Vector2 l, Vector2 r) { return {l.x + r.x, l.y + r.y}; }
  friend Vector2 operator-(Vector2 l, Vector2 r) { return {l.x - r.x, l.y - r.y}; }
  friend Vector2 operator*(const Matrix2& m, Vector2 v) {
    return {m.a * v.x + m.b * v.y, m.c * v.x + m.d * v.y};
  }
};

inline double dot(double x, double y) { return x * y; }
inline double dot(Vector2 x, Vector2 y) { return x.x * y.x + x.y * y.y; }
inline double trace(double m) { return m; }
inline double trace(const Matrix2& m) { return m.a + m.d; }
inline double det(double m) { return m; }
inline double det(const Matrix2& m) { return m.a * m.d - m.b * m.c; }
inline double inverse(double m) { return 1 / m; }
inline Matrix2 inverse(const Matrix2& m) { return 1 / det(m) * Matrix2{m.d, -m.b, -m.c, m.a}; }
inline double root(double m) { return std::sqrt(m); }
/// The root with positive eigenvalues, by Cayley-Hamilton.
inline Matrix2 root(const Matrix2& m) {
  const double s = std::sqrt(det(m));
  return 1 / std::sqrt(trace(m) + 2 * s) * (m + Matrix2{s, 0, 0, s});
}
inline double scaled_identity(double s, double) { return s; }
inline Matrix2 scaled_identity(double s, const Matrix2&) { return {s, 0, 0, s}; }
constexpr int dimension(double) { return 1; }
constexpr int dimension(const Matrix2&) { return 2; }

template <class M, class V>
struct GaussianPair {
  M A, B;  // covariances
  V mean_a, mean_b;
  double m_a = 1, m_b = 1;  // masses
  double epsilon;
  double rho;  // KL on both sides; not read by the balanced formulas

  double sigma2() const { return epsilon / 2; }
  M I(double s) const { return scaled_identity(s, A); }

  // Balanced, masses 1.
  M D() const {
    const M r = root(A);
    return root(4.0 * (r * B * r) + I(sigma2() * sigma2()));
  }
  double balanced_value() const {
    const int d = dimension(A);
    const double s2 = sigma2();
    const V shift = mean_b - mean_a;
    return dot(shift, shift) + trace(A) + trace(B) - trace(D()) + d * s2 * (1 - std::log(2 * s2)) +
           s2 * std::log(det(D() + I(s2)));
  }
  M balanced_cross() const {
    const M r = root(A);
    return 0.5 * (r * D() * inverse(r)) - I(sigma2() / 2);
  }

  // Unbalanced.
  double lambda() const { return sigma2() + rho / 2; }
  M X() const { return A + B + I(lambda()); }
  M tilde(const M& C) const { return rho / 2 * (I(1) - lambda() * inverse(C + I(lambda()))); }
  M S() const {
    const double s2 = sigma2(), tau = rho / (2 * s2 + rho);
    return root(1 / tau * (tilde(A) * tilde(B)) + I(s2 * s2 / 4)) - I(s2 / 2);
  }
  double mass() const {
    const int d = dimension(A);
    const double s2 = sigma2(), tau = rho / (2 * s2 + rho);
    const V shift = mean_b - mean_a;
    const double inside =
        m_a * m_b * det(S()) * std::sqrt(std::pow(det(tilde(A) * tilde(B)), tau) / det(A * B));
    return std::pow(std::sqrt(s2), d * s2 / (rho + s2)) * std::pow(inside, 1 / (tau + 1)) *
           std::exp(-dot(shift, inverse(X()) * shift) / (2 * (tau + 1))) /
           std::sqrt(det(S() - 2 / rho * (tilde(A) * tilde(B))));
  }
  double value() const {
    return rho * (m_a + m_b) + 2 * sigma2() * m_a * m_b - 2 * (sigma2() + rho) * mass();
  }
  V source_mean() const { return mean_a + A * (inverse(X()) * (mean_b - mean_a)); }
  M source_covariance() const { return (I(1) + 1 / lambda() * S()) * (A - A * inverse(X()) * A); }
  M cross() const { return S() + (I(1) + 1 / lambda() * S()) * A * inverse(X()) * B; }
};
}  // namespace monge::reference
