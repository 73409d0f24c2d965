// First derivatives of the value by the envelope theorem at the returned pair: no tape, error
// O(residual). Formulas: docs/formulas.md, "Gradients".
#pragma once
#include "monge/ot/plan.hpp"

namespace monge {
template <class T>
struct Gradient {
  Buffer<T> dx, dy;  ///< [n, d], [m, d]; empty on a CostMatrix, whose derivative in C is the plan
  Buffer<T> da, db;  ///< [n], [m]; with two Balanced sides defined up to (c, -c)
  double depsilon = 0;            ///< KL(P | a b^T)
  double drho_a = 0, drho_b = 0;  ///< KL(p | a) of a KL side, |p - a|_1 of a TV side, else 0
};

/// Gradient of Plan::value in points, weights, epsilon and strengths, the total mass being fixed
/// where there is one; two passes on tensor cores, else five. Finite at zero weights too. A TV side
/// is differentiable away from potentials that just reach its bounds.
template <class T>
Gradient<T> gradient(const Plan<T>& plan, Exec& exec);
}  // namespace monge
