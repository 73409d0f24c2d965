// Starts of a solve that has none: g (or f, of the side that follows), and the epsilon that it is
// for, from which annealing goes on.
#pragma once
#include <string>

#include "monge/ot/sinkhorn.hpp"
#include "ot/operator.hpp"

namespace monge {
template <class T>
struct Initial {
  Buffer<T> potential;  // of the wanted side
  Buffer<T> other;      // of the other, where both are
  double epsilon;       // the largest at which it is worth something
  SinkhornPhase phase;  // what it took
};

/// As options.initializer says, which is none of automatic and zero, for all points of `side`.
/// `op` is that of the problem, `range` that of its costs. Throws NotAvailable where it does not
/// know the problem. `both`: for a subsample, whose other side takes as long again to extend.
template <class T>
Initial<T> initial(const Problem<T>& problem, const Operator<T>& op, Side side, double range,
                   const SinkhornOptions& options, bool both, Exec& exec);
}  // namespace monge
