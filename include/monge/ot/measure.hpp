// A discrete measure: points with weights, of any positive mass.
#pragma once
#include "monge/core/view.hpp"

namespace monge {
template <class T>
struct Measure {
  MatrixView<const T> points;   ///< [n, d]
  VectorView<const T> weights;  ///< [n], >= 0; empty: uniform with sum 1
};
}  // namespace monge
