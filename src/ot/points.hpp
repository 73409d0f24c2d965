// The points of a side, one by one.
#pragma once
#include <variant>

#include "monge/core/error.hpp"
#include "monge/ot/plan.hpp"  // Side
#include "ot/lattice.hpp"

namespace monge {
/// A view, or those of a grid, owned.
template <class T>
struct Points {
  Buffer<T> owned;
  MatrixView<const T> view;

  Points(const Geometry<T>& geometry, Side side, Exec& exec) {
    const bool source = side == Side::source;
    if (const auto* cloud = std::get_if<PointCloud<T>>(&geometry)) {
      view = source ? cloud->x : cloud->y;
    } else if (const auto* lattice = std::get_if<Lattice<T>>(&geometry)) {
      const Grid& grid = source ? lattice->source : lattice->target;
      owned = grid_points<T>(grid, exec);
      view = {owned.data(), grid.size(), grid.dim, grid.dim, 1, exec.device};
    } else {
      throw NotAvailable("[plan] a CostMatrix has no points: give the values to average");
    }
  }
};
}  // namespace monge
