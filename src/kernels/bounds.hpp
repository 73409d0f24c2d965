// What the pairs of two blocks of points can hold at most. Potentials are bounded by a plane over
// each node of a kd-tree, costs and boxes separate over the coordinates, and so
//
//   f_i + g_j - scale |x_i - y_j|^2 <= U_AB   for i in A, j in B
//
// has a closed form in which nothing is lost but the residuals of the planes. All in double,
// rounded up, without contraction: every backend computes the same bits.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/host_device.hpp"
#include "kernels/kd_tree.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
inline constexpr int kTreeLevels = 32;
// Leaves are finer than blocks of rows, which are nodes of level kBlockLevel: a plane and a box fit
// the better the fewer points there are.
inline constexpr int kBlockLevel = 2, kLeaf = kRowBlock >> kBlockLevel;

struct NodeBox {
  double low[kTreeDimension], high[kTreeDimension];  // dimensions that the points lack: 0

  MONGE_HOST_DEVICE double middle(int k) const { return (low[k] + high[k]) / 2; }
};

/// f_i <= top + sum_k slope_k (x_ik - middle_k) over the points of a node. +infinity and NaN bound
/// nothing, -infinity is a node that carries nothing.
struct Plane {
  double top, slope[kTreeDimension];
};

/// The nodes of a tree, level by level: level 0 are the leaves, of kLeaf points each; node k of
/// level l stands at first[l] + k and holds nodes 2k and, if there is one, 2k + 1 of level l - 1.
/// The root is of level kBlockLevel at least.
struct Nodes {
  const NodeBox* boxes = nullptr;
  const double* mass = nullptr;
  const Plane* planes = nullptr;
  int levels = 0;
  std::int64_t first[kTreeLevels + 1] = {};

  MONGE_HOST_DEVICE std::int64_t count(int level) const { return first[level + 1] - first[level]; }
};

/// The boxes of leaves and the mass of their points.
template <class T>
struct LeafBoxArgs {
  MatrixView<const T> points;
  VectorView<const T> weights;
  const std::int32_t* order;  // place i holds point order[i]
  NodeBox* boxes;
  double* mass;

  MONGE_HOST_DEVICE void operator()(std::int64_t leaf) const {
    const std::int64_t first = leaf * kLeaf, all = points.rows - first,
                       count = all < kLeaf ? all : std::int64_t{kLeaf};
    NodeBox box{};
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t at = order[first + i];
      for (int k = 0; k < static_cast<int>(points.cols); ++k) {
        const double value = points(at, k);
        if (i == 0 || value < box.low[k]) box.low[k] = value;
        if (i == 0 || value > box.high[k]) box.high[k] = value;
      }
      sum += weights[at];
    }
    boxes[leaf] = box;
    mass[leaf] = sum;
  }
};

/// The same of one level from the level below.
struct ParentBoxArgs {
  const NodeBox* child_boxes;
  const double* child_mass;
  std::int64_t child_count;
  NodeBox* boxes;
  double* mass;

  MONGE_HOST_DEVICE void operator()(std::int64_t node) const {
    NodeBox box = child_boxes[2 * node];
    double sum = child_mass[2 * node];
    if (const std::int64_t right = 2 * node + 1; right < child_count) {
      const NodeBox other = child_boxes[right];
      for (int k = 0; k < kTreeDimension; ++k) {
        box.low[k] = std::fmin(box.low[k], other.low[k]);
        box.high[k] = std::fmax(box.high[k], other.high[k]);
      }
      sum += child_mass[right];
    }
    boxes[node] = box;
    mass[node] = sum;
  }
};

inline constexpr double kPlaneUlp = 0x1p-53;

/// A least-squares plane over the points of each leaf, raised above all of them.
template <class T>
struct LeafPlaneArgs {
  MatrixView<const T> points;
  const std::int32_t* order;  // place i holds point order[i]
  const NodeBox* boxes;
  const T* potential;  // in the order of the points
  Plane* planes;

  MONGE_HOST_DEVICE void operator()(std::int64_t leaf) const {
    constexpr int D = kTreeDimension;
    const NodeBox box = boxes[leaf];
    const std::int64_t first = leaf * kLeaf, all = points.rows - first,
                       count = all < kLeaf ? all : std::int64_t{kLeaf};
    const int dim = static_cast<int>(points.cols);
    double width[D] = {1, 1, 1};  // half of it: lengths in units of the box
    for (int k = 0; k < dim; ++k)
      if (box.high[k] > box.low[k]) width[k] = (box.high[k] - box.low[k]) / 2;
    const auto coordinate = [&](std::int64_t i, int k) {
      return (points(order[first + i], k) - box.middle(k)) / width[k];
    };
    double number = 0, mean = 0, at[D] = {}, square[D][D] = {}, product[D] = {};
    for (std::int64_t i = 0; i < count; ++i) {
      const double f = potential[order[first + i]];
      if (!std::isfinite(f)) continue;
      number += 1;
      mean += f;
      for (int k = 0; k < dim; ++k) at[k] += coordinate(i, k);
    }
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    Plane plane{-kInfinity, {}};
    if (number > 0) {
      mean /= number;
      for (int k = 0; k < dim; ++k) at[k] /= number;
      for (std::int64_t i = 0; i < count; ++i) {
        const double f = potential[order[first + i]];
        if (!std::isfinite(f)) continue;
        for (int k = 0; k < dim; ++k) {
          const double x = coordinate(i, k) - at[k];
          product[k] += x * (f - mean);
          for (int l = 0; l <= k; ++l) square[k][l] += x * (coordinate(i, l) - at[l]);
        }
      }
      solve(square, product, number, dim, plane.slope);
    }
    // Whatever the slopes are, the top makes them a bound.
    for (int k = 0; k < dim; ++k) plane.slope[k] /= width[k];
    for (std::int64_t i = 0; i < count; ++i) {
      const double f = potential[order[first + i]];
      double rest = f, size = std::fabs(f);
      for (int k = 0; k < dim; ++k) {
        const double along = plane.slope[k] * (points(order[first + i], k) - box.middle(k));
        rest -= along;
        size += std::fabs(along);
      }
      rest += 16 * kPlaneUlp * size;
      if (f == -kInfinity) rest = f;
      if (!(rest <= plane.top)) plane.top = std::isnan(rest) ? kInfinity : rest;
    }
    planes[leaf] = plane;
  }

  /// By Cholesky; a side without extent gets no slope.
  MONGE_HOST_DEVICE static void solve(double (&m)[kTreeDimension][kTreeDimension],
                                      double (&v)[kTreeDimension], double number, int dim,
                                      double* out) {
    for (int k = 0; k < dim; ++k) {
      m[k][k] += 1e-9 * number;
      for (int l = 0; l <= k; ++l) {
        for (int q = 0; q < l; ++q) m[k][l] -= m[k][q] * m[l][q];
        m[k][l] = l < k ? m[k][l] / m[l][l] : std::sqrt(m[k][k]);
      }
      for (int q = 0; q < k; ++q) v[k] -= m[k][q] * v[q];
      v[k] /= m[k][k];
    }
    for (int k = dim - 1; k >= 0; --k) {
      for (int q = k + 1; q < dim; ++q) v[k] -= m[q][k] * v[q];
      v[k] /= m[k][k];
      out[k] = v[k];
    }
  }
};

/// Planes of one level from those of the level below.
struct ParentPlaneArgs {
  const NodeBox *boxes, *child_boxes;
  const Plane* children;
  std::int64_t child_count;
  Plane* planes;

  MONGE_HOST_DEVICE void operator()(std::int64_t node) const {
    const std::int64_t left = 2 * node, right = left + 1 < child_count ? left + 1 : left;
    const NodeBox box = boxes[node];
    const Plane planes_below[] = {children[left], children[right]};
    Plane plane{-std::numeric_limits<double>::infinity(), {}};
    for (int k = 0; k < kTreeDimension; ++k)
      plane.slope[k] = (planes_below[0].slope[k] + planes_below[1].slope[k]) / 2;
    for (int c = 0; c < 2; ++c) {
      const Plane& below = planes_below[c];
      const NodeBox& child = child_boxes[c == 0 ? left : right];
      double top = below.top, size = std::fabs(below.top);
      for (int k = 0; k < kTreeDimension; ++k) {
        const double moved = plane.slope[k] * (child.middle(k) - box.middle(k));
        const double half = (child.high[k] - child.low[k]) / 2;
        const double tilt = std::fabs(below.slope[k] - plane.slope[k]) * half;
        top += tilt - moved;
        size += tilt + std::fabs(moved) +
                (std::fabs(below.slope[k]) + std::fabs(plane.slope[k])) * half;
      }
      if (std::isfinite(top)) top += 16 * kPlaneUlp * size;
      if (!(top <= plane.top)) plane.top = top;
    }
    planes[node] = plane;
  }
};

/// U_AB. The maximum over a coordinate is that of a concave quadratic which is linear along (1, 1):
/// it is reached where x or y is at an end.
MONGE_HOST_DEVICE inline double pair_bound(const NodeBox& a, const Plane& f, const NodeBox& b,
                                           const Plane& g, double scale) {
  double bound = f.top + g.top, size = std::fabs(f.top) + std::fabs(g.top);
  for (int k = 0; k < kTreeDimension; ++k) {
    const double t = f.slope[k], s = g.slope[k], x0 = a.middle(k), y0 = b.middle(k);
    const auto value = [&](double x, double y) {
      return t * (x - x0) + s * (y - y0) - scale * ((x - y) * (x - y));
    };
    const auto clip = [](double v, const NodeBox& box, int k) {
      return std::fmin(std::fmax(v, box.low[k]), box.high[k]);
    };
    const double along_y = s / (2 * scale), along_x = t / (2 * scale);
    const double best = std::fmax(std::fmax(value(a.low[k], clip(a.low[k] + along_y, b, k)),
                                            value(a.high[k], clip(a.high[k] + along_y, b, k))),
                                  std::fmax(value(clip(b.low[k] + along_x, a, k), b.low[k]),
                                            value(clip(b.high[k] + along_x, a, k), b.high[k])));
    bound += best;
    const double far = std::fmax(a.high[k] - b.low[k], b.high[k] - a.low[k]);
    size += std::fabs(t) * (a.high[k] - a.low[k]) + std::fabs(s) * (b.high[k] - b.low[k]) +
            scale * (far * far);
    // A clipped end is rounded, and the quadratic falls by the square of that.
    const double reach = std::fmax(std::fmax(std::fabs(a.low[k]), std::fabs(a.high[k])),
                                   std::fmax(std::fabs(b.low[k]), std::fabs(b.high[k])));
    size += scale * kPlaneUlp * (reach * reach);
  }
  return std::isfinite(bound) ? bound + 16 * kPlaneUlp * size : bound;
}
}  // namespace monge::kernels
