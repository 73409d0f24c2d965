// order: points in the order of a kd-tree whose nodes are runs of adjacent points. A node of c > 1
// points is cut at half the least power of two >= c, across the longest side of its box: so the
// points [k 2^j, (k + 1) 2^j) are a node for every j and k, and blocks of rows and of columns are
// nodes. Points at the same coordinate are cut by their index, and within the finest nodes stand by
// it: the order is the same on every backend.
#pragma once
#include <cstdint>

#include "kernels/backend.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
inline constexpr int kTreeDimension = 3;  // at most

template <class T>
struct OrderArgs {
  MatrixView<const T> points;  // at most kTreeDimension columns, fewer than 2^31 rows
  std::int64_t finest;         // nodes of so many points, a power of 2, are not cut
  std::int32_t* order;         // [n]: place i holds point order[i]
};

namespace cpu {
template <class T>
void order(const OrderArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void order(const OrderArgs<T>&, Exec&);
}

template <class T>
void order(const OrderArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, order(args, exec));
}
}  // namespace monge::kernels
