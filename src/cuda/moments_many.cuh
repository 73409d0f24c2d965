// moments of values with many coordinates: a thread block takes one row and kSide x kSide of its
// second moments. A row's weights are few beside its d^2 / 2 sums, so each block computes them
// anew.
#pragma once
#include "cuda/sweep.cuh"
#include "kernels/moments.hpp"

namespace monge::cuda::verbs {
inline constexpr int kSide = 64;     // coordinates along a block of second moments
inline constexpr int kOffsets = 64;  // columns whose offsets are in shared memory at a time
inline constexpr int kStride = 68;   // of offsets: 16 bytes more, for the banks

template <class T>
struct MomentsManyArgs {
  Panels<T> values;
  const T* center;
  T *mass, *first, *second;
};

/// Offsets z - center of coordinates [k0, k0 + kSide), times the weights where there are some;
/// zeros outside.
template <class T>
__device__ void load_offsets(const Panels<T>& values, const T* center, std::int64_t j0, int k0,
                             const T* weights, T* to) {
  for (int u = threadIdx.x; u < kSide * kOffsets; u += kThreads) {
    const int t = u % kOffsets, k = u / kOffsets;
    const std::int64_t j = j0 + t;
    T offset = 0;
    if (j < values.count && k0 + k < values.dim)
      offset = coordinate(values, j, k0 + k) - center[k0 + k];
    to[k * kStride + t] = weights ? weights[t] * offset : offset;
  }
}

template <class T>
constexpr int moments_many_bytes() {
  return (kColumnBlock + 2 * kSide * kStride) * static_cast<int>(sizeof(T)) +
         kThreads * static_cast<int>(sizeof(double));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    moments_many_kernel(const SweepArgs<T> a, const MomentsManyArgs<T> args) {
  extern __shared__ __align__(16) unsigned char memory[];
  double* const masses = reinterpret_cast<double*>(memory);
  T* const w = reinterpret_cast<T*>(masses + kThreads);
  T *const u = w + kColumnBlock, *const wu = u + kSide * kStride;
  const auto& p = a.pairs;
  const int dim = args.values.dim;
  const std::int64_t i = a.first_block + blockIdx.x;
  // The blocks of the upper triangle in order of rows.
  const int sides = (dim + kSide - 1) / kSide;
  int from = 0, to = blockIdx.y;
  for (; to >= sides - from; ++from) to -= sides - from;
  to += from;

  const Exponential<T, false> exponential(a.eps, T(1));
  const T shift = a.shift[i], *const center = args.center + i * dim;
  const Columns columns(a, i / kRowBlock, 0);
  const int row = threadIdx.x % 16 * 4, column = threadIdx.x / 16 * 4;
  double mass = 0, first = 0, total[4][4] = {};
  std::int64_t last = columns.last;
  if (!isfinite(shift)) last = columns.first;
  for (std::int64_t entry = columns.first; entry < last; ++entry) {
    const std::int64_t j0 = columns.j0(entry), j = j0 + threadIdx.x;
    const T weight = j < p.m ? exponential((a.h[j] - pair_cost(p, i, j)) + shift) : T(0);
    w[threadIdx.x] = weight;
    mass += weight;
    T sum[4][4] = {}, first_sum = 0;
    for (int t0 = 0; t0 < kColumnBlock; t0 += kOffsets) {
      __syncthreads();
      load_offsets(args.values, center, j0 + t0, from * kSide, w + t0, wu);
      load_offsets(args.values, center, j0 + t0, to * kSide, static_cast<const T*>(nullptr), u);
      __syncthreads();
      if (threadIdx.x < kSide)
        for (int t = 0; t < kOffsets; ++t) first_sum += wu[threadIdx.x * kStride + t];
      for (int t = 0; t < kOffsets; t += 4) {
        T x[4][4], y[4][4];
#pragma unroll
        for (int s = 0; s < 4; ++s) load4(wu + (row + s) * kStride + t, x[s]);
#pragma unroll
        for (int s = 0; s < 4; ++s) load4(u + (column + s) * kStride + t, y[s]);
#pragma unroll
        for (int c = 0; c < 4; ++c)
#pragma unroll
          for (int k = 0; k < 4; ++k)
#pragma unroll
            for (int l = 0; l < 4; ++l) sum[k][l] = fma(x[k][c], y[l][c], sum[k][l]);
      }
    }
    first += first_sum;
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int l = 0; l < 4; ++l) total[k][l] += sum[k][l];
    __syncthreads();
  }

  T* const second = args.second + i * dim * dim;
#pragma unroll
  for (int k = 0; k < 4; ++k)
#pragma unroll
    for (int l = 0; l < 4; ++l) {
      const int kk = from * kSide + row + k, ll = to * kSide + column + l;
      if (kk > ll || ll >= dim) continue;
      second[std::int64_t{kk} * dim + ll] = second[std::int64_t{ll} * dim + kk] =
          static_cast<T>(total[k][l]);
    }
  if (from != to) return;
  if (threadIdx.x < kSide && from * kSide + threadIdx.x < dim)
    args.first[i * dim + from * kSide + threadIdx.x] = static_cast<T>(first);
  masses[threadIdx.x] = mass;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) masses[threadIdx.x] += masses[threadIdx.x + half];
  }
  if (from == 0 && threadIdx.x == 0) args.mass[i] = static_cast<T>(masses[0]);
}
}  // namespace monge::cuda::verbs
