// The kernels of softmin on the FMA units: tiles of 64 x 64 pairs, 4 x 4 of them to a thread,
// coordinates staged 16 at a time.
#pragma once
#include "cuda/launch.cuh"
#include "cuda/softmin_finish.cuh"
#include "cuda/softmin_sweep.cuh"
#include "cuda/squares.cuh"
#include "kernels/math.hpp"

namespace monge::cuda::tiles {
inline constexpr int kThreads = 256, kSide = 64, kDepth = 16, kEach = 4;
inline constexpr int kFlush = 4;  // column blocks, 1024 columns, that are summed in T

template <class T>
struct alignas(16) Four {
  T at[kEach];
};

/// Of a thread block, whatever tile it makes.
template <class T, int STRIDE>
struct Memory {
  __align__(16) T xs[kDepth][STRIDE];
  __align__(16) T ys[kDepth][STRIDE];

  __device__ static Memory& own() {
    __shared__ Memory memory;
    return memory;
  }
};

// The points at(0) to at(63) and up to kDepth of their coordinates from k0 on, up to a multiple of
// 4: points past the last and coordinates past `depth` are 0.
template <class T, int STRIDE, class At>
__device__ void stage(const kernels::Panels<T>& points, const At& at, int k0, int depth,
                      T (*to)[STRIDE]) {
  for (int t = threadIdx.x; t < (depth + 7) / 8 * 8 * kSide; t += kThreads) {
    const int k = t / kSide, i = t % kSide;
    const std::int64_t point = at(i);
    to[k][i] =
        point < points.count && k < depth ? coordinates(points, point)[(k0 + k) * kPanel] : T(0);
  }
}

// A block of rows against columns. CAREFUL: sums over coordinates are those of kDepth at a time.
template <class T, bool PRODUCT, bool CAREFUL>
class Tile {
 public:
  static constexpr bool kSquares = PRODUCT && sizeof(T) == 8;
  using Memory = tiles::Memory<T, kSquares ? Squares::kStride : kSide>;

  __device__ Tile(const Sweep<T>& sweep, const BlockList& list, const Block& at, Memory& memory)
      : sweep_(sweep),
        list_(list),
        at_(at),
        memory_(memory),
        i0_(static_cast<std::int64_t>(at.x) * kRowBlock),
        tx_(kSquares ? Squares::group() : threadIdx.x % 16),
        ty_(kSquares ? Squares::row_group() : threadIdx.x / 16) {}

  /// Of row t, in thread t of the first kRowBlock: sums relative to its shift, exponentials and
  /// those of blocks of type V.
  template <class V>
  __device__ __forceinline__ double sums() const {
    return rows<V, true>(nullptr);
  }
  /// The largest scores, or, where `tops` are these, sums relative to them.
  __device__ __forceinline__ double largest(const double* tops = nullptr) const {
    return rows<T, false>(tops);
  }

 private:
  template <class V, bool SHIFTED>
  __device__ __forceinline__ double rows(const double* tops) const {
    const bool adds = SHIFTED || tops;
    const auto& p = sweep_.args.pairs;
    auto& xs = memory_.xs;
    auto& ys = memory_.ys;
    const int dim = p.rows.dim;
    const T infinity = static_cast<T>(INFINITY);
    T origin[kEach], x2[kEach];
    V value[kEach];
    double total[kEach] = {};
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      const std::int64_t i = min(i0_ + ty_ * kEach + r, p.n - 1);
      if constexpr (SHIFTED)
        origin[r] = static_cast<T>(whole_shift<T>(sweep_.args.shift, i, sweep_.per_cost));
      else
        origin[r] = tops ? static_cast<T>(tops[ty_ * kEach + r]) : T(0);
      x2[r] = PRODUCT && p.form == Form::squared ? p.rows.norms[i] : T(0);
      value[r] = adds ? V(0) : static_cast<V>(-infinity);
    }
    ColumnWalk walk(p, list_, at_.x, sweep_.parts, at_.y);
    int since_flush = 0;
    bool rows_staged = false;
    for (int count = walk.count(); count > 0; count = walk.count()) {
      for (int first = 0; first < count; first += kSide) {
        const auto column = [&](int t) { return first + t < count ? walk.column(first + t) : p.m; };
        T acc[kEach][kEach] = {};
        for (int k0 = 0; k0 < dim; k0 += kDepth) {
          const int depth = min(kDepth, dim - k0);
          __syncthreads();
          if (dim > kDepth || !rows_staged)
            stage(
                p.rows, [&](int t) { return i0_ + t; }, k0, depth, xs);
          stage(p.cols, column, k0, depth, ys);
          __syncthreads();
          if constexpr (kSquares) Squares::multiply(xs[0], ys[0], depth, acc);
          T some[kEach][kEach] = {};
          auto& sum = CAREFUL ? some : acc;
          for (int k = 0; k < depth && !kSquares; ++k) {
            const Four<T> x = *reinterpret_cast<const Four<T>*>(&xs[k][ty_ * kEach]);
            const Four<T> y = *reinterpret_cast<const Four<T>*>(&ys[k][tx_ * kEach]);
#pragma unroll
            for (int r = 0; r < kEach; ++r)
#pragma unroll
              for (int c = 0; c < kEach; ++c) {
                if constexpr (PRODUCT) {
                  sum[r][c] = fma(x.at[r], y.at[c], sum[r][c]);
                } else {
                  const T difference = x.at[r] - y.at[c];
                  sum[r][c] = fma(difference, difference, sum[r][c]);
                }
              }
          }
          if constexpr (CAREFUL && !kSquares)
#pragma unroll
            for (int e = 0; e < kEach * kEach; ++e)
              acc[e / kEach][e % kEach] += some[e / kEach][e % kEach];
        }
        rows_staged = true;
#pragma unroll
        for (int c = 0; c < kEach; ++c) {
          const std::int64_t j = column(tx_ * kEach + c);
          const T h = j < p.m ? static_cast<T>(sweep_.args.h[j]) : -infinity;
          const T y2 = PRODUCT && p.form == Form::squared && j < p.m ? p.cols.norms[j] : T(0);
#pragma unroll
          for (int r = 0; r < kEach; ++r) {
            T cost;
            if constexpr (PRODUCT)
              cost = p.form == Form::dot ? -p.scale * acc[r][c]
                                         : p.scale * fma(T(-2), acc[r][c], x2[r] + y2);
            else
              cost = kernels::cost_of_squared(p.form, p.scale, p.power, acc[r][c]);
            const T score = h - cost;
            if constexpr (SHIFTED)
              value[r] += exp2_fast(static_cast<V>(fma(score, sweep_.k, origin[r])));
            else if (!adds)
              value[r] = max(value[r], score);
            else if (score > -infinity)
              value[r] += exp2_fast((score - origin[r]) * sweep_.k);
          }
        }
      }
      walk.advance();
      if (adds && (++since_flush == kFlush || walk.count() == 0)) {
        since_flush = 0;
#pragma unroll
        for (int r = 0; r < kEach; ++r) {
          total[r] += static_cast<double>(value[r]);
          value[r] = 0;
        }
      }
    }
    const auto join = [&](double a, double b) { return adds ? a + b : fmax(a, b); };
    constexpr int kWarpsAcross = kSquares ? Squares::kWarpsAcross : 1;
    __syncthreads();
    double* const warps = reinterpret_cast<double*>(xs);  // no longer needed
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      double result = adds ? total[r] : static_cast<double>(value[r]);
      for (int step = kSquares ? 2 : 8; step > 0; step /= 2)
        result = join(result, __shfl_xor_sync(0xffffffffu, result, step));
      if (threadIdx.x % (kSquares ? 4 : 16) == 0)
        warps[(kSquares ? threadIdx.x / 64 * kSide : 0) + ty_ * kEach + r] = result;
    }
    __syncthreads();
    double result = 0;
    if (threadIdx.x < kSide) {
      result = warps[threadIdx.x];
      for (int w = 1; w < kWarpsAcross; ++w) result = join(result, warps[w * kSide + threadIdx.x]);
    }
    return result;
  }

  const Sweep<T>& sweep_;
  const BlockList& list_;
  const Block& at_;
  Memory& memory_;
  const std::int64_t i0_;
  const int tx_, ty_;
};

/// Sums of a part of the columns.
template <class T, class V, bool PRODUCT>
struct TileParts {
  static constexpr int kThreads = tiles::kThreads;
  Sweep<T> sweep;
  BlockList list;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    using Rows = Tile<T, PRODUCT, false>;
    const double sum = Rows(sweep, list, at, Rows::Memory::own()).template sums<V>();
    const std::int64_t n = sweep.args.pairs.n,
                       i = static_cast<std::int64_t>(at.x) * kRowBlock + threadIdx.x;
    if (threadIdx.x < kRowBlock && i < n) sweep.partial[at.y * n + i] = sum;
  }
};

/// The largest score of a part, or, where there is but one, `out` of it.
template <class T, bool PRODUCT>
struct TileLargest {
  static constexpr int kThreads = tiles::kThreads;
  Sweep<T> sweep;
  BlockList list;
  bool ends;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    using Rows = Tile<T, PRODUCT, false>;
    const double top = Rows(sweep, list, at, Rows::Memory::own()).largest();
    const std::int64_t n = sweep.args.pairs.n,
                       i = static_cast<std::int64_t>(at.x) * kRowBlock + threadIdx.x;
    if (threadIdx.x >= kRowBlock || i >= n) return;
    if (ends)
      sweep.args.out[i] = -top;
    else
      sweep.partial[at.y * n + i] = top;
  }
};

/// Ends the rows of a block that have these sums, one to each of its first kRowBlock threads. Rows
/// whose shift did not fit are swept again, with those beside them, for their largest score and
/// relative to it. Then the step that follows.
template <class Rows, class T>
__device__ __forceinline__ void end_rows(const Sweep<T>& sweep, const BlockList& list,
                                         const Block& at, double sum) {
  __shared__ double tops[kRowBlock];
  const std::int64_t i0 = static_cast<std::int64_t>(at.x) * kRowBlock, i = i0 + threadIdx.x;
  const bool exists = threadIdx.x < kRowBlock && i < sweep.args.pairs.n;
  const bool bad = exists && !end_row(sweep, i, sum);
  if (__syncthreads_or(bad)) {
    const Rows tile(sweep, list, at, Rows::Memory::own());
    double found = 0;
#pragma unroll 1  // of code that is rarely run
    for (int pass = 0; pass < 2; ++pass) {
      found = tile.largest(pass == 0 ? nullptr : tops);
      if (pass == 0 && threadIdx.x < kRowBlock) tops[threadIdx.x] = found;
      __syncthreads();
    }
    const double top = tops[threadIdx.x % kRowBlock];
    if (bad) sweep.args.out[i] = isinf(top) ? -top : -(top + log2(found) / sweep.per_cost);
  }
  step_rows(sweep, i0);
}

/// Sums of one part, and all that follows them.
template <class T, class V, bool PRODUCT>
struct TileSoftmin {
  static constexpr int kThreads = tiles::kThreads, kResident = sizeof(T) == 4 ? 2 : 1;
  Sweep<T> sweep;
  BlockList list;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    using Rows = Tile<T, PRODUCT, true>;
    const Rows tile(sweep, list, at, Rows::Memory::own());
    end_rows<Rows>(sweep, list, at, tile.template sums<V>());
  }
};
}  // namespace monge::cuda::tiles
