// Where the costs come from. Views only: the caller owns the arrays and monge never changes them.
#pragma once
#include <array>
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

/// The points of one side of a Lattice: those of index (i_0, ..., i_d-1), counted in C order, at
/// origin[k] + i_k spacing[k] along axis k.
struct Grid {
  int dim = 1;  ///< 1, 2 or 3 axes
  std::array<std::int64_t, 3> shape{1, 1, 1};
  std::array<double, 3> origin{}, spacing{1, 1, 1};  ///< spacing > 0

  std::int64_t size() const {
    std::int64_t out = 1;
    for (int k = 0; k < dim; ++k) out *= shape[k];
    return out;
  }
};

/// Costs between two grids, which may differ in all but their dimension. Squared costs are swept
/// one axis at a time, O(N^(1 + 1/d)) for N points; in one dimension any cost is allowed. Weights
/// are in C order; those that are 0 mask their points.
template <class T>
struct Lattice {
  Grid source, target;
  Cost cost = SquaredEuclidean{};
  /// Axes on which the cost is that of the shorter way round. The way round such an axis is shape
  /// times spacing, and must be the same for both grids, whatever their shapes and origins. Not for
  /// costs that are no distance.
  std::array<bool, 3> periodic{};
  Device device{};  ///< of the weights and of all results
};

template <class T>
using Geometry = std::variant<PointCloud<T>, CostMatrix<T>, Lattice<T>>;
}  // namespace monge
