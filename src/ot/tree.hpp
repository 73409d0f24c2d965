// A kd-tree over one cloud of at most three dimensions: an order of its points in which blocks of
// rows and of columns are nodes, with the box and the mass of every node.
#pragma once
#include <cstdint>

#include "kernels/bounds.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge {
template <class T>
class Tree {
 public:
  /// Of points that outlive it; all of it is where they are. `ordered`: they stand in the order of
  /// a tree already.
  Tree(MatrixView<const T> points, VectorView<const T> weights, Exec& exec, bool ordered = false);

  std::int64_t size() const { return points_.rows; }
  MatrixView<const T> points() const { return points_; }
  /// Place i holds point order()[i], [padded(size)]; the padding stays where it is.
  const std::int32_t* order() const { return order_.data(); }
  /// The way back, on the host: point i stands at place rank()[i].
  Buffer<std::int32_t> rank(Exec& exec) const;
  /// Boxes and masses of all nodes, without planes.
  kernels::Nodes nodes() const;
  /// Planes above a potential [n] in the order of the points.
  Buffer<kernels::Plane> planes(const T* potential, Exec& exec) const;

 private:
  MatrixView<const T> points_;
  Buffer<std::int32_t> order_;
  Buffer<kernels::NodeBox> boxes_;
  Buffer<double> mass_;
  kernels::Nodes nodes_;  // levels and where they start
};
}  // namespace monge
