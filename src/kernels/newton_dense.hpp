// The bodies by which all pairs answer truncated Newton (ot/newton.hpp): between double vectors and
// what a sweep reads and writes.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/penalty.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
/// The total of a column, or row, whose softmin is s: b exp((g - s) / eps), 0 without partner.
template <class T>
struct TotalArgs {
  VectorView<const T> weight;
  const double *g, *s;
  double eps;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const double b = weight[j];
    out[j] = b > 0 && std::isfinite(s[j]) ? b * std::exp((g[j] - s[j]) / eps) : 0;
  }
};

/// a / D1 of a row that has just made its half-step: D1 = p, of kl p + (eps / rho) a exp(-f / rho);
/// 0 for one that a bound of its penalty holds.
template <class T>
struct RowResponseArgs {
  VectorView<const T> weight;
  const double *f, *s;
  Penalty penalty;
  double eps;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const bool moves = weight[i] > 0 && std::isfinite(s[i]) &&
                       (penalty.kind != Penalty::Kind::tv || penalty.feasible(s[i]) == s[i]);
    const double tau =
        penalty.kind == Penalty::Kind::kl ? penalty.strength / (penalty.strength + eps) : 1;
    out[i] = moves ? static_cast<T>(tau * std::exp((s[i] - f[i]) / eps)) : T(0);
  }
};

/// out = x times the weight to the power of +1 or +2 of what a sweep has left out.
template <class T>
struct WeightedArgs {
  VectorView<const T> weight;
  const T* x;
  bool squared;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const double b = weight[j];
    out[j] = b > 0 ? (squared ? b * b : b) * x[j] : 0;
  }
};

/// out = x / weight, 0 where there is none.
template <class T>
struct OverWeightArgs {
  VectorView<const T> weight;
  const T* x;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = weight[i] > 0 ? x[i] / weight[i] : T(0);
  }
};
}  // namespace monge::kernels

#define MONGE_DENSE_EACH_BODIES_OF(X, T) \
  X(TotalArgs<T>) X(RowResponseArgs<T>) X(WeightedArgs<T>) X(OverWeightArgs<T>)
#define MONGE_DENSE_EACH_BODIES(X) \
  MONGE_DENSE_EACH_BODIES_OF(X, float) MONGE_DENSE_EACH_BODIES_OF(X, double)
