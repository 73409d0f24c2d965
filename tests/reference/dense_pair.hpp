// What a pair of potentials is worth, by the definitions of docs/formulas.md on a dense matrix in
// double: the plan, its marginals, KKT residual, primal and dual. Slow and independent of src/.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <variant>
#include <vector>

#include "monge/ot/marginal.hpp"

namespace monge::reference {
using Vector = std::vector<double>;

struct DensePair {
  Vector C, a, b, f, g;  // C row-major n x m
  double eps;
  Marginal A, B;

  std::size_t n() const { return a.size(); }
  std::size_t m() const { return b.size(); }

  Vector plan() const {
    Vector P(n() * m());
    for (std::size_t i = 0; i < n(); ++i)
      for (std::size_t j = 0; j < m(); ++j)
        P[i * m() + j] =
            a[i] > 0 && b[j] > 0 ? a[i] * b[j] * std::exp((f[i] + g[j] - C[i * m() + j]) / eps) : 0;
    return P;
  }
  Vector rows(const Vector& P) const {
    Vector p(n());
    for (std::size_t i = 0; i < n(); ++i)
      for (std::size_t j = 0; j < m(); ++j) p[i] += P[i * m() + j];
    return p;
  }
  Vector columns(const Vector& P) const {
    Vector q(m());
    for (std::size_t i = 0; i < n(); ++i)
      for (std::size_t j = 0; j < m(); ++j) q[j] += P[i * m() + j];
    return q;
  }

  static double residual(const Vector& p, const Vector& w, const Vector& u, const Marginal& mar) {
    double sum = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      if (const auto* kl = std::get_if<KL>(&mar)) {
        sum += std::abs(p[i] - w[i] * std::exp(-u[i] / kl->rho));
      } else if (const auto* tv = std::get_if<TV>(&mar)) {
        const double low = u[i] >= tv->lambda ? 0 : w[i];
        const double high = u[i] <= -tv->lambda ? std::numeric_limits<double>::infinity() : w[i];
        sum += std::max(low - p[i], 0.0) + std::max(p[i] - high, 0.0);
      } else {
        sum += std::abs(p[i] - w[i]);
      }
    }
    return sum;
  }
  static double penalty(const Vector& p, const Vector& w, const Marginal& mar) {
    double sum = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      if (const auto* kl = std::get_if<KL>(&mar))
        sum += kl->rho * ((p[i] > 0 ? p[i] * std::log(p[i] / w[i]) : 0) - p[i] + w[i]);
      else if (const auto* tv = std::get_if<TV>(&mar))
        sum += tv->lambda * std::abs(p[i] - w[i]);
    }
    return sum;
  }
  static double conjugate(const Vector& w, const Vector& u, const Marginal& mar) {
    double sum = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const auto* kl = std::get_if<KL>(&mar);
      sum += w[i] * (kl ? -kl->rho * std::expm1(-u[i] / kl->rho) : u[i]);
    }
    return sum;
  }
  static double sum(const Vector& v) {
    double total = 0;
    for (const double x : v) total += x;
    return total;
  }

  double marginal_error() const {
    const Vector P = plan();
    return (residual(rows(P), a, f, A) + residual(columns(P), b, g, B)) / sum(P);
  }
  double dual() const {
    return conjugate(a, f, A) + conjugate(b, g, B) + eps * (sum(a) * sum(b) - sum(plan()));
  }
  /// By the definition of the objective, from the plan alone.
  double primal() const {
    const Vector P = plan();
    double value = penalty(rows(P), a, A) + penalty(columns(P), b, B);
    for (std::size_t i = 0; i < n(); ++i)
      for (std::size_t j = 0; j < m(); ++j) {
        const double p = P[i * m() + j], ab = a[i] * b[j];
        if (p > 0) value += p * C[i * m() + j] + eps * p * std::log(p / ab);
        value += eps * (ab - p);
      }
    return value;
  }
};
}  // namespace monge::reference
