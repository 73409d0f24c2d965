#include "ot/tree.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/kd_tree.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
using kernels::kLeaf;
using kernels::kTreeDimension;
using kernels::NodeBox;

// Nodes finer than a leaf, which coarse levels of a solve take for points.
constexpr std::int64_t kFinest = 8;
}  // namespace

template <class T>
Tree<T>::Tree(MatrixView<const T> points, VectorView<const T> weights, Exec& exec, bool ordered)
    : points_(points) {
  const std::int64_t n = points.rows;
  const int dim = static_cast<int>(points.cols);
  const auto values = on_host(points, exec);
  const auto weight = on_host(weights, exec);
  const MatrixView<const T> x(values.data(), n, points.cols);

  Buffer<std::int32_t> order(kernels::padded(n));
  std::iota(order.begin(), order.end(), 0);
  if (!ordered) {
    Exec host;
    host.threads = exec.threads;
    host.stop = exec.stop;
    kernels::order<T>({x, kFinest, order.data()}, host);
  }
  rank_ = Buffer<std::int32_t>(n);
  for (std::int64_t i = 0; i < n; ++i) rank_[order[i]] = static_cast<std::int32_t>(i);

  std::int64_t count = (n + kLeaf - 1) / kLeaf;
  for (nodes_.levels = 1; count > 1 || nodes_.levels <= kernels::kBlockLevel; ++nodes_.levels) {
    nodes_.first[nodes_.levels] = nodes_.first[nodes_.levels - 1] + count;
    count = (count + 1) / 2;
  }
  const std::int64_t all = nodes_.first[nodes_.levels] = nodes_.first[nodes_.levels - 1] + 1;
  boxes_ = Buffer<NodeBox>(all);
  mass_ = Buffer<double>(all, 0.0);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (NodeBox& box : boxes_)
    for (int k = 0; k < kTreeDimension; ++k) {
      box.low[k] = k < dim ? kInfinity : 0;
      box.high[k] = k < dim ? -kInfinity : 0;
    }
  for (std::int64_t i = 0; i < n; ++i) {
    NodeBox& box = boxes_[i / kLeaf];
    for (int k = 0; k < dim; ++k) {
      const double value = x(order[i], k);
      box.low[k] = std::min(box.low[k], value);
      box.high[k] = std::max(box.high[k], value);
    }
    mass_[i / kLeaf] += weight[order[i]];
  }
  for (int level = 1; level < nodes_.levels; ++level)
    for (std::int64_t child = 0; child < nodes_.count(level - 1); ++child) {
      const std::int64_t from = nodes_.first[level - 1] + child,
                         to = nodes_.first[level] + child / 2;
      for (int k = 0; k < kTreeDimension; ++k) {
        boxes_[to].low[k] = std::min(boxes_[to].low[k], boxes_[from].low[k]);
        boxes_[to].high[k] = std::max(boxes_[to].high[k], boxes_[from].high[k]);
      }
      mass_[to] += mass_[from];
    }
  order_ = std::move(order).to(exec.device, exec.stream);
  if (exec.device.is_cuda()) device_boxes_ = boxes_.to(exec.device, exec.stream);
}

template <class T>
kernels::Nodes Tree<T>::nodes() const {
  kernels::Nodes out = nodes_;
  out.boxes = boxes_.data();
  out.mass = mass_.data();
  return out;
}

template <class T>
Buffer<kernels::Plane> Tree<T>::planes(const T* potential, Exec& exec) const {
  const NodeBox* const boxes = exec.device.is_cuda() ? device_boxes_.data() : boxes_.data();
  Buffer<kernels::Plane> out(boxes_.size(), exec.device);
  kernels::each(kernels::LeafPlaneArgs<T>{points_, order_.data(), boxes, potential, out.data()},
                nodes_.count(0), exec);
  for (int level = 1; level < nodes_.levels; ++level) {
    const std::int64_t below = nodes_.first[level - 1], here = nodes_.first[level];
    kernels::each(kernels::ParentPlaneArgs{boxes + here, boxes + below, out.data() + below,
                                           nodes_.count(level - 1), out.data() + here},
                  nodes_.count(level), exec);
  }
  return std::move(out).to(Device{}, exec.stream);
}

template class Tree<float>;
template class Tree<double>;
}  // namespace monge
