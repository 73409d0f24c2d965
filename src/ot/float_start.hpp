// The start of a solve in double from one of a float copy: on a GPU a pass in float takes a
// twentieth of the time, so double is left with what float's rounding hides.
#pragma once
#include "monge/ot/sinkhorn.hpp"
#include "ot/operator.hpp"

namespace monge {
/// Whether a solve of `problem` from nothing is begun so: points on a GPU, many of them, and a
/// caller who leaves precision, annealing and acceleration to us. `op` is that of the problem.
bool begins_in_float(const Problem<double>& problem, const Operator<double>& op,
                     const SinkhornOptions& options);

/// Solves the copy to the tolerance, or as far as float can tell.
SinkhornResult<float> solve_in_float(const Problem<double>& problem, const Operator<double>& op,
                                     const SinkhornOptions& options, Exec& exec);
}  // namespace monge
