// Sums over the entries of an array: blocks of kChunk entries, and these in order, so that a result
// depends on the length alone.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/launch.cuh"

namespace monge::cuda {
// A chunk gives a thread two entries: an entry's exponentials in double take longer than joining
// more chunks.
inline constexpr int kReduceThreads = 256, kChunk = 2 * kReduceThreads;

inline std::int64_t chunk_count(std::int64_t n) { return n > 0 ? (n + kChunk - 1) / kChunk : 1; }

inline constexpr int kReduceWarps = kReduceThreads / 32;

/// The value of the lane whose number differs in the bits of `mask`.
template <class T>
__device__ T from_lane(const T& value, int mask) {
  static_assert(sizeof(T) % sizeof(unsigned) == 0 && std::is_trivially_copyable_v<T>);
  unsigned words[sizeof(T) / sizeof(unsigned)];
  memcpy(words, &value, sizeof(T));
#pragma unroll
  for (unsigned& word : words) word = __shfl_xor_sync(0xffffffffU, word, mask);
  T out;
  memcpy(&out, words, sizeof(T));
  return out;
}

/// op, which commutes, over the values of a block's threads, in every thread. Needs kReduceThreads
/// threads.
template <class T, class Op>
__device__ T reduce_block(T value, const Op& op) {
  __shared__ T values[kReduceWarps];
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) value = op(value, from_lane(value, mask));
  __syncthreads();  // whoever read the last ones has done so
  if (threadIdx.x % 32 == 0) values[threadIdx.x / 32] = value;
  __syncthreads();
  value = values[0];
#pragma unroll
  for (int warp = 1; warp < kReduceWarps; ++warp) value = op(value, values[warp]);
  return value;
}
__device__ inline double sum_block(double value) {
  return reduce_block(value, [](double a, double b) { return a + b; });
}
__device__ inline double max_block(double value) {
  return reduce_block(value, [](double a, double b) { return fmax(a, b); });
}
}  // namespace monge::cuda
