// Joins the lists by sorting: keys of what rows say and what columns say, of equal keys the row's
// first.
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "cuda/current.cuh"
#include "cuda/launch.cuh"
#include "kernels/support.hpp"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kJoinThreads = 256;
using Key = unsigned long long;

/// Bits that count up to n - 1.
int bits_of(std::int64_t n) {
  int bits = 0;
  while (std::int64_t{1} << bits < n) ++bits;
  return bits;
}

/// Row and column of entry e, first of the rows' lists, then of the columns', which have swapped
/// them.
struct Said {
  SparseJoinArgs::Listed rows, columns;
  int column_bits, bits;  // of a column, and of a key; what is no entry has one more

  __device__ double cost(std::int64_t e) const {
    const std::int64_t first = rows.rows * rows.k;
    return e < first ? rows.costs[e] : columns.costs[e - first];
  }
  __device__ Key key(std::int64_t e) const {
    const std::int64_t first = rows.rows * rows.k;
    const bool of_row = e < first;
    const auto& list = of_row ? rows : columns;
    if (!of_row) e -= first;
    const std::int64_t partner = list.columns[e], own = e / list.k;
    if (partner < 0 || !isfinite(list.costs[e])) return Key{1} << bits;
    return static_cast<Key>(of_row ? own : partner) << column_bits |
           static_cast<Key>(of_row ? partner : own);
  }
};

template <class Body>
__global__ void for_each_kernel(const Body body, std::int64_t n) {
  const std::int64_t e = std::int64_t{blockIdx.x} * kJoinThreads + threadIdx.x;
  if (e < n) body(e);
}
template <class Body>
void for_each(std::int64_t n, cudaStream_t stream, const Body& body) {
  if (n == 0) return;
  const auto blocks = static_cast<unsigned>((n + kJoinThreads - 1) / kJoinThreads);
  for_each_kernel<<<blocks, kJoinThreads, 0, stream>>>(body, n);
  check_launch("sparse_join");
}

/// The first of n rising numbers that is not below `value`.
template <class Number>
__device__ std::int64_t lower_bound(const Number* from, std::int64_t n, Number value) {
  std::int64_t first = 0;
  while (n > 0) {
    const std::int64_t half = n / 2;
    if (from[first + half] < value) {
      first += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return first;
}

/// call(memory, bytes): first to say how many bytes it needs, then with them.
template <class Call>
void with_memory(Exec& exec, const Call& call) {
  std::size_t bytes = 0;
  check(call(nullptr, bytes), "sparse_join");
  const Scratch memory(exec, static_cast<std::int64_t>(bytes));
  check(call(memory.data(), bytes), "sparse_join");
}

/// Arrays cut from one piece of scratch.
class Cut {
 public:
  Cut(const Exec& exec, std::int64_t bytes) : memory_(exec, bytes), next_(memory_.data()) {}
  template <class T>
  T* take(std::int64_t count) {
    std::byte* const at = next_;
    next_ += (count * static_cast<std::int64_t>(sizeof(T)) + 15) / 16 * 16;
    return reinterpret_cast<T*>(at);
  }

 private:
  Scratch memory_;
  std::byte* next_;
};
}  // namespace

std::int64_t sparse_join(const SparseJoinArgs& a, Exec& exec) {
  const Current current(exec);
  const cudaStream_t stream = stream_of(exec);
  const std::int64_t n = a.of_rows.rows, m = a.of_columns.rows;
  const std::int64_t most = n * a.of_rows.k + m * a.of_columns.k;
  const int column_bits = bits_of(m), bits = bits_of(n) + column_bits;
  const Said said{a.of_rows, a.of_columns, column_bits, bits};

  Cut cut(exec, most * (2 * 8 + 6 * 4) + 8 * 16);
  Key* const keys = cut.take<Key>(most);
  Key* const sorted = cut.take<Key>(most);
  auto* const from = cut.take<std::uint32_t>(most);
  auto* const order = cut.take<std::uint32_t>(most);
  auto* const place = cut.take<std::uint32_t>(most);  // of entries before: the place of the next
  auto* const row_of = cut.take<std::uint32_t>(most);
  auto* const columns = cut.take<std::uint32_t>(most);
  auto* const turned = cut.take<std::uint32_t>(most);
  for_each(most, stream, [=] __device__(std::int64_t e) {
    keys[e] = said.key(e);
    from[e] = static_cast<std::uint32_t>(e);
  });
  const int size = static_cast<int>(most);
  with_memory(exec, [&](void* memory, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortPairs(memory, bytes, keys, sorted, from, order, size, 0,
                                           bits + 1, stream);
  });
  const auto is_first = [=] __device__(std::int64_t e) {
    return sorted[e] >> bits == 0 && (e == 0 || sorted[e] != sorted[e - 1]);
  };
  for_each(most, stream, [=] __device__(std::int64_t e) { place[e] = is_first(e); });
  with_memory(exec, [&](void* memory, std::size_t& bytes) {
    return cub::DeviceScan::InclusiveSum(memory, bytes, place, place, size, stream);
  });
  std::uint32_t entries = 0;
  if (most > 0)
    check(
        cudaMemcpyAsync(&entries, place + most - 1, sizeof entries, cudaMemcpyDeviceToHost, stream),
        "sparse_join");
  const Key column_mask = (Key{1} << column_bits) - 1;
  const auto rows = a.rows, cols = a.columns;
  for_each(most, stream, [=] __device__(std::int64_t e) {
    if (!is_first(e)) return;
    const std::uint32_t at = place[e] - 1;
    keys[at] = sorted[e];
    from[at] = at;
    row_of[at] = static_cast<std::uint32_t>(sorted[e] >> column_bits);
    columns[at] = static_cast<std::uint32_t>(sorted[e] & column_mask);
    rows.columns[at] = static_cast<std::int32_t>(columns[at]);
    rows.costs[at] = said.cost(order[e]);
  });
  wait(exec, "sparse_join");
  const std::int64_t count = entries;
  for_each(n + 1, stream, [=] __device__(std::int64_t i) {
    rows.offsets[i] = i == n ? count : lower_bound(keys, count, static_cast<Key>(i) << column_bits);
  });
  std::uint32_t* const by_column = place;  // no longer needed
  with_memory(exec, [&](void* memory, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortPairs(memory, bytes, columns, by_column, from, turned,
                                           static_cast<int>(count), 0, std::max(1, column_bits),
                                           stream);
  });
  for_each(count, stream, [=] __device__(std::int64_t e) {
    cols.columns[e] = static_cast<std::int32_t>(row_of[turned[e]]);
    cols.costs[e] = rows.costs[turned[e]];
  });
  for_each(m + 1, stream, [=] __device__(std::int64_t j) {
    cols.offsets[j] = j == m ? count : lower_bound(by_column, count, static_cast<std::uint32_t>(j));
  });
  return count;
}
}  // namespace monge::kernels::cuda
