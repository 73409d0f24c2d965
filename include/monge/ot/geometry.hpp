// Where the costs come from. Views only: the caller owns the arrays and monge never changes them.
#pragma once
#include <cstdint>
#include <variant>

#include "monge/core/view.hpp"
#include "monge/ot/cost.hpp"

namespace monge {
/// Costs computed on the fly from two clouds, any d >= 1.
template <class T>
struct PointCloud {
  MatrixView<const T> x;  ///< [n, d] source points
  MatrixView<const T> y;  ///< [m, d] target points
  Cost cost = SquaredEuclidean{};
};

/// Any [n, m] matrix; +infinity forbids a pair. One of its strides must be 1.
template <class T>
struct CostMatrix {
  MatrixView<const T> values;
};

template <class T>
using Geometry = std::variant<PointCloud<T>, CostMatrix<T>>;
}  // namespace monge
