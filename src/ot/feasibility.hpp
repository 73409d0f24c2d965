// Which plans forbidden pairs (cost +infinity) leave: whether the hard constraints can be met.
#pragma once
#include <optional>

#include "monge/core/view.hpp"

namespace monge {
/// What the two sides insist on; total_mass caps both.
struct HardMass {
  bool balanced_a = false, balanced_b = false;
  std::optional<double> total_mass;
  double tolerance = 0;  // relative
};

/// Throws InvalidArgument where a Balanced row or column of positive weight has no allowed
/// partner of positive weight, where a connected component of the allowed pairs has Balanced
/// masses that disagree (potentials would drift apart for ever), and where the components cannot
/// carry the total mass. O(n m).
template <class T>
void check_allowed_pairs(MatrixView<const T> cost, VectorView<const T> a, VectorView<const T> b,
                         const HardMass& hard);
}  // namespace monge
