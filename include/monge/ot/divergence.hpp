// The debiased Sinkhorn divergence
//   S(alpha, beta) = OT(alpha, beta) - OT(alpha, alpha)/2 - OT(beta, beta)/2 + eps/2 (m_a - m_b)^2
// (Feydy et al. 2019; Sejourne et al. 2019 for unbalanced sides).
#pragma once
#include <optional>

#include "monge/ot/geometry.hpp"
#include "monge/ot/measure.hpp"
#include "monge/ot/plan.hpp"  // Side
#include "monge/ot/sinkhorn.hpp"

namespace monge {
struct DivergenceOptions : SinkhornOptions {
  Cost cost = SquaredEuclidean{};
  /// The same pair acts in all three terms. Unequal ones: S(a, a) = 0 holds, positivity is not
  /// proven.
  Marginal marginal_a = Balanced{}, marginal_b = Balanced{};
  double mass_tolerance = 0;           ///< as ProblemOptions::mass_tolerance
  bool gradients = false;              ///< fill dx, dy, da, db,
  std::optional<Side> gradients_of{};  ///< or those of one measure alone
};

template <class T>
struct Divergence {
  double value = 0;
  SinkhornResult<T> ab, aa, bb;  ///< plan potentials: these make plans
  Buffer<T> potential_a,
      potential_b;           ///< debiased: f_ab - f_aa [n], g_ab - g_bb [m]; these make none
  Buffer<T> dx, dy, da, db;  ///< gradients of value, [n, d], [m, d], [n], [m]
  bool converged() const {
    return ab.report.converged && aa.report.converged && bb.report.converged;
  }
};

/// Throws as Problem and sinkhorn do.
template <class T>
Divergence<T> divergence(const Measure<T>& source, const Measure<T>& target,
                         const DivergenceOptions& options, Exec& exec);
/// The same between weights on the two grids of a lattice, [n] and [m] in C order. Throws
/// InvalidArgument also where the cost of the options is not that of the lattice.
template <class T>
Divergence<T> divergence(const Lattice<T>& lattice, VectorView<const T> a, VectorView<const T> b,
                         const DivergenceOptions& options, Exec& exec);
}  // namespace monge
