// The hot loops of softmin: sums relative to the rows' shifts over one chunk of columns, by direct
// differences in small dimensions and from tiles or matrix entries.
#if defined(MONGE_CPU_SOFTMIN_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_SOFTMIN_INL
#undef MONGE_CPU_SOFTMIN_INL
#else
#define MONGE_CPU_SOFTMIN_INL
#endif

#include <algorithm>

#include "cpu/round-inl.hpp"
#include "cpu/scores-inl.hpp"
#include "cpu/softmin_sweep.hpp"
#include "cpu/tile-inl.hpp"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
using kernels::kRowBlock;
using kernels::SoftminArgs;

// 1e15 in units of the exponent: farther down than any weight reaches, near enough to be exact in
// the range reduction. Removed columns and forbidden pairs are put there, as -inf - (-inf) is NaN.
template <class T>
T far_below(T k) {
  return -std::min(T(1e15) / k, std::numeric_limits<T>::max() / 4);
}

// What the chunk's columns add to their scores, in units of these and clean: h, of squared
// distances as products h - |y|^2.
template <class T>
void prepare_h(const SoftminArgs<T>& args, const Exponent<T>& exponent, std::int64_t j0,
               int columns, T* out) {
  constexpr Doubles d;
  const auto& p = args.pairs;
  const T* const norms = p.form == Form::squared ? p.cols.norms : nullptr;
  const auto inverse = hn::Set(d, 1 / static_cast<double>(exponent.unit));
  const auto low = hn::Set(d, static_cast<double>(far_below(exponent.k)));
  for (int t = 0; t < columns; t += kLanes<double>) {
    auto h = hn::Mul(hn::LoadU(d, args.h + j0 + t), inverse);
    if (norms) h = hn::Sub(h, widened(norms + j0 + t));
    store_rounded(hn::Max(h, low), out + t);
  }
}

// Numbers of a line of cache. Runs of a matrix are too short for the hardware to see them coming.
template <class T>
inline constexpr int kLine = 64 / sizeof(T);

// Scores h_j - c_ij from rows of costs, +inf included.
template <class T>
struct CostScores {
  using V = hn::Vec<Tag<T>>;
  const T* HWY_RESTRICT costs;  // row r from costs + r * stride
  const T* next;                // the same of what is read after these; null: is in cache
  std::int64_t stride;
  T low;

  HWY_INLINE void at(int t, V h, V (&z)[kRows]) const {
    constexpr Tag<T> d;
    if (next && t % kLine<T> == 0)
      unrolled<kRows>([&](int r) MONGE_LAMBDA { hwy::Prefetch(next + r * stride + t); });
    unrolled<kRows>([&](int r) MONGE_LAMBDA {
      z[r] = hn::Max(hn::Sub(h, hn::LoadU(d, costs + r * stride + t)), hn::Set(d, low));
    });
  }
};

// The exponentials E of the sums below: ExpSum<T> or MixedSum.

// sums[r] += sum over the chunk of 2^(score k + N_r).
template <class E, class T, class Scores>
HWY_INLINE void sum_chunk(const E& exponentials, const Scores& scores, const T* HWY_RESTRICT h,
                          int columns, const T* HWY_RESTRICT origin, double* HWY_RESTRICT sums) {
  constexpr Tag<T> d;
  using V = hn::Vec<Tag<T>>;
  V sum[kRows];
  unrolled<kRows>([&](int r) MONGE_LAMBDA { sum[r] = hn::Zero(d); });
  for (int t = 0; t < columns; t += kLanes<T>) {
    V z[kRows];
    scores.at(t, hn::Load(d, h + t), z);
    exponentials.add(z, origin, sum);
  }
  for (int r = 0; r < kRows; ++r)
    sums[r] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum[r])));
}

// Origins of kRows rows from `whole_shift`, in every lane; rows past the last repeat it.
template <class E, class T>
void broadcast_origins(const T* whole_shift, int rows, T* out) {
  for (int r = 0; r < kRows; ++r)
    std::fill_n(out + r * kLanes<T>, kLanes<T>, E::origin_of(whole_shift[std::min(r, rows - 1)]));
}

template <class E, class Scores, class T>
HWY_NOINLINE void sum_direct(const SoftminArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0,
                             int columns, const T* h, const T* whole_shift,
                             const Exponent<T>& exponent, double* sums) {
  const E exponentials(exponent.k);
  HWY_ALIGN T origin[kRows * kLanes<T>];
  for (int g = 0; g < rows; g += kRows) {
    const int group = std::min(kRows, rows - g);
    broadcast_origins<E>(whole_shift + g, group, origin);
    double part[kRows] = {};
    sum_chunk(exponentials, Scores(args.pairs, i0 + g, group, j0), h, columns, origin, part);
    for (int r = 0; r < group; ++r) sums[g + r] += part[r];
  }
}

// Any other cost: one tile at a time through its costs. Whole rows of a matrix that is stored by
// rows are read in place.
template <class E, class T>
void sum_tiles(const SoftminArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0, int columns,
               const T* h, const T* whole_shift, const Exponent<T>& exponent, double* sums) {
  const auto& p = args.pairs;
  const TileArgs<T> tile_args{.pairs = p, .eps = args.eps};
  const E exponentials(exponent.k);
  const T low = far_below(exponent.k);
  HWY_ALIGN T costs[kRows * kColumnBlock];
  HWY_ALIGN T origin[kRows * kLanes<T>];
  for (int g = 0; g < rows; g += kRows) {
    const int group = std::min(kRows, rows - g);
    broadcast_origins<E>(whole_shift + g, group, origin);
    double part[kRows] = {};
    int done = 0;
    if (p.form == Form::matrix && p.col_stride == 1 && group == kRows) {
      done = static_cast<int>(std::min<std::int64_t>(columns, p.m - j0)) / kPanel * kPanel;
      const T* const costs_at = p.matrix + (i0 + g) * p.row_stride + j0;
      const T* const next = g + 2 * kRows <= rows ? costs_at + kRows * p.row_stride
                                                  : costs_at - g * p.row_stride + done;
      sum_chunk(exponentials, CostScores<T>{costs_at, next, p.row_stride, low}, h, done, origin,
                part);
    }
    for (int t = done; t < columns; t += kColumnBlock) {
      const int width = std::min(kColumnBlock, columns - t);
      tile_costs(tile_args, i0 + g, group, j0 + t, width, costs);
      for (int r = group; r < kRows; ++r) std::copy_n(costs, width, costs + r * kColumnBlock);
      sum_chunk(exponentials, CostScores<T>{costs, nullptr, kColumnBlock, low}, h + t, width,
                origin, part);
    }
    for (int r = 0; r < group; ++r) sums[g + r] += part[r];
  }
}

// Costs down contiguous columns, all kRowBlock rows: a lane is a row, nothing is transposed.
template <class E, class T>
void sum_transposed(const SoftminArgs<T>& args, std::int64_t i0, std::int64_t j0, int columns,
                    const T* h, const T* whole_shift, const Exponent<T>& exponent, double* sums) {
  constexpr Tag<T> d;
  using V = hn::Vec<Tag<T>>;
  constexpr int kStep = kRows * kLanes<T> < kRowBlock ? kRows * kLanes<T> : kRowBlock;
  constexpr int kVectors = kStep / kLanes<T>;
  const auto& p = args.pairs;
  const E exponentials(exponent.k);
  const V low = hn::Set(d, far_below(exponent.k));
  const int inside = static_cast<int>(std::min<std::int64_t>(columns, p.m - j0));
  constexpr int kAhead = 32;  // columns
  HWY_ALIGN T origin[kRowBlock], lane_sums[kRowBlock];
  for (int r = 0; r < kRowBlock; ++r) origin[r] = E::origin_of(whole_shift[r]);
  for (int t0 = 0; t0 < inside; t0 += kColumnBlock) {
    const int end = std::min(inside, t0 + kColumnBlock);
    for (int first = 0; first < kRowBlock; first += kStep) {
      V sum[kVectors];
      unrolled<kVectors>([&](int v) MONGE_LAMBDA { sum[v] = hn::Zero(d); });
      for (int t = t0; t < end; ++t) {
        const T* const column = p.matrix + i0 + first + (j0 + t) * p.col_stride;
        const V ht = hn::Set(d, h[t]);
        unrolled<kStep / kLine<T>>([&](int line) MONGE_LAMBDA {
          hwy::Prefetch(column + kAhead * p.col_stride + line * kLine<T>);
        });
        V z[kVectors];
        unrolled<kVectors>([&](int v) MONGE_LAMBDA {
          z[v] = hn::Max(hn::Sub(ht, hn::LoadU(d, column + v * kLanes<T>)), low);
        });
        exponentials.add(z, origin + first, sum);
      }
      for (int v = 0; v < kVectors; ++v) hn::Store(sum[v], d, lane_sums + first + v * kLanes<T>);
    }
    for (int r = 0; r < kRowBlock; ++r) sums[r] += static_cast<double>(lane_sums[r]);
  }
}

// By a running maximum, tile by tile.
template <class T>
void robust_sweep(const SoftminArgs<T>& args, std::int64_t i0, int rows, ColumnRange range,
                  RobustSum* out) {
  constexpr Tag<T> d;
  const auto& p = args.pairs;
  const TileArgs<T> tile_args{.pairs = p, .eps = args.eps};
  const Exponent<T> exponent(args.eps, T(1));
  const auto k = hn::Set(d, exponent.k);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  HWY_ALIGN T scores[kTileRows * kColumnBlock];
  HWY_ALIGN T h[kColumnBlock];
  std::fill_n(out, rows, RobustSum{-kInfinity, 0});
  for_each_chunk(p, i0 / kRowBlock, range, [&](std::int64_t j0, int columns) HWY_ATTR {
    for (int t0 = 0; t0 < columns; t0 += kColumnBlock) {
      const int width = std::min(kColumnBlock, columns - t0);
      tile_costs(tile_args, i0, rows, j0 + t0, width, scores);
      for (int t = 0; t < width; t += kLanes<double>)
        store_rounded(hn::LoadU(Doubles(), args.h + j0 + t0 + t), h + t);
      for (int r = 0; r < rows; ++r) {
        T* const row = scores + r * kColumnBlock;
        auto best = hn::Set(d, static_cast<T>(-kInfinity));
        for (int t = 0; t < width; t += kLanes<T>) {
          const auto score = hn::Sub(hn::Load(d, h + t), hn::Load(d, row + t));
          hn::Store(score, d, row + t);
          best = hn::Max(best, score);
        }
        const double top = std::max<double>(out[r].top, hn::GetLane(hn::MaxOfLanes(d, best)));
        if (std::isinf(top)) {  // nothing yet, or a cost of -inf
          out[r] = {top, top > 0 ? 1.0 : 0.0};
          continue;
        }
        if (top > out[r].top) out[r].sum *= std::exp2((out[r].top - top) * exponent.per_cost());
        out[r].top = top;
        const auto minus_top = hn::Set(d, static_cast<T>(-top));
        auto sum = hn::Zero(d);
        for (int t = 0; t < width; t += kLanes<T>)
          sum = hn::Add(sum, exp2_scaled(d, hn::Add(hn::Load(d, row + t), minus_top), k));
        out[r].sum += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
      }
    }
  });
}

inline void log2_in_place(double* values, int count) {
  const hn::ScalableTag<double> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  int at = 0;
  for (; at + lanes <= count; at += lanes)
    hn::StoreU(log2_positive(d, hn::LoadU(d, values + at)), d, values + at);
  if (at == count) return;
  HWY_ALIGN double rest[8];
  std::fill_n(rest, lanes, 1.0);
  std::copy_n(values + at, count - at, rest);
  hn::Store(log2_positive(d, hn::Load(d, rest)), d, rest);
  std::copy_n(rest, count - at, values + at);
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
