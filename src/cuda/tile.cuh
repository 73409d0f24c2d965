// Tiles: kRowBlock rows against one column block, in steps that give every thread R rows and 4
// adjacent columns. How the threads of a block share a tile, and how panels reach shared memory.
#pragma once
#include <cuda_pipeline_primitives.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "cuda/exponential.cuh"
#include "cuda/squares.cuh"
#include "kernels/pairs.hpp"

namespace monge::cuda::verbs {
using kernels::BlockList;
using kernels::Form;
using kernels::kColumnBlock;
using kernels::kPanel;
using kernels::kRowBlock;
using kernels::padded;
using kernels::Pairs;
using kernels::Panels;

inline constexpr int kThreads = 256, kWarps = kThreads / 32;

template <class T>
__device__ constexpr T infinity() {
  return std::numeric_limits<T>::infinity();
}

/// 8 x 4 floats or 4 x 4 doubles of a thread balance registers against loads.
template <class T>
inline constexpr int kThreadRows = sizeof(T) == 4 ? 8 : 4;

/// Who computes what, with R rows, 4 or 8, to a thread. A warp of floats has all rows of a tile,
/// one of doubles what tensor cores leave it (squares.cuh).
template <class T, int R = kThreadRows<T>>
struct Tile {
  using Value = T;
  static constexpr int kRows = R;
  static constexpr int kRowGroups = kRowBlock / kRows;    // threads down a tile
  static constexpr int kGroups = kThreads / kRowGroups;   // threads along a step
  static constexpr int kWidth = 4 * kGroups;              // columns of a step
  static constexpr int kSteps = kColumnBlock / kWidth;    // steps of a column block
  static constexpr int kDepth = sizeof(T) == 4 ? 16 : 8;  // coordinates staged at a time

  static constexpr bool kSquare = sizeof(T) == 8;
  static_assert(!kSquare || R == 4);
  static constexpr int kRowParts =
      kSquare ? Squares::kWarpsAcross : kWarps;  // warps that share a row

  __device__ static int row_group() {
    return kSquare ? Squares::row_group() : threadIdx.x % kRowGroups;
  }
  __device__ static int group() { return kSquare ? Squares::group() : threadIdx.x / kRowGroups; }
  /// The thread's row r, counted from the tile's first.
  __device__ static int row(int r) { return r / 4 * (4 * kRowGroups) + row_group() * 4 + r % 4; }
  /// The sums of a warp's rows to sums[part][row], `part` being the warp's among kRowParts.
  __device__ static void leave_row_sums(const double (&own)[kRows], double* sums) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      double sum = own[r];
      if constexpr (kSquare) {
        sum = Squares::add_columns(sum);
      } else {
#pragma unroll
        for (int step = kRowGroups; step < 32; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
      }
      if (kSquare ? lane % 4 == 0 : lane < kRowGroups)
        sums[(kSquare ? warp / 2 : warp) * kRowBlock + row(r)] = sum;
    }
  }
  /// The thread's first column of a step, counted from the step's first.
  __device__ static int column() { return group() * 4; }
};

/// 4 adjacent values at a multiple of 16 bytes.
__device__ inline void load4(const float* from, float (&to)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}
__device__ inline void load4(const double* from, double (&to)[4]) {
  const double2 u = *reinterpret_cast<const double2*>(from);
  const double2 v = *reinterpret_cast<const double2*>(from + 2);
  to[0] = u.x, to[1] = u.y, to[2] = v.x, to[3] = v.y;
}
__device__ inline void store4(float* to, const float (&v)[4]) {
  *reinterpret_cast<float4*>(to) = make_float4(v[0], v[1], v[2], v[3]);
}
__device__ inline void store4(double* to, const double (&v)[4]) {
  *reinterpret_cast<double2*>(to) = make_double2(v[0], v[1]);
  *reinterpret_cast<double2*>(to + 2) = make_double2(v[2], v[3]);
}

/// Coordinate k of point i.
template <class T>
__device__ T coordinate(const Panels<T>& points, std::int64_t i, int k) {
  return points.data[(i / kPanel * points.dim + k) * kPanel + i % kPanel];
}

/// Coordinates [k0, k0 + depth) of points [i0, i0 + count) to to[k * stride + i], asynchronously.
/// Whole panels; zeros beyond the last panel and beyond the last coordinate.
template <class T>
__device__ void stage_panels(const Panels<T>& points, std::int64_t i0, int count, int k0, int depth,
                             T* to, int stride) {
  constexpr int kPiece = 16 / sizeof(T), kPieces = kPanel / kPiece;
  const std::int64_t end = padded(points.count);
  for (int u = threadIdx.x; u < count / kPiece * depth; u += kThreads) {
    const int piece = u % kPieces, k = u / kPieces % depth, panel = u / kPieces / depth;
    const std::int64_t i = i0 + panel * kPanel;
    const bool there = i < end && k0 + k < points.dim;
    const T* const from =
        points.data + (there ? (i * points.dim + (k0 + k) * kPanel) + piece * kPiece : 0);
    __pipeline_memcpy_async(to + k * stride + panel * kPanel + piece * kPiece, from, 16,
                            there ? 0 : 16);
  }
}

/// A column block of points to shared memory, in panels as it stands; zeros beyond the last.
template <class T>
__device__ void stage_block(const Panels<T>& points, std::int64_t j0, T* to) {
  constexpr int kPiece = 16 / sizeof(T);
  const T* const from = points.data + j0 * points.dim;
  const std::int64_t there = (padded(points.count) - j0) * points.dim;
  for (int u = threadIdx.x * kPiece; u < kColumnBlock * points.dim; u += kThreads * kPiece)
    __pipeline_memcpy_async(to + u, from + (u < there ? u : 0), 16, u < there ? 0 : 16);
}

/// Coordinates of 4 adjacent columns of a staged block, from column t; 0 beyond dim.
template <int D, class T>
__device__ void load_points(const T* staged, int dim, int t, T (&to)[D][4]) {
  const T* const from = staged + t / kPanel * (kPanel * dim) + t % kPanel;
#pragma unroll
  for (int k = 0; k < D; ++k) {
    if (k < dim) {
      load4(from + k * kPanel, to[k]);
    } else {
#pragma unroll
      for (int c = 0; c < 4; ++c) to[k][c] = 0;
    }
  }
}

/// values[j0 .. j0 + kColumnBlock), an array of padded(m), to shared memory; `fill` behind its end.
template <class T>
__device__ void stage_row(const T* values, std::int64_t j0, std::int64_t m, T fill, T* to) {
  constexpr int kPiece = 16 / sizeof(T);
  const int u = threadIdx.x;
  if (u >= kColumnBlock / kPiece) return;
  if (j0 + u * kPiece < padded(m)) {
    __pipeline_memcpy_async(to + u * kPiece, values + j0 + u * kPiece, 16);
  } else {
    for (int t = 0; t < kPiece; ++t) to[u * kPiece + t] = fill;
  }
}

template <bool Exact, class T>
__device__ T root(T s) {
  if constexpr (sizeof(T) == 4 && !Exact) {
    float root;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(s));
    return root;
  } else {
    return sqrt(s);
  }
}

/// The cost from s, which is |x - y|^2, x.y or the matrix entry itself; `norms` = |x|^2 + |y|^2
/// where the form of the pairs is a product of squared distances.
template <bool Exact, class T>
__device__ T cost_from(const Pairs<T>& p, T s, T norms) {
  switch (p.form) {
    case Form::matrix:
      return s;
    case Form::dot:
      return -(p.scale * s);
    case Form::squared:
      return p.scale * (p.rows.norms ? fma(T(-2), s, norms) : s);
    case Form::distance:
      return p.scale * root<Exact>(s);
    case Form::power:
      return p.scale * pow_positive(s, p.power / 2);
  }
  return s;
}

template <class T>
__host__ __device__ bool is_product(const Pairs<T>& p) {
  return p.form == Form::dot || (p.form == Form::squared && p.rows.norms);
}

template <class T>
__host__ __device__ bool has_slopes(const Pairs<T>& p) {
  return p.form == Form::distance || p.form == Form::power;
}

/// c_ij of one pair, with the bits of the CPU's tiles.
template <class T>
__device__ T pair_cost(const Pairs<T>& p, std::int64_t i, std::int64_t j) {
  if (p.form == Form::matrix) return p.matrix[i * p.row_stride + j * p.col_stride];
  T s = 0;
  const T* const x = p.rows.data + i / kPanel * kPanel * p.rows.dim + i % kPanel;
  const T* const y = p.cols.data + j / kPanel * kPanel * p.rows.dim + j % kPanel;
  const bool product = is_product(p);
  for (int k = 0; k < p.rows.dim; ++k) {
    const T xk = x[k * kPanel], yk = y[k * kPanel];
    s = product ? fma(xk, yk, s) : fma(xk - yk, xk - yk, s);
  }
  return cost_from<true>(p, s, p.rows.norms ? p.rows.norms[i] + p.cols.norms[j] : T(0));
}
}  // namespace monge::cuda::verbs
