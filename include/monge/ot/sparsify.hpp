// Sparse plans by what they keep. Each rule comes down to a threshold, so that the entries kept do
// not depend on tiles or on the order in which they are found: ties at the threshold all stay.
#pragma once
#include <variant>

#include "monge/ot/plan.hpp"

namespace monge {
struct KeepMass {  ///< the fewest of the largest entries that carry this share of the mass
  double share = 0.99;
};
struct KeepPercentile {  ///< what is at least this percentile of all n m entries
  double percentile = 99;
};
struct KeepRows {};  ///< what is at least the least of the rows' largest entries: no row is lost
using Keep = std::variant<KeepMass, KeepPercentile, KeepRows>;

template <class T>
struct SparsePart {
  SparsePlan<T> plan;
  double threshold = 0;  ///< P_ij >= threshold are kept
  double share = 0;      ///< of the plan's mass, that is kept
};

/// KeepRows in three passes, the others in a dozen or so; what is kept is sorted on the host.
/// Throws InvalidArgument for a share outside (0, 1], a percentile outside [0, 100), a plan without
/// mass, and where more than `limit` entries would be kept.
template <class T>
SparsePart<T> sparsify(const Plan<T>& plan, const Keep& keep, Exec& exec,
                       std::int64_t limit = Plan<T>::kDenseLimit);
}  // namespace monge
