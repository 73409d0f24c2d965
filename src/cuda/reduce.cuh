// Sums over the entries of an array: blocks of kChunk entries, and these in order, so that a result
// depends on the length alone.
#pragma once
#include <cstdint>

#include "cuda/launch.cuh"

namespace monge::cuda {
// A chunk gives a thread two entries: an entry's exponentials in double take longer than joining
// more chunks.
inline constexpr int kReduceThreads = 256, kChunk = 2 * kReduceThreads;

inline std::int64_t chunk_count(std::int64_t n) { return n > 0 ? (n + kChunk - 1) / kChunk : 1; }

/// op over the values of a block's threads, in every thread. Needs kReduceThreads threads.
template <class T, class Op>
__device__ T reduce_block(T value, const Op& op) {
  __shared__ T values[kReduceThreads];
  __syncthreads();
  values[threadIdx.x] = value;
  for (int half = kReduceThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half)
      values[threadIdx.x] = op(values[threadIdx.x], values[threadIdx.x + half]);
  }
  __syncthreads();
  return values[0];
}
__device__ inline double sum_block(double value) {
  return reduce_block(value, [](double a, double b) { return a + b; });
}
/// Of several sums at a time, with the bits of each by itself.
template <int K>
__device__ void sum_block(double (&own)[K]) {
  __shared__ double values[K][kReduceThreads];
  __syncthreads();
#pragma unroll
  for (int k = 0; k < K; ++k) values[k][threadIdx.x] = own[k];
  for (int half = kReduceThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half)
#pragma unroll
      for (int k = 0; k < K; ++k) values[k][threadIdx.x] += values[k][threadIdx.x + half];
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < K; ++k) own[k] = values[k][0];
}
__device__ inline double max_block(double value) {
  return reduce_block(value, [](double a, double b) { return fmax(a, b); });
}
}  // namespace monge::cuda
