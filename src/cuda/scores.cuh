// Where the costs of a tile come from: points of up to 4 coordinates, points of any dimension, or
// a matrix. Each fills s[r][c], one step of the thread, with |x - y|^2, x.y or matrix entries,
// every sum in the CPU's order, but for what tensor cores add up: every four terms of a product of
// doubles are theirs to order.
#pragma once
#include "cuda/tile.cuh"

namespace monge::cuda::verbs {
/// A step of a sweep, and the one that follows it.
struct Place {
  std::int64_t j0;       // first column of the column block
  int step;              // within it
  std::int64_t next_j0;  // of the next column block; -1: none
};

/// At most D coordinates, all in registers; what lacks is 0.
template <class T, int D, int R = kThreadRows<T>>
class FewCoordinates {
  using G = Tile<T, R>;

 public:
  static constexpr bool kFew = true, kStreams = false;
  static constexpr int kColumnValues = D;  // staged for each column of a block
  static constexpr int kSharedValues = 0;  // of its own

  __device__ FewCoordinates(const Pairs<T>& p, std::int64_t i0, const std::int64_t*, T*)
      : dim_(p.rows.dim) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) {
      const std::int64_t i = i0 + G::row(r);
#pragma unroll
      for (int k = 0; k < D; ++k)
        x_[r][k] = i < p.n && k < p.rows.dim ? coordinate(p.rows, i, k) : T(0);
    }
  }

  __device__ static void stage(const Pairs<T>& p, std::int64_t j0, T* to) {
    stage_block(p.cols, j0, to);
  }

  __device__ void fill(const Pairs<T>& p, const Place& place, const T* staged,
                       T (&s)[G::kRows][4]) const {
    T y[D][4];
    load_columns(place, staged, y);
    if (is_product(p)) {
#pragma unroll
      for (int c = 0; c < 4; ++c)
#pragma unroll
        for (int r = 0; r < G::kRows; ++r) {
          s[r][c] = x_[r][0] * y[0][c];
#pragma unroll
          for (int k = 1; k < D; ++k) s[r][c] = fma(x_[r][k], y[k][c], s[r][c]);
        }
    } else {
#pragma unroll
      for (int c = 0; c < 4; ++c)
#pragma unroll
        for (int r = 0; r < G::kRows; ++r) {
          T u = x_[r][0] - y[0][c];
          s[r][c] = u * u;
#pragma unroll
          for (int k = 1; k < D; ++k) {
            u = x_[r][k] - y[k][c];
            s[r][c] = fma(u, u, s[r][c]);
          }
        }
    }
  }

  /// w = weigh(h - |x - y|^2, row), one operation less a pair. Column by column, so that the
  /// exponentials of one keep their unit busy while the next is prepared.
  template <class Weigh>
  __device__ void fill_weights(const Place& place, const T* staged, const T (&h)[4],
                               T (&w)[G::kRows][4], const Weigh& weigh) const {
    T y[D][4];
    load_columns(place, staged, y);
#pragma unroll
    for (int c = 0; c < 4; ++c)
#pragma unroll
      for (int r = 0; r < G::kRows; ++r) {
        T z = h[c];
#pragma unroll
        for (int k = 0; k < D; ++k) {
          const T u = x_[r][k] - y[k][c];
          z = fma(-u, u, z);
        }
        w[r][c] = weigh(z, r);
      }
  }

  __device__ void load_columns(const Place& place, const T* staged, T (&y)[D][4]) const {
    load_points(staged, dim_, place.step * G::kWidth + G::column(), y);
  }
  __device__ T x(int r, int k) const { return x_[r][k]; }

 private:
  T x_[G::kRows][D];
  int dim_;
};

/// Any dimension: kDepth coordinates of the rows and of one step's columns at a time, the next ones
/// on their way while these are multiplied.
template <class T, int R = kThreadRows<T>>
class ManyCoordinates {
  using G = Tile<T, R>;
  // More than a row, so that panels written side by side meet different banks.
  static constexpr int kRowStride = G::kSquare ? Squares::kStride : kRowBlock + 16,
                       kColumnStride = G::kSquare ? Squares::kStride : G::kWidth + 16;
  static constexpr int kStage = G::kDepth * (kRowStride + kColumnStride);

 public:
  static constexpr bool kFew = false, kStreams = true;
  static constexpr int kColumnValues = 0;
  static constexpr int kSharedValues = 2 * kStage;

  __device__ ManyCoordinates(const Pairs<T>&, std::int64_t i0, const std::int64_t*, T* shared)
      : i0_(i0), shared_(shared) {}

  __device__ static void stage(const Pairs<T>&, std::int64_t, T*) {}
  /// Starts the pipeline; the caller commits.
  __device__ void start(const Pairs<T>& p, std::int64_t j0) { copy(p, 0, j0, 0, 0); }

  __device__ void fill(const Pairs<T>& p, const Place& place, const T*, T (&s)[G::kRows][4]) {
    const int chunks = (p.rows.dim + G::kDepth - 1) / G::kDepth;
    const bool product = is_product(p);
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) s[r][c] = 0;
    for (int chunk = 0; chunk < chunks; ++chunk) {
      if (chunk + 1 < chunks)
        copy(p, current_ ^ 1, place.j0, place.step, chunk + 1);
      else if (place.step + 1 < G::kSteps)
        copy(p, current_ ^ 1, place.j0, place.step + 1, 0);
      else if (place.next_j0 >= 0)
        copy(p, current_ ^ 1, place.next_j0, 0, 0);
      __pipeline_commit();
      __pipeline_wait_prior(1);
      __syncthreads();
      const T* const x = shared_ + current_ * kStage;
      const int depth = min(G::kDepth, p.rows.dim - chunk * G::kDepth);
      if (product)
        multiply<true>(x, depth, s);
      else
        multiply<false>(x, depth, s);
      __syncthreads();
      current_ ^= 1;
    }
  }

 private:
  __device__ void copy(const Pairs<T>& p, int stage, std::int64_t j0, int step, int chunk) {
    T* const x = shared_ + stage * kStage;
    stage_panels(p.rows, i0_, kRowBlock, chunk * G::kDepth, G::kDepth, x, kRowStride);
    stage_panels(p.cols, j0 + step * G::kWidth, G::kWidth, chunk * G::kDepth, G::kDepth,
                 x + G::kDepth * kRowStride, kColumnStride);
  }

  template <bool Product>
  __device__ static void multiply(const T* x, int depth, T (&s)[G::kRows][4]) {
    if constexpr (Product && G::kSquare)  // beyond the last coordinate 0 was staged
      return Squares::multiply(x, x + G::kDepth * kRowStride, depth, s);
    const T* xk = x + G::row_group() * 4;
    const T* yk = x + G::kDepth * kRowStride + G::column();
#pragma unroll 4
    for (int k = 0; k < depth; ++k, xk += kRowStride, yk += kColumnStride) {
      T y[4], rows[4];
      load4(yk, y);
#pragma unroll
      for (int q = 0; q < G::kRows; q += 4) {
        load4(xk + q * G::kRowGroups, rows);
#pragma unroll
        for (int r = 0; r < 4; ++r)
#pragma unroll
          for (int c = 0; c < 4; ++c) {
            if constexpr (Product) {
              s[q + r][c] = fma(rows[r], y[c], s[q + r][c]);
            } else {
              const T u = rows[r] - y[c];
              s[q + r][c] = fma(u, u, s[q + r][c]);
            }
          }
      }
    }
  }

  std::int64_t i0_;
  T* shared_;
  int current_ = 0;  // of two stages
};

/// Entries straight from memory: either way a warp reads whole sectors.
template <class T, int R = kThreadRows<T>>
class MatrixEntries {
  using G = Tile<T, R>;

 public:
  static constexpr bool kFew = false, kStreams = false;
  static constexpr int kColumnValues = 0, kSharedValues = 0;

  __device__ MatrixEntries(const Pairs<T>& p, std::int64_t i0, const std::int64_t* row_of, T*) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) {
      const std::int64_t i = min(i0 + G::row(r), p.n - 1);
      offset_[r] = (row_of ? row_of[i] : i) * p.row_stride;
    }
  }
  __device__ static void stage(const Pairs<T>&, std::int64_t, T*) {}

  /// Entries outside repeat the last inside: no weight comes of them.
  __device__ void fill(const Pairs<T>& p, const Place& place, const T*, T (&s)[G::kRows][4]) const {
    const std::int64_t j = place.j0 + place.step * G::kWidth + G::column();
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const T* const column = p.matrix + min(j + c, p.m - 1) * p.col_stride;
#pragma unroll
      for (int r = 0; r < G::kRows; ++r) s[r][c] = column[offset_[r]];
    }
  }

 private:
  std::int64_t offset_[G::kRows];
};
}  // namespace monge::cuda::verbs
