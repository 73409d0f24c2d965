// Nodes of a tree as points, which coarse levels of a solve take for their cloud.
#pragma once
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/host_device.hpp"
#include "kernels/kd_tree.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
/// A run of points in the order of a tree: centre of mass, box and mass.
struct Cell {
  double at[kTreeDimension], low[kTreeDimension], high[kTreeDimension], mass;
};

/// Single points.
template <class T>
struct PointCellArgs {
  MatrixView<const T> points;
  VectorView<const T> weights;
  const std::int32_t* order;  // place i holds point order[i]
  Cell* cells;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int32_t from = order[i];
    Cell cell{};
    for (int k = 0; k < static_cast<int>(points.cols); ++k)
      cell.at[k] = cell.low[k] = cell.high[k] = points(from, k);
    cell.mass = weights[from];
    cells[i] = cell;
  }
};

/// `times` cells to one.
struct CoarserArgs {
  const Cell* cells;
  std::int64_t count, times;
  Cell* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t c) const {
    const std::int64_t first = c * times, left = count - first, size = left < times ? left : times;
    Cell cell = cells[first];
    for (std::int64_t i = 1; i < size; ++i) cell.mass += cells[first + i].mass;
    for (int k = 0; k < kTreeDimension; ++k) {
      cell.at[k] = 0;
      for (std::int64_t i = 0; i < size; ++i) {
        const Cell& part = cells[first + i];
        cell.at[k] +=
            part.at[k] * (cell.mass > 0 ? part.mass / cell.mass : 1 / static_cast<double>(size));
        if (part.low[k] < cell.low[k]) cell.low[k] = part.low[k];
        if (part.high[k] > cell.high[k]) cell.high[k] = part.high[k];
      }
    }
    out[c] = cell;
  }
};

/// The longest edge of each.
struct EdgeArgs {
  using Result = Sums<1>;
  const Cell* cells;

  MONGE_HOST_DEVICE Result operator()(std::int64_t c) const {
    double edge = 0;
    for (int k = 0; k < kTreeDimension; ++k) {
      const double side = cells[c].high[k] - cells[c].low[k];
      if (side > edge) edge = side;
    }
    return {{edge}};
  }
};

template <class T>
struct CellCloudArgs {
  const Cell* cells;
  int dim;
  T *points, *weights;  // [count, dim], [count]

  MONGE_HOST_DEVICE void operator()(std::int64_t c) const {
    for (int k = 0; k < dim; ++k) points[c * dim + k] = static_cast<T>(cells[c].at[k]);
    weights[c] = static_cast<T>(cells[c].mass);
  }
};

/// What points take from their cells, of which each has `times`.
template <class T>
struct OfCellArgs {
  const T* of_cell;
  std::int64_t times;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { out[i] = of_cell[i / times]; }
};

#define MONGE_CELL_EACH_BODIES(X)                                                             \
  X(PointCellArgs<float>)                                                                     \
  X(PointCellArgs<double>)                                                                    \
  X(CellCloudArgs<float>) X(CellCloudArgs<double>) X(OfCellArgs<float>) X(OfCellArgs<double>) \
      X(CoarserArgs)
#define MONGE_CELL_SUM_BODIES(X) X(EdgeArgs)
}  // namespace monge::kernels
