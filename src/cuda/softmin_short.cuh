// softmin of few points with few coordinates on the FMA units: whole column blocks at a time.
#pragma once
#include <cuda_pipeline_primitives.h>

#include "cuda/softmin_tile.cuh"

namespace monge::cuda::tiles {
/// What TileSoftmin is, to the same bits, of all columns and differences in up to kDepth
/// coordinates: the panels of a column block stand in shared memory as they are, and nothing waits
/// between its tiles. LARGEST: out = -max in place of what TileSoftmin does.
template <class T, class V, bool LARGEST>
struct ShortSoftmin {
  static constexpr int kThreads = tiles::kThreads, kResident = sizeof(T) == 4 ? 2 : 1;
  Sweep<T> sweep;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const double found = rows(at);
    const std::int64_t i = static_cast<std::int64_t>(at.x) * kRowBlock + threadIdx.x;
    if constexpr (!LARGEST)
      end_rows<Tile<T, false, true>>(sweep, BlockList{}, at, found);
    else if (threadIdx.x < kRowBlock && i < sweep.args.pairs.n)
      sweep.args.out[i] = -found;
  }

 private:
  // `count` points from `first` on; zeros beyond the last panel.
  __device__ static void stage(const kernels::Panels<T>& points, std::int64_t first, int count,
                               T* to) {
    constexpr int kPiece = 16 / sizeof(T);
    const T* const from = points.data + first * points.dim;
    const std::int64_t there = (kernels::padded(points.count) - first) * points.dim;
    for (int u = threadIdx.x * kPiece; u < count * points.dim; u += kThreads * kPiece)
      __pipeline_memcpy_async(to + u, from + (u < there ? u : 0), 16, u < there ? 0 : 16);
  }
  // Four adjacent points of the staged, from `point` on: coordinate k stands at [k * kPanel].
  __device__ static const T* four(const T* staged, int point, int dim) {
    return staged + point / kPanel * (kPanel * dim) + point % kPanel;
  }

  // Of row t, in thread t of the first kRowBlock: its sum, or its largest score.
  __device__ double rows(const Block& at) const {
    __shared__ __align__(16) T xs[kRowBlock * kDepth], ys[kColumnBlock * kDepth], hs[kColumnBlock];
    __shared__ double found[kRowBlock];
    const auto& p = sweep.args.pairs;
    const std::int64_t i0 = static_cast<std::int64_t>(at.x) * kRowBlock;
    const int dim = p.rows.dim, tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const T k = sweep.k, scale = p.scale;
    T origin[kEach];
    V value[kEach];
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      const std::int64_t i = min(i0 + ty * kEach + r, p.n - 1);
      value[r] = LARGEST ? -static_cast<V>(INFINITY) : V(0);
      if constexpr (!LARGEST)
        origin[r] = static_cast<T>(whole_shift<T>(sweep.args.shift, i, sweep.per_cost));
    }
    stage(p.rows, i0, kRowBlock, xs);
    for (std::int64_t j0 = 0; j0 < p.m; j0 += kColumnBlock) {
      // Whole tiles of the columns that are left.
      const int count = static_cast<int>(min(std::int64_t{kColumnBlock}, p.m - j0)),
                whole = (count + kSide - 1) / kSide * kSide;
      __syncthreads();
      stage(p.cols, j0, whole, ys);
      __pipeline_commit();
      const std::int64_t j = j0 + threadIdx.x;
      hs[threadIdx.x] = j < p.m ? static_cast<T>(sweep.args.h[j]) : -static_cast<T>(INFINITY);
      __pipeline_wait_prior(0);
      __syncthreads();
      for (int column = tx * kEach; column < whole; column += kSide) {
        const T *const x = four(xs, ty * kEach, dim), *const y = four(ys, column, dim);
        T acc[kEach][kEach] = {};
#pragma unroll 4
        for (int c = 0; c < dim; ++c) {
          const auto u = *reinterpret_cast<const Four<T>*>(x + c * kPanel),
                     v = *reinterpret_cast<const Four<T>*>(y + c * kPanel);
#pragma unroll
          for (int e = 0; e < kEach * kEach; ++e) {
            const T difference = u.at[e / kEach] - v.at[e % kEach];
            acc[e / kEach][e % kEach] = fma(difference, difference, acc[e / kEach][e % kEach]);
          }
        }
        const auto h = *reinterpret_cast<const Four<T>*>(hs + column);
        const auto take = [&](const auto& cost) {
#pragma unroll
          for (int e = 0; e < kEach * kEach; ++e) {
            const int c = e / kEach, r = e % kEach;
            const T score = h.at[c] - cost(acc[r][c]);
            if constexpr (LARGEST)
              value[r] = max(value[r], score);
            else
              value[r] += exp2_fast(static_cast<V>(fma(score, k, origin[r])));
          }
        };
        if (p.form == Form::squared)
          take([&](T squared) { return scale * squared; });
        else
          take(
              [&](T squared) { return kernels::cost_of_squared(p.form, scale, p.power, squared); });
      }
    }
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      double all = static_cast<double>(value[r]);
      for (int step = 8; step > 0; step /= 2) {
        const double other = __shfl_xor_sync(~0u, all, step);
        all = LARGEST ? fmax(all, other) : all + other;
      }
      if (tx == 0) found[ty * kEach + r] = all;
    }
    __syncthreads();
    return found[threadIdx.x % kRowBlock];
  }
};
}  // namespace monge::cuda::tiles
