// A problem of float in double, as what a solve goes on with where float is at its floor.
#pragma once
#include "monge/core/exec.hpp"
#include "monge/ot/problem.hpp"

namespace monge {
/// `problem` is one of points or a lattice, and none of bounds or a fixed mass.
class InDouble {
 public:
  InDouble(const Problem<float>& problem, Exec& exec);
  const Problem<double>& problem() const { return problem_; }

 private:
  Geometry<double> geometry_of(const Problem<float>& problem, Exec& exec);

  Buffer<double> x_, y_, a_, b_;
  Problem<double> problem_;
};
}  // namespace monge
