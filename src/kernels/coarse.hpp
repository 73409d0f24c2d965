// The bodies by which a coarse basis meets vectors of a side (ot/coarse.hpp). Basis [n, columns]
// row-major.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/penalty.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
inline constexpr int kCoarseColumns = 64;

/// r = curvature (prox(s) - g), the curvature being q, of kl q (1 + eps / rho): what a step of
/// Newton solves for, the plain one dividing by the curvature. 0 where a bound holds g.
template <class T>
struct StepResidualArgs {
  VectorView<const T> weight;
  const double *g, *s;
  Penalty penalty;
  double eps;
  double *residual, *curvature;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    residual[j] = curvature[j] = 0;
    const double b = weight[j], at = g[j], step = penalty.prox(s[j], eps) - at;
    const bool held =
        penalty.kind == Penalty::Kind::tv && step == 0 && penalty.feasible(s[j]) != s[j];
    if (!(b > 0) || !std::isfinite(s[j]) || held) return;
    const double q = b * std::exp((at - s[j]) / eps);
    curvature[j] = penalty.kind == Penalty::Kind::kl ? q * (1 + eps / penalty.strength) : q;
    residual[j] = curvature[j] * step;
  }
};

/// Products of x with kColumns columns of the basis from `first` on.
template <class T>
struct BasisDotsArgs {
  static constexpr int kColumns = 16;
  using Result = Sums<kColumns>;
  const T* basis;
  int columns, first;
  const double* x;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    Result out;
    const T* const row = basis + j * columns;
    for (int c = 0; c < kColumns && first + c < columns; ++c) out.value[c] = row[first + c] * x[j];
    return out;
  }
};

/// out += basis times coefficients, kept feasible.
template <class T>
struct AddBasisArgs {
  const T* basis;
  int columns;
  double coefficient[kCoarseColumns];
  Penalty penalty;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const T* const row = basis + j * columns;
    double sum = 0;
    for (int c = 0; c < columns; ++c) sum += coefficient[c] * row[c];
    const double moved = penalty.feasible(out[j] + sum);
    if (std::isfinite(moved)) out[j] = moved;
  }
};
}  // namespace monge::kernels

#define MONGE_COARSE_EACH_BODIES(X) \
  X(StepResidualArgs<float>)        \
  X(StepResidualArgs<double>)       \
  X(AddBasisArgs<float>)            \
  X(AddBasisArgs<double>)
#define MONGE_COARSE_SUM_BODIES(X) X(BasisDotsArgs<float>) X(BasisDotsArgs<double>)
