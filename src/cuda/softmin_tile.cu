// softmin of any cost of points on the FMA units: tiles of 64 x 64 pairs, 4 x 4 of them to a
// thread, coordinates staged 16 at a time.
#include "cuda/launch.cuh"
#include "cuda/softmin_sweep.cuh"
#include "cuda/squares.cuh"
#include "kernels/math.hpp"

namespace monge::cuda {
namespace {
constexpr int kThreads = 256, kSide = 64, kDepth = 16, kEach = 4;
constexpr int kFlush = 4;  // column blocks, 1024 columns, that are summed in T

template <class T>
struct alignas(16) Four {
  T at[kEach];
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

// Exponentials and sums of blocks are of type V.
template <class T, class V, bool PRODUCT, bool LARGEST>
struct TileSums {
  static constexpr int kThreads = cuda::kThreads;
  static constexpr bool kSquares = PRODUCT && sizeof(T) == 8;
  static constexpr int kStride = kSquares ? Squares::kStride : kSide;
  Sweep<T> sweep;
  BlockList list;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    __shared__ __align__(16) T xs[kDepth][kStride];
    __shared__ __align__(16) T ys[kDepth][kStride];
    const auto& p = sweep.args.pairs;
    const std::int64_t i0 = static_cast<std::int64_t>(at.x) * kRowBlock;
    const int part = at.y, tx = kSquares ? Squares::group() : threadIdx.x % 16,
              ty = kSquares ? Squares::row_group() : threadIdx.x / 16;
    const int dim = p.rows.dim;
    const T infinity = static_cast<T>(INFINITY);
    T origin[kEach], x2[kEach];
    V value[kEach];
    double total[kEach] = {};
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      const std::int64_t i = min(i0 + ty * kEach + r, p.n - 1);
      origin[r] =
          LARGEST ? T(0) : static_cast<T>(whole_shift<T>(sweep.args.shift, i, sweep.per_cost));
      x2[r] = PRODUCT && p.form == Form::squared ? p.rows.norms[i] : T(0);
      value[r] = LARGEST ? -infinity : V(0);
    }
    ColumnWalk walk(p, list, at.x, sweep.parts, part);
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
                p.rows, [&](int t) { return i0 + t; }, k0, depth, xs);
          stage(p.cols, column, k0, depth, ys);
          __syncthreads();
          if constexpr (kSquares) Squares::multiply(xs[0], ys[0], depth, acc);
          for (int k = 0; k < depth && !kSquares; ++k) {
            const Four<T> x = *reinterpret_cast<const Four<T>*>(&xs[k][ty * kEach]);
            const Four<T> y = *reinterpret_cast<const Four<T>*>(&ys[k][tx * kEach]);
#pragma unroll
            for (int r = 0; r < kEach; ++r)
#pragma unroll
              for (int c = 0; c < kEach; ++c) {
                if constexpr (PRODUCT) {
                  acc[r][c] = fma(x.at[r], y.at[c], acc[r][c]);
                } else {
                  const T difference = x.at[r] - y.at[c];
                  acc[r][c] = fma(difference, difference, acc[r][c]);
                }
              }
          }
        }
        rows_staged = true;
#pragma unroll
        for (int c = 0; c < kEach; ++c) {
          const std::int64_t j = column(tx * kEach + c);
          const T h = j < p.m ? static_cast<T>(sweep.args.h[j]) : -infinity;
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
            if constexpr (LARGEST)
              value[r] = max(value[r], score);
            else
              value[r] += exp2_fast(static_cast<V>(fma(score, sweep.k, origin[r])));
          }
        }
      }
      walk.advance();
      if (!LARGEST && (++since_flush == kFlush || walk.count() == 0)) {
        since_flush = 0;
#pragma unroll
        for (int r = 0; r < kEach; ++r) {
          total[r] += static_cast<double>(value[r]);
          value[r] = 0;
        }
      }
    }
    const auto join = [](double a, double b) { return LARGEST ? fmax(a, b) : a + b; };
    __syncthreads();
    double* const warps = reinterpret_cast<double*>(xs);  // no longer needed
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      double result = LARGEST ? static_cast<double>(value[r]) : total[r];
      for (int step = kSquares ? 2 : 8; step > 0; step /= 2)
        result = join(result, __shfl_xor_sync(0xffffffffu, result, step));
      const int row = ty * kEach + r;
      if (!kSquares && tx == 0 && i0 + row < p.n) sweep.partial[part * p.n + i0 + row] = result;
      if (kSquares && threadIdx.x % 4 == 0) warps[threadIdx.x / 64 * kSide + row] = result;
    }
    if constexpr (kSquares) {
      __syncthreads();
      if (threadIdx.x >= kSide || i0 + threadIdx.x >= p.n) return;
      double result = warps[threadIdx.x];
      for (int w = 1; w < Squares::kWarpsAcross; ++w)
        result = join(result, warps[w * kSide + threadIdx.x]);
      sweep.partial[part * p.n + i0 + threadIdx.x] = result;
    }
  }
};

template <class T, bool PRODUCT>
void run(const Sweep<T>& sweep, bool largest, Exec& exec) {
  const auto& p = sweep.args.pairs;
  const dim3 grid(static_cast<unsigned>((p.n + kRowBlock - 1) / kRowBlock), sweep.parts.count);
  const BlockList list = p.list ? *p.list : BlockList{};
  if (largest)
    launch(TileSums<T, T, PRODUCT, true>{sweep, list}, grid, exec);
  else if (sizeof(T) == 8 && sweep.args.precision == kernels::Precision::mixed)
    launch(TileSums<T, float, PRODUCT, false>{sweep, list}, grid, exec);
  else
    launch(TileSums<T, T, PRODUCT, false>{sweep, list}, grid, exec);
}
}  // namespace

template <class T>
SweepPlan<T> tile_sweep(const SoftminArgs<T>& args) {
  const auto& p = args.pairs;
  const bool product = p.form == Form::dot || (p.form == Form::squared && p.rows.norms);
  return {.run = product ? run<T, true> : run<T, false>,
          .parts = Parts::by_shape(p.n, p.m, kRowBlock, 132 * 4, 1, 0.3),
          .in_units_of_scale = false};
}
template SweepPlan<float> tile_sweep(const SoftminArgs<float>&);
template SweepPlan<double> tile_sweep(const SoftminArgs<double>&);
}  // namespace monge::cuda
