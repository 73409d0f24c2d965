#include "ot/tree.hpp"

#include "kernels/kd_tree.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
using kernels::kLeaf;
using kernels::NodeBox;

// Nodes finer than a leaf, which coarse levels of a solve take for points.
constexpr std::int64_t kFinest = 8;
}  // namespace

template <class T>
Tree<T>::Tree(MatrixView<const T> points, VectorView<const T> weights, Exec& exec, bool ordered)
    : points_(points), order_(kernels::padded(points.rows), exec.device) {
  const std::int64_t n = points.rows;
  kernels::each(kernels::CountUpArgs{order_.data()}, order_.size(), exec);
  if (!ordered) kernels::order<T>({points, kFinest, order_.data()}, exec);

  std::int64_t count = (n + kLeaf - 1) / kLeaf;
  for (nodes_.levels = 1; count > 1 || nodes_.levels <= kernels::kBlockLevel; ++nodes_.levels) {
    nodes_.first[nodes_.levels] = nodes_.first[nodes_.levels - 1] + count;
    count = (count + 1) / 2;
  }
  const std::int64_t all = nodes_.first[nodes_.levels] = nodes_.first[nodes_.levels - 1] + 1;
  boxes_ = Buffer<NodeBox>(all, exec.device);
  mass_ = Buffer<double>(all, exec.device);
  kernels::each(
      kernels::LeafBoxArgs<T>{points, weights, order_.data(), boxes_.data(), mass_.data()},
      nodes_.count(0), exec);
  for (int level = 1; level < nodes_.levels; ++level) {
    const std::int64_t below = nodes_.first[level - 1], here = nodes_.first[level];
    kernels::each(
        kernels::ParentBoxArgs{boxes_.data() + below, mass_.data() + below, nodes_.count(level - 1),
                               boxes_.data() + here, mass_.data() + here},
        nodes_.count(level), exec);
  }
}

template <class T>
Buffer<std::int32_t> Tree<T>::rank(Exec& exec) const {
  const auto order = order_.to(Device{}, exec.stream);
  Buffer<std::int32_t> out(size());
  for (std::int64_t i = 0; i < size(); ++i) out[order[i]] = static_cast<std::int32_t>(i);
  return out;
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
  Buffer<kernels::Plane> out(boxes_.size(), exec.device);
  kernels::each(
      kernels::LeafPlaneArgs<T>{points_, order_.data(), boxes_.data(), potential, out.data()},
      nodes_.count(0), exec);
  for (int level = 1; level < nodes_.levels; ++level) {
    const std::int64_t below = nodes_.first[level - 1], here = nodes_.first[level];
    kernels::each(
        kernels::ParentPlaneArgs{boxes_.data() + here, boxes_.data() + below, out.data() + below,
                                 nodes_.count(level - 1), out.data() + here},
        nodes_.count(level), exec);
  }
  return out;
}

template class Tree<float>;
template class Tree<double>;
}  // namespace monge
