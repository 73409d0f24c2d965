// axis on a GPU. Where there are lines enough a lane is a line, so that lanes share the costs and
// read h from shared memory without conflicts; else a lane is a row. Two sweeps over the tiles of
// kAxisBlock columns, for the maxima and for the sums; each skips the tiles that its bounds let it.
#include "kernels/axis.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cuda/current.cuh"
#include "cuda/exponential.cuh"
#include "cuda/launch.cuh"
#include "kernels/math.hpp"
#include "kernels/poll.hpp"

namespace monge::cuda::verbs {
namespace {
using kernels::AxisArgs;
using kernels::AxisTerm;
using kernels::Factor;
using kernels::Form;
using kernels::kAxisBlock;

using kernels::kMostTerms;
constexpr int kThreads = 128, kWarps = kThreads / 32;

template <class T>
struct Axis {
  Form form;
  T scale, power, period;
  const T *x, *y;
  std::int64_t before, n, m, after;
  const T* h;
  double* softmin;
  T* log_sum;
  const T* v;
  std::int64_t v_row, v_col;
  AxisTerm terms[kMostTerms];
  int term_count, outputs;
  T* averages;
  std::int64_t a_row, a_col;
  double eps, depth;  // depth: in units of the scale, see src/kernels/axis.hpp
};

// 2^(z k), summed in Sum over a tile.
template <class T, bool MIXED>
struct Powers {
  using Sum = T;
  Exponential<T, sizeof(T) == 8> of;
  __device__ Powers(double eps, T unit) : of(eps, unit) {}
  __device__ Sum operator()(T z) const { return of(z); }
};
template <>
struct Powers<double, true> {
  using Sum = float;
  double k;
  __device__ Powers(double eps, double unit) : k(unit / (eps * 0.69314718055994530942)) {}
  __device__ Sum operator()(double z) const { return exp2_fast(static_cast<float>(z * k)); }
};

// R rows of a lane's line. LINES: lanes are lines, and h of the tile stands as [column][line].
// PLAIN: squared costs that are not periodic.
template <class T, bool MIXED, bool PLAIN, bool LINES, int R>
class Sweep {
 public:
  static constexpr int kPitch = LINES ? 33 : 1;  // between columns of a tile
  static constexpr int kTile = kAxisBlock * kPitch;
  static constexpr int kShared = kTile + kThreads;  // and the largest h of parts of its lines

  __device__ Sweep(const Axis<T>& a, T* shared, unsigned block)
      : a_(a), tile_(shared), high_(shared + kTile), powers_(a.eps, a.scale) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const std::int64_t rows = LINES ? kWarps * R : kThreads * R;
    const std::int64_t row_tiles = (a.n + rows - 1) / rows, lines = a.before * a.after;
    first_line_ = block / row_tiles * (LINES ? 32 : 1);
    const std::int64_t row = block % row_tiles * rows;
    line_ = first_line_ + (LINES ? lane : 0);
    counts_ = line_ < lines;
    at_ = LINES ? lane : 0;
    first_row_ = row + (LINES ? warp * R : static_cast<int>(threadIdx.x) * R);
    for (int r = 0; r < R; ++r) x_[r] = a.x[min(first_row_ + r, a.n - 1)];
  }

  __device__ void run() {
    const std::int64_t tiles = (a_.m + kAxisBlock - 1) / kAxisBlock;
    T tops[R];
    for (int r = 0; r < R; ++r) tops[r] = -infinity();
    for (std::int64_t b = 0; b < tiles; ++b) {
      load(b);
      if (!counted(least_of(tops), b)) continue;
      for (int c = 0; c < kAxisBlock; ++c) {
        const T h = tile_[c * kPitch + at_], y = a_.y[b * kAxisBlock + c];
#pragma unroll
        for (int r = 0; r < R; ++r) tops[r] = fmax(tops[r], h - cost(offset(y, x_[r])));
      }
    }
    const T cut = least_of(tops) - static_cast<T>(a_.depth);
    T safe[R];
    for (int r = 0; r < R; ++r) safe[r] = isinf(tops[r]) ? T(0) : tops[r];
    double sums[R];
    for (int q = a_.outputs ? 0 : -1; q < a_.outputs; ++q) {
      double totals[R];
      sum(tiles, q, cut, safe, sums, totals);
      for (int r = 0; q >= 0 && r < R; ++r)
        if (counts_ && first_row_ + r < a_.n)
          a_.averages[entry(r) * a_.a_row + q * a_.a_col] =
              sums[r] > 0 ? static_cast<T>(totals[r] / sums[r]) : T(0);
    }
    const double k = static_cast<double>(a_.scale) / (a_.eps * 0.69314718055994530942);
    for (int r = 0; r < R; ++r) {
      if (!counts_ || first_row_ + r >= a_.n) continue;
      const double value =
          (static_cast<double>(tops[r]) + log2(sums[r]) / k) * static_cast<double>(a_.scale);
      if (a_.softmin)
        a_.softmin[entry(r)] = -value;
      else
        a_.log_sum[entry(r)] = static_cast<T>(value);
    }
  }

 private:
  static __device__ T infinity() { return static_cast<T>(INFINITY); }
  static __device__ T least_of(const T (&tops)[R]) {
    T least = tops[0];
    for (int r = 1; r < R; ++r) least = fmin(least, tops[r]);
    return least;
  }

  // Of the result of row r.
  __device__ std::int64_t entry(int r) const {
    return (line_ / a_.after * a_.n + first_row_ + r) * a_.after + line_ % a_.after;
  }
  // Of column j of a line, in h and v.
  __device__ std::int64_t source(std::int64_t line, std::int64_t j) const {
    return (line / a_.after * a_.m + j) * a_.after + line % a_.after;
  }

  __device__ T offset(T y, T x) const {
    T u = y - x;
    if (!PLAIN && a_.period > 0) u = fma(-rint(u / a_.period), a_.period, u);
    return u;
  }
  // In units of the scale.
  __device__ T cost(T u) const {
    if (PLAIN || a_.form == Form::squared) return u * u;
    if (a_.form == Form::distance) return fabs(u);
    return pow_positive(u * u, a_.power / 2);
  }
  __device__ T factor(Factor factor, T u) const {
    switch (factor) {
      case Factor::one:
        return 1;
      case Factor::offset:
        return u;
      case Factor::square:
        return u * u;
      case Factor::cost:
        return a_.scale * cost(u);
      case Factor::cost_square:
        return a_.scale * cost(u) * a_.scale * cost(u);
      case Factor::cost_offset:
        return a_.scale * cost(u) * u;
      default:
        return -u * kernels::slope_of_squared<T>(a_.form, a_.scale, a_.power, u * u);
    }
  }

  // h of the tile, in units of the scale, -inf beyond the axis; and its largest of each line.
  __device__ void load(std::int64_t b) {
    __syncthreads();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const std::int64_t lines = a_.before * a_.after;
    if (LINES) {
      // Lanes along whatever lies side by side in memory.
      for (int step = warp; step < 32; step += kWarps) {
        const int c = a_.after == 1 ? lane : step, l = a_.after == 1 ? step : lane;
        const std::int64_t j = b * kAxisBlock + c, line = first_line_ + l;
        tile_[c * kPitch + l] =
            j < a_.m && line < lines ? a_.h[source(line, j)] / a_.scale : -infinity();
      }
    } else if (threadIdx.x < kAxisBlock) {
      const std::int64_t j = b * kAxisBlock + threadIdx.x;
      tile_[threadIdx.x] = j < a_.m ? a_.h[source(line_, j)] / a_.scale : -infinity();
    }
    __syncthreads();
    if (LINES) {  // each warp of a part of the columns
      T high = -infinity();
      for (int c = warp * kPart; c < (warp + 1) * kPart; ++c)
        high = fmax(high, tile_[c * kPitch + lane]);
      high_[threadIdx.x] = high;
      __syncthreads();
    }
  }

  // Whether some lane of the warp has a score of `level` or more in the tile.
  __device__ bool counted(T level, std::int64_t b) const {
    T high = -infinity();
    if (LINES)
      for (int part = 0; part < kWarps; ++part) high = fmax(high, high_[part * 32 + at_]);
    else
      for (int c = 0; c < kAxisBlock; ++c) high = fmax(high, tile_[c]);
    const T x_low = x_[0], x_high = x_[R - 1], y_low = a_.y[b * kAxisBlock],
            y_high = a_.y[b * kAxisBlock + kAxisBlock - 1];
    T gap = fmax(y_low - x_high, x_low - y_high);
    if (!PLAIN && a_.period > 0) {
      const T apart = (y_low + y_high - x_low - x_high) / 2;
      gap = fabs(offset(apart, T(0))) - (y_high - y_low + x_high - x_low) / 2;
    }
    // What rounding of coordinates and of the way round may take from it, and from the cost.
    const T u = sizeof(T) == 4 ? T(1.2e-7) : T(2.3e-16);
    const T far = fmax(fmax(fabs(x_low), fabs(x_high)), fmax(fabs(y_low), fabs(y_high)));
    gap = fmax(T(0), gap - 8 * u * fmax(far, a_.period));
    return __any_sync(0xffffffffu, high > -infinity() && high - cost(gap) * (1 - 64 * u) >= level);
  }

  // sums[r] = sum_j 2^((score - top) k), and of output q >= 0 the totals.
  __device__ void sum(std::int64_t tiles, int q, T cut, const T (&tops)[R], double (&sums)[R],
                      double (&totals)[R]) {
    for (int r = 0; r < R; ++r) sums[r] = totals[r] = 0;
    for (std::int64_t b = 0; b < tiles; ++b) {
      load(b);
      if (!counted(cut, b)) continue;
      typename Powers<T, MIXED>::Sum part[R] = {};
      T total[R] = {};
      for (int c = 0; c < kAxisBlock; ++c) {
        const std::int64_t j = b * kAxisBlock + c;
        const T h = tile_[c * kPitch + at_], y = a_.y[j];
#pragma unroll
        for (int r = 0; r < R; ++r) {
          const T u = offset(y, x_[r]);
          const auto w = powers_(h - cost(u) - tops[r]);
          part[r] += w;
          if (q >= 0 && w > 0)
            for (int t = 0; t < a_.term_count; ++t) {
              const AxisTerm term = a_.terms[t];
              if (term.output != q) continue;
              const T v = term.column < 0
                              ? T(1)
                              : a_.v[source(line_, j) * a_.v_row + term.column * a_.v_col];
              total[r] += static_cast<T>(w) * factor(term.factor, u) * v;
            }
        }
      }
      for (int r = 0; r < R; ++r) sums[r] += part[r], totals[r] += total[r];
    }
  }

  static constexpr int kPart = kAxisBlock / kWarps;

  const Axis<T>& a_;
  T *const tile_, *const high_;
  const Powers<T, MIXED> powers_;
  std::int64_t first_line_, line_, first_row_;
  bool counts_;
  int at_;
  T x_[R];
};

template <class T, bool MIXED, bool PLAIN, bool LINES, int R>
struct AxisKernel {
  static constexpr int kThreads = verbs::kThreads;
  Axis<T> a;

  __device__ void operator()(Block at) const {
    using S = Sweep<T, MIXED, PLAIN, LINES, R>;
    __shared__ T shared[S::kShared];
    await_previous();
    S(a, shared, at.x).run();
    allow_next();
  }
};

template <class T>
std::int64_t blocks_of(const Axis<T>& a, bool of_lines, int r) {
  const std::int64_t rows = (of_lines ? kWarps : kThreads) * r, lines = a.before * a.after;
  return (a.n + rows - 1) / rows * (of_lines ? (lines + 31) / 32 : lines);
}

template <class T, bool MIXED, bool PLAIN, bool LINES, int R>
void launch_axis(const Axis<T>& a, Exec& exec) {
  launch(AxisKernel<T, MIXED, PLAIN, LINES, R>{a}, blocks_of(a, LINES, R), exec);
}

template <class T, bool MIXED, bool PLAIN>
void launch_axis(const Axis<T>& a, Exec& exec) {
  // A warp of lines where most of its lanes have one; four rows a thread where they leave blocks
  // enough to hide each other's waits.
  constexpr std::int64_t kManyBlocks = 2048;
  if (a.before * a.after < 16)
    launch_axis<T, MIXED, PLAIN, false, 1>(a, exec);
  else if (blocks_of(a, true, 4) >= kManyBlocks)
    launch_axis<T, MIXED, PLAIN, true, 4>(a, exec);
  else
    launch_axis<T, MIXED, PLAIN, true, 1>(a, exec);
}
}  // namespace
}  // namespace monge::cuda::verbs

namespace monge::kernels::cuda {
template <class T>
void axis(const AxisArgs<T>& args, Exec& exec) {
  namespace verbs = monge::cuda::verbs;
  if (args.before * args.n * args.after == 0) return;
  const monge::cuda::Current current(exec);
  poll(exec, 0);
  const bool mixed = sizeof(T) == 8 && args.precision == Precision::mixed && !args.outputs &&
                     args.form == Form::squared;
  verbs::Axis<T> a{.form = args.form,
                   .scale = args.scale,
                   .power = args.power,
                   .period = args.period,
                   .x = args.x,
                   .y = args.y,
                   .before = args.before,
                   .n = args.n,
                   .m = args.m,
                   .after = args.after,
                   .h = args.h,
                   .softmin = args.softmin,
                   .log_sum = args.log_sum,
                   .v = args.v,
                   .v_row = args.v_row,
                   .v_col = args.v_col,
                   .terms = {},
                   .term_count = static_cast<int>(args.terms.size()),
                   .outputs = args.outputs,
                   .averages = args.averages,
                   .a_row = args.a_row,
                   .a_col = args.a_col,
                   .eps = args.eps,
                   .depth = std::numeric_limits<double>::infinity()};
  std::copy(args.terms.begin(), args.terms.end(), a.terms);
  const int bits = mixed ? 32 : std::numeric_limits<T>::digits;
  if (args.skips)
    a.depth = (bits + std::ceil(std::log2(static_cast<double>(args.m)))) * args.eps *
              0.69314718055994530942 / static_cast<double>(args.scale);
  const bool plain = args.form == Form::squared && !(args.period > 0);
  if constexpr (sizeof(T) == 8)
    if (mixed)
      return plain ? verbs::launch_axis<T, true, true>(a, exec)
                   : verbs::launch_axis<T, true, false>(a, exec);
  plain ? verbs::launch_axis<T, false, true>(a, exec)
        : verbs::launch_axis<T, false, false>(a, exec);
}
template void axis<float>(const AxisArgs<float>&, Exec&);
template void axis<double>(const AxisArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
