// What a Problem read of its arrays, once, and everything behind it takes from there.
#pragma once
#include "kernels/inspect.hpp"

namespace monge {
struct Inspection {
  kernels::PointsReport x, y;  // with their weights; of a CostMatrix the weights alone
  kernels::MatrixReport costs;
};
}  // namespace monge
