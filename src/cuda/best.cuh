// The largest weights of a row so far, kept by one warp: a sorted list, and a queue of candidates
// that is sorted and merged into it whenever it is full. Both hold `size` entries, a power of 2.
#pragma once
#include <cstdint>

#include "cuda/tile.cuh"

namespace monge::cuda::verbs {
inline constexpr std::uint32_t kNoColumn = ~0u;

/// Larger weights first, then lower columns; an empty entry is (0, kNoColumn).
template <class T>
__device__ bool before(T weight, std::uint32_t column, T other, std::uint32_t other_column) {
  return weight > other || (weight == other && column < other_column);
}

/// A list or a queue.
template <class T>
struct Entries {
  T* weights;
  std::uint32_t* columns;

  __device__ void clear(int from, int to) const {
    for (int at = from + static_cast<int>(threadIdx.x % 32); at < to; at += 32)
      weights[at] = 0, columns[at] = kNoColumn;
    __syncwarp();
  }
  /// One step of a bitonic sort: entries `distance` apart are put in order.
  __device__ void exchange(int size, int distance, int run) const {
    for (int pair = threadIdx.x % 32; pair < size / 2; pair += 32) {
      const int low = 2 * pair - (pair & (distance - 1)), high = low + distance;
      const bool falling = (low & run) == 0;
      const T a = weights[low], b = weights[high];
      const std::uint32_t ca = columns[low], cb = columns[high];
      if (before(b, cb, a, ca) != falling) continue;
      if (a == b && ca == cb) continue;  // two empty ones
      weights[low] = b, weights[high] = a;
      columns[low] = cb, columns[high] = ca;
    }
    __syncwarp();
  }
  __device__ void sort(int size) const {
    for (int run = 2; run <= size; run *= 2)
      for (int distance = run / 2; distance > 0; distance /= 2) exchange(size, distance, run);
  }
};

/// Lists of `size` entries, a power of 2 and at least k, of every part and row:
/// weights[(part * rows + row) * size ..], and the sums of weights.
template <class T>
struct BestArgs {
  T* weights;
  std::uint32_t* columns;
  double* sums;      // [parts, rows]; null: not wanted
  T* queue_weights;  // [rows, size]; null: in shared memory
  std::uint32_t* queue_columns;
  std::int64_t rows;  // of the slice, whole row blocks
  int size, k;
};

/// The larger half of two sorted arrays to `list`, sorted.
template <class T>
__device__ void merge(const Entries<T>& list, const Entries<T>& other, int size) {
  for (int at = threadIdx.x % 32; at < size; at += 32) {
    const int opposite = size - 1 - at;
    const T weight = other.weights[opposite];
    const std::uint32_t column = other.columns[opposite];
    if (before(weight, column, list.weights[at], list.columns[at]))
      list.weights[at] = weight, list.columns[at] = column;
  }
  __syncwarp();
  for (int distance = size / 2; distance > 0; distance /= 2)
    list.exchange(size, distance, 2 * size);
}

/// Sorts the first `waiting` entries of the queue into the list. Rare, and not inlined as it is
/// long.
template <class T>
__device__ __noinline__ void absorb(Entries<T> list, Entries<T> queue, int waiting, int size) {
  __syncwarp();
  queue.clear(waiting, size);
  queue.sort(size);
  merge(list, queue, size);
}
}  // namespace monge::cuda::verbs
