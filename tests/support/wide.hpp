// Biases and potentials in double, as sweeps of softmin take them whatever the type of the points.
#pragma once
#include <vector>

namespace monge::testing {
template <class Values>
std::vector<double> wide(const Values& values) {
  return {values.begin(), values.end()};
}
}  // namespace monge::testing
