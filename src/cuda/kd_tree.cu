// The tree level by level, each by one sort of all points: by their node, and in it by their rank
// along the node's longest side. Ranks, made once for each coordinate, are whole and unlike.
#include "kernels/kd_tree.hpp"

#include <cub/device/device_radix_sort.cuh>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "cuda/current.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kPoints = 256;

template <class T>
struct Coordinates {
  static constexpr int kThreads = kPoints;
  MatrixView<const T> points;
  int axis;
  T* keys;
  std::int32_t* index;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i >= points.rows) return;
    keys[i] = points(i, axis) + T(0);  // -0 is 0
    index[i] = static_cast<std::int32_t>(i);
  }
};

struct Ranks {
  static constexpr int kThreads = kPoints;
  const std::int32_t* sorted;
  std::int64_t n;
  std::int32_t* rank;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i < n) rank[sorted[i]] = static_cast<std::int32_t>(i);
  }
};

/// Least and largest ranks of nodes, [nodes, kTreeDimension, 2], the least as n - 1 - rank.
struct Extents {
  static constexpr int kThreads = kPoints;
  const std::int32_t *order, *rank;  // rank [dim, n]
  std::int64_t n, size;
  int dim;
  std::int32_t* extents;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t p = std::int64_t{at.x} * kThreads + threadIdx.x;
    const int width = static_cast<int>(size < 32 ? size : 32);  // lanes of one node
    for (int k = 0; k < dim; ++k) {
      std::int32_t high = -1, low = -1;
      if (p < n) {
        high = rank[k * n + order[p]];
        low = static_cast<std::int32_t>(n - 1) - high;
      }
      for (int step = width / 2; step > 0; step /= 2) {
        high = max(high, __shfl_xor_sync(~0u, high, step));
        low = max(low, __shfl_xor_sync(~0u, low, step));
      }
      if (p >= n || threadIdx.x % width != 0) continue;
      std::int32_t* const to = extents + (p / size * kTreeDimension + k) * 2;
      atomicMax(to, low);
      atomicMax(to + 1, high);
    }
  }
};

template <class T>
struct Keys {
  static constexpr int kThreads = kPoints;
  const std::int32_t *order, *rank;
  const T* sorted;  // [dim, n] coordinates
  std::int64_t n, size;
  int dim, rank_bits;
  const std::int32_t* extents;  // null: by index
  unsigned long long* keys;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t p = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (p >= n) return;
    const std::int64_t node = p / size;
    std::int32_t within = order[p];
    if (extents) {
      int axis = 0;
      double longest = -1;
      for (int k = 0; k < dim; ++k) {
        const std::int32_t* const at = extents + (node * kTreeDimension + k) * 2;
        const double side = static_cast<double>(sorted[k * n + at[1]]) -
                            static_cast<double>(sorted[k * n + n - 1 - at[0]]);
        if (side > longest) longest = side, axis = k;
      }
      within = rank[axis * n + within];
    }
    keys[p] = static_cast<unsigned long long>(node) << rank_bits | static_cast<unsigned>(within);
  }
};

/// Parts of one piece of scratch.
class Parts {
 public:
  explicit Parts(std::byte* at = nullptr) : at_(at) {}
  template <class U>
  U* take(std::int64_t count) {
    auto* const out = reinterpret_cast<U*>(at_ + used_);
    used_ += (count * static_cast<std::int64_t>(sizeof(U)) + 255) / 256 * 256;
    return out;
  }
  std::int64_t used() const { return used_; }

 private:
  std::byte* at_;
  std::int64_t used_ = 0;
};

template <class T>
struct Memory {
  std::int32_t *rank, *extents, *order[2];
  T *sorted, *coordinates;
  unsigned long long* keys[2];
  std::byte* sort;

  Memory(Parts& parts, std::int64_t n, int dim, std::int64_t nodes, std::int64_t sort_bytes)
      : rank(parts.take<std::int32_t>(dim * n)),
        extents(parts.take<std::int32_t>(nodes * kTreeDimension * 2)),
        order{parts.take<std::int32_t>(n), parts.take<std::int32_t>(n)},
        sorted(parts.take<T>(dim * n)),
        coordinates(parts.take<T>(n)),
        keys{parts.take<unsigned long long>(n), parts.take<unsigned long long>(n)},
        sort(parts.take<std::byte>(sort_bytes)) {}
};
}  // namespace

template <class T>
void order(const OrderArgs<T>& args, Exec& exec) {
  const std::int64_t n = args.points.rows;
  if (n == 0) return;
  const Current current(exec);
  const int dim = static_cast<int>(args.points.cols);
  const int rank_bits = std::bit_width(static_cast<std::uint64_t>(n - 1));
  const auto whole = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(n)));
  const std::int64_t nodes = (n + args.finest - 1) / args.finest,
                     blocks = (n + kPoints - 1) / kPoints;
  using Key = unsigned long long;
  std::size_t by_value = 0, by_key = 0;
  check(cub::DeviceRadixSort::SortPairs(
            nullptr, by_value, static_cast<const T*>(nullptr), static_cast<T*>(nullptr),
            static_cast<const std::int32_t*>(nullptr), static_cast<std::int32_t*>(nullptr), n),
        "sort");
  check(cub::DeviceRadixSort::SortPairs(
            nullptr, by_key, static_cast<const Key*>(nullptr), static_cast<Key*>(nullptr),
            static_cast<const std::int32_t*>(nullptr), static_cast<std::int32_t*>(nullptr), n),
        "sort");
  const auto sort_bytes = static_cast<std::int64_t>(std::max(by_value, by_key));
  Parts sizes;
  Memory<T>(sizes, n, dim, nodes, sort_bytes);
  const Scratch scratch(exec, sizes.used());
  Parts parts(scratch.data());
  Memory<T> memory(parts, n, dim, nodes, sort_bytes);
  for (int k = 0; k < dim; ++k) {
    launch(Coordinates<T>{args.points, k, memory.coordinates, memory.order[0]}, blocks, exec);
    check(cub::DeviceRadixSort::SortPairs(memory.sort, by_value, memory.coordinates,
                                          memory.sorted + k * n, memory.order[0], memory.order[1],
                                          n, 0, static_cast<int>(8 * sizeof(T)), stream_of(exec)),
          "sort");
    launch(Ranks{memory.order[1], n, memory.rank + k * n}, blocks, exec);
  }
  std::int32_t *at = memory.order[0], *to = memory.order[1];  // in the points' own order
  const auto sort = [&](std::int64_t size, const std::int32_t* extents) {
    launch(
        Keys<T>{at, memory.rank, memory.sorted, n, size, dim, rank_bits, extents, memory.keys[0]},
        blocks, exec);
    const int bits = rank_bits + std::bit_width(static_cast<std::uint64_t>((n - 1) / size));
    check(cub::DeviceRadixSort::SortPairs(memory.sort, by_key, memory.keys[0], memory.keys[1], at,
                                          to, n, 0, std::max(1, bits), stream_of(exec)),
          "sort");
    std::swap(at, to);
  };
  for (std::int64_t size = whole; size > args.finest; size /= 2) {
    check(cudaMemsetAsync(memory.extents, 0xff,
                          (n + size - 1) / size * kTreeDimension * 2 * sizeof(std::int32_t),
                          stream_of(exec)),
          "kd-tree");
    launch(Extents{at, memory.rank, n, size, dim, memory.extents}, blocks, exec);
    sort(size, memory.extents);
  }
  sort(args.finest, nullptr);
  check(cudaMemcpyAsync(args.order, at, n * sizeof(std::int32_t), cudaMemcpyDeviceToDevice,
                        stream_of(exec)),
        "kd-tree");
}
template void order(const OrderArgs<float>&, Exec&);
template void order(const OrderArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
