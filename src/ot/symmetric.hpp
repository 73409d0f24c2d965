// A measure against itself, the same marginal on both sides: the two potentials are one.
#pragma once
#include "ot/prepared.hpp"

namespace monge {
/// Iterates f <- (f + prox(softmin(f))) / 2 and returns g = f. Where exp(-C/eps) is positive
/// definite the error modes are (1 - tau kappa) / 2 with kappa in [0, 1]: the rate is at most 1/2
/// whatever epsilon is (docs/formulas.md, "Divergence"), so there is no annealing, translation or
/// relaxation. softmin(f) also measures the pair (f, f): one pass an iteration, and every one is
/// checked against the tolerance. Report and errors are those of sinkhorn(); the options are valid
/// and the problem is symmetric, by contract.
template <class T>
SinkhornResult<T> symmetric_sinkhorn(const Problem<T>& problem, const SinkhornOptions& options,
                                     Exec& exec, Prepared<T>* prepared = nullptr);
/// Goes on with mixed precision from what float reached, as sinkhorn() does.
SinkhornResult<double> symmetric_sinkhorn(const Problem<double>& problem,
                                          const SinkhornOptions& options, Exec& exec,
                                          const SinkhornResult<float>& begun);
}  // namespace monge
