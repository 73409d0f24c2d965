// K [df; dg] = [p; q] by its Schur complement on one side,
//   S = D2 - P^T D1^-1 P,   scaled by its exact diagonal: t = diag^1/2 z.
// Where K is singular, constants are projected out of right-hand side, products and iterate.
#pragma once
#include "ot/derivatives/linear.hpp"

namespace monge {
/// z [unknown, count] = S^-1 right, from a guess where that is not empty; 0 where the potential
/// does not move.
template <class T>
Buffer<double> solve_schur(const Linear<T>& linear, Side unknown, const Buffer<double>& right,
                           const Buffer<double>& guess, std::int64_t count,
                           const SolveOptions& options, DerivativeReport& report, Exec& exec);
}  // namespace monge
