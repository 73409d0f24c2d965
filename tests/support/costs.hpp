// Costs for tests that hold for every one of them.
#pragma once
#include <vector>

#include "monge/ot/cost.hpp"

namespace monge::testing {
/// Of every kind, powers below and above 2.
inline std::vector<Cost> every_cost() {
  return {SquaredEuclidean{},
          HalfSquaredEuclidean{},
          Euclidean{},
          Power{1.5},
          Power{3},
          Cosine{},
          Dot{}};
}
}  // namespace monge::testing
