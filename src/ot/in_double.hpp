// A problem of float in double, as what a solve goes on with where float is at its floor.
#pragma once
#include "monge/core/exec.hpp"
#include "monge/ot/problem.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge {
class InDouble {
 public:
  /// Whether it is one of points or a lattice, without bounds or a fixed mass, as the rest asks.
  static bool knows(const Problem<float>& problem);
  InDouble(const Problem<float>& problem, Exec& exec);
  const Problem<double>& problem() const { return problem_; }

 private:
  Geometry<double> geometry_of(const Problem<float>& problem, Exec& exec);

  Buffer<double> x_, y_, a_, b_;
  Problem<double> problem_;
};

/// What double found, as a result of float with the rest of its potentials.
SinkhornResult<float> rounded_to_float(SinkhornResult<double>&& exact, Exec& exec);
}  // namespace monge
