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
  double epsilon;       // the largest at which it is worth something
  SinkhornPhase phase;  // what it took
};

/// The solution of a subsample, extended by one softmin to all points of `side`. `range` is that of
/// the costs. Throws NotAvailable for a cost matrix.
template <class T>
Initial<T> subsampled(const Problem<T>& problem, Side side, double range,
                      const SinkhornOptions& options, Exec& exec);
}  // namespace monge
