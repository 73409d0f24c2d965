// The self term of a divergence: a plan Q of a measure with itself, both copies of which move.
#pragma once
#include "ot/derivatives/directions.hpp"

namespace monge {
/// Both potentials of a symmetric plan along a tangent whose sides are the same, by
///   (D + Q) dp = rows of Q (dc - eps alpha_j + u deps) + eps r p drho / rho^2,
/// with the sums of the source for its points, if wanted.
template <class T>
Moves<T> solve_self_moves(const Linear<T>& linear, const Directions<T>& along, bool points,
                          const SolveOptions& options, DerivativeReport& report, Exec& exec);
}  // namespace monge
