#include "kernels/kd_tree.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
namespace {
template <class T>
struct Point {
  T at[kTreeDimension];
  std::int32_t index;
};

template <class T>
int longest_side(const Point<T>* points, std::int64_t count, int dim) {
  int axis = 0;
  double longest = -1;
  for (int k = 0; k < dim; ++k) {
    const auto [low, high] = std::minmax_element(
        points, points + count,
        [&](const Point<T>& a, const Point<T>& b) { return a.at[k] < b.at[k]; });
    const double side = static_cast<double>(high->at[k]) - low->at[k];
    if (side > longest) longest = side, axis = k;
  }
  return axis;
}
}  // namespace

// Level by level, as the nodes of a level are independent.
template <class T>
void order(const OrderArgs<T>& args, Exec& exec) {
  const std::int64_t n = args.points.rows;
  const int dim = static_cast<int>(args.points.cols);
  std::vector<Point<T>> points(n);
  for (std::int64_t i = 0; i < n; ++i) {
    for (int k = 0; k < dim; ++k) points[i].at[k] = args.points(i, k);
    points[i].index = static_cast<std::int32_t>(i);
  }
  for (auto size = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(n)));
       size > args.finest; size /= 2)
    monge::cpu::parallel_for((n + size - 1) / size, exec, [&](std::int64_t node, int) {
      Point<T>* const first = points.data() + node * size;
      const std::int64_t count = std::min(size, n - node * size);
      if (count <= size / 2) return;
      const int axis = longest_side(first, count, dim);
      std::nth_element(
          first, first + size / 2, first + count, [&](const Point<T>& a, const Point<T>& b) {
            return a.at[axis] < b.at[axis] || (a.at[axis] == b.at[axis] && a.index < b.index);
          });
    });
  for (std::int64_t i = 0; i < n; ++i) args.order[i] = points[i].index;
  for (std::int64_t i = 0; i < n; i += args.finest)
    std::sort(args.order + i, args.order + std::min(n, i + args.finest));
}
template void order(const OrderArgs<float>&, Exec&);
template void order(const OrderArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
