// axis: chunks of lines are gathered once, prepared, and swept by groups of rows: for every line
// the rows' maxima, over the few blocks that may hold them, then the sums over the blocks that
// count.
#include "kernels/axis.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/axis.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/products-inl.hpp"
#include "cpu/softmin-inl.hpp"

#ifndef MONGE_CPU_AXIS_ONCE
#define MONGE_CPU_AXIS_ONCE
namespace monge::cpu {
inline constexpr int kAxisRows = 8;  // a group: they share loads, maxima and the choice of blocks
inline constexpr int kAxisHeld = 8;  // blocks whose weights are held for the terms
/// Lines of a chunk: a line of cache of results.
template <class T>
inline constexpr int kAxisLines = 64 / sizeof(T);

/// What a thread needs for a chunk: h and v of its lines, the blocks' largest h, then of a group of
/// rows their least costs, bounds and weights.
template <class T>
struct AxisScratch {
  std::int64_t padded, blocks, lines, columns;  // blocks: padded to kPanel
  explicit AxisScratch(const kernels::AxisArgs<T>& a)
      : padded(kernels::padded_axis(a.m)),
        blocks(kernels::padded(padded / kernels::kAxisBlock)),
        lines(std::min<std::int64_t>(kAxisLines<T>, a.before * a.after)),
        columns(a.columns) {}
  std::int64_t line() const { return padded * (1 + columns); }
  std::int64_t maxima() const { return lines * line(); }
  std::int64_t least() const { return maxima() + lines * blocks; }
  std::int64_t bounds() const { return least() + blocks; }
  std::int64_t weights() const { return bounds() + blocks; }
  std::int64_t size() const { return weights() + kAxisRows * kAxisHeld * kernels::kAxisBlock; }
};

struct AxisTask {
  std::int64_t first_line, first_row, last_row;
};
}  // namespace monge::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
using kernels::AxisArgs;
using kernels::AxisTerm;
using kernels::Factor;
using kernels::kAxisBlock;

// Costs of kAxisRows rows from i on (the last repeats), in units of the scale.
template <Form FORM, bool PERIODIC, class T>
class AxisScores {
 public:
  using V = hn::Vec<Tag<T>>;

  AxisScores(const AxisArgs<T>& a, std::int64_t i)
      : y_(a.y), power_(a.power), period_(a.period), per_period_(PERIODIC ? 1 / a.period : T(0)) {
    for (int r = 0; r < kAxisRows; ++r)
      std::fill_n(x_ + r * kLanes<T>, kLanes<T>, a.x[std::min(i + r, a.n - 1)]);
  }

  HWY_INLINE void offsets(std::int64_t j, V (&u)[kAxisRows]) const {
    constexpr Tag<T> d;
    const V y = hn::Load(d, y_ + j);
    unrolled<kAxisRows>([&](int r) MONGE_LAMBDA {
      u[r] = hn::Sub(y, hn::Load(d, x_ + r * kLanes<T>));
      if constexpr (PERIODIC)
        u[r] = hn::NegMulAdd(hn::Round(hn::Mul(u[r], hn::Set(d, per_period_))), hn::Set(d, period_),
                             u[r]);
    });
  }

  HWY_INLINE void at(std::int64_t j, V h, V (&z)[kAxisRows]) const {
    V u[kAxisRows];
    offsets(j, u);
    if constexpr (FORM == Form::squared) {
      unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { z[r] = hn::NegMulAdd(u[r], u[r], h); });
    } else {
      costs(u);
      unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { z[r] = hn::Sub(h, u[r]); });
    }
  }

  // From offsets, in place.
  HWY_INLINE void costs(V (&u)[kAxisRows]) const {
    constexpr Tag<T> d;
    unrolled<kAxisRows>([&](int r) MONGE_LAMBDA {
      u[r] = FORM == Form::distance ? hn::Abs(u[r]) : hn::Mul(u[r], u[r]);
    });
    if constexpr (FORM == Form::power) pow_positive(d, u, power_ / 2);
  }

  // dc/dx from offsets, in place.
  HWY_INLINE void slopes(V (&u)[kAxisRows]) const {
    constexpr Tag<T> d;
    if constexpr (FORM == Form::squared) {
      unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { u[r] = hn::Mul(u[r], hn::Set(d, T(-2))); });
    } else {
      V size[kAxisRows];
      unrolled<kAxisRows>([&](int r) MONGE_LAMBDA {
        size[r] = FORM == Form::distance ? hn::Set(d, T(1)) : hn::Mul(u[r], u[r]);
      });
      if constexpr (FORM == Form::power) pow_positive(d, size, (power_ - 1) / 2);
      unrolled<kAxisRows>([&](int r) MONGE_LAMBDA {
        const V slope = hn::CopySign(hn::Mul(size[r], hn::Set(d, Slope())), hn::Neg(u[r]));
        u[r] = hn::IfThenZeroElse(hn::Eq(u[r], hn::Zero(d)), slope);
      });
    }
  }

  // A lower bound of the costs as computed, between any of the rows and columns [first, last].
  T least(const AxisArgs<T>& a, std::int64_t i, std::int64_t first, std::int64_t last) const {
    const double x_low = a.x[i], x_high = a.x[std::min(i + kAxisRows, a.n) - 1];
    const double y_low = a.y[first], y_high = a.y[last];
    double gap = std::max({0.0, y_low - x_high, x_low - y_high});
    if constexpr (PERIODIC) {
      const double apart = (y_low + y_high - x_low - x_high) / 2;
      const double width = (y_high - y_low + x_high - x_low) / 2;
      gap = std::max(0.0, std::abs(std::remainder(apart, static_cast<double>(period_))) - width);
    }
    // What rounding of coordinates and of the way round may take from it, and from the cost.
    constexpr double u = std::numeric_limits<T>::epsilon();
    const double far = std::max({std::abs(x_low), std::abs(x_high), std::abs(y_low),
                                 std::abs(y_high), static_cast<double>(period_)});
    gap = std::max(0.0, gap - 4 * u * far);
    const double cost = FORM == Form::squared    ? gap * gap
                        : FORM == Form::distance ? gap
                                                 : std::pow(gap, static_cast<double>(power_));
    return static_cast<T>(cost * (1 - 16 * u));
  }

 private:
  T Slope() const { return FORM == Form::power ? power_ : T(1); }

  HWY_ALIGN T x_[kAxisRows * kLanes<T>];
  const T* HWY_RESTRICT y_;
  T power_, period_, per_period_;
};

template <class T>
struct AxisLine {
  const T *h, *v, *high;  // h in units of the scale; v [columns, padded]; the largest h of a block
};

// How far below a row's largest score a block may be left out: all of them together then weigh less
// than what rounding takes from the sum.
template <class E, class T>
T axis_depth(const AxisArgs<T>& a, T k) {
  if (!a.skips) return std::numeric_limits<T>::max() / 4;  // blocks of -inf alone fall below
  const int bits = std::is_same_v<E, MixedSum> ? 32 : std::numeric_limits<T>::digits;
  return static_cast<T>((bits + std::ceil(std::log2(static_cast<double>(a.m)))) / k);
}

// One group of rows: what it knows of all lines, and the sweeps over one.
template <class E, class Scores, class T>
class AxisGroup {
  using V = hn::Vec<Tag<T>>;

 public:
  AxisGroup(const AxisArgs<T>& args, const AxisScratch<T>& sizes, T k, T depth, std::int64_t i,
            T* scratch)
      : args_(args),
        sizes_(sizes),
        depth_(depth),
        scores_(args, i),
        exponentials_(k),
        least_(scratch + sizes.least()),
        bounds_(scratch + sizes.bounds()),
        weights_(scratch + sizes.weights()) {
    const std::int64_t blocks = sizes.padded / kAxisBlock;
    for (std::int64_t b = 0; b < blocks; ++b)
      least_[b] =
          scores_.least(args, i, b * kAxisBlock, std::min((b + 1) * kAxisBlock, args.m) - 1);
    std::fill(least_ + blocks, least_ + sizes.blocks, T(0));
    std::fill_n(origin_, kAxisRows * kLanes<T>, E::origin_of(0));
  }

  // tops: each row's largest score. False: the line has no point.
  bool maxima(const AxisLine<T>& line, T* tops) {
    constexpr Tag<T> d;
    V highest = hn::Set(d, -std::numeric_limits<T>::infinity());
    for (std::int64_t b = 0; b < sizes_.blocks; b += kLanes<T>) {
      const V bound = hn::Sub(hn::LoadU(d, line.high + b), hn::LoadU(d, least_ + b));
      hn::StoreU(bound, d, bounds_ + b);
      highest = hn::Max(highest, bound);
    }
    const T most = hn::GetLane(hn::MaxOfLanes(d, highest));
    if (std::isinf(most)) return false;
    V best[kAxisRows];
    unrolled<kAxisRows>(
        [&](int r) MONGE_LAMBDA { best[r] = hn::Set(d, std::numeric_limits<T>::lowest()); });
    // The blocks that may hold the maxima: first the likeliest, after which few others may.
    for_blocks(most, [&](std::int64_t b) MONGE_LAMBDA { raise(line, b, best); });
    T low = reduce(best, tops);
    bool more = false;
    for_blocks(low, [&](std::int64_t b) MONGE_LAMBDA {
      if (bounds_[b] == most) return;
      raise(line, b, best);
      more = true;
    });
    if (more) low = reduce(best, tops);
    for (int r = 0; r < kAxisRows; ++r) hn::Store(hn::Set(d, tops[r]), d, tops_ + r * kLanes<T>);
    cut_ = low - depth_;
    return true;
  }

  // sums[r] = sum_j 2^((score - top) k), after maxima().
  void sum(const AxisLine<T>& line, double* sums) const {
    constexpr Tag<T> d;
    const E exponentials = exponentials_;
    std::fill_n(sums, kAxisRows, 0.0);
    V sum[kAxisRows];
    const auto clear = [&]() MONGE_LAMBDA {
      unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { sum[r] = hn::Zero(d); });
    };
    const auto flush = [&]() MONGE_LAMBDA {
      sums_of_lanes(sum, [&](int r, double total) MONGE_LAMBDA { sums[r] += total; });
    };
    clear();
    int held = 0;
    for_blocks(cut_, [&](std::int64_t b) MONGE_LAMBDA {
      if (held == kChunk) flush(), clear(), held = 0;
      held += kAxisBlock;
      const std::int64_t j0 = b * kAxisBlock;
      for (std::int64_t j = j0; j < j0 + kAxisBlock; j += kLanes<T>) {
        V z[kAxisRows];
        below_top(line, j, z);
        exponentials.add(z, origin_, sum);
      }
    });
    flush();
  }

  // The same, and totals[q * kAxisRows + r] = the sums of output q.
  void weigh(const AxisLine<T>& line, double* sums, double* totals) const {
    std::fill_n(sums, kAxisRows, 0.0);
    std::fill_n(totals, args_.outputs * kAxisRows, 0.0);
    const E exponentials = exponentials_;
    std::int64_t held[kAxisHeld];
    int count = 0;
    const auto take = [&]() HWY_ATTR {
      accumulate(
          held, count, [](std::int64_t, V(&)[kAxisRows]) MONGE_LAMBDA {}, sums);
      for (const AxisTerm& term : args_.terms)
        accumulate_term(line, term, held, count, totals + term.output * kAxisRows);
      count = 0;
    };
    for_blocks(cut_, [&](std::int64_t b) HWY_ATTR {
      T* const out = weights_ + count * kAxisBlock;
      for (int t = 0; t < kAxisBlock; t += kLanes<T>) {
        V z[kAxisRows];
        below_top(line, b * kAxisBlock + t, z);
        exponentials.weights(
            z, [&](int r, V w) MONGE_LAMBDA { hn::Store(w, Tag<T>(), out + r * kHeld + t); });
      }
      held[count++] = b * kAxisBlock;
      if (count == kAxisHeld) take();
    });
    if (count) take();
  }

 private:
  static constexpr int kHeld = kAxisHeld * kAxisBlock;  // from row to row of the weights

  HWY_INLINE void raise(const AxisLine<T>& line, std::int64_t b, V (&best)[kAxisRows]) const {
    constexpr Tag<T> d;
    for (std::int64_t j = b * kAxisBlock; j < (b + 1) * kAxisBlock; j += kLanes<T>) {
      V z[kAxisRows];
      scores_.at(j, hn::Load(d, line.h + j), z);
      unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { best[r] = hn::Max(best[r], z[r]); });
    }
  }

  // Each row's; returns the least of them.
  static HWY_INLINE T reduce(const V (&best)[kAxisRows], T* tops) {
    join_lanes(
        best, [](auto x, auto y) MONGE_LAMBDA { return hn::Max(x, y); },
        [&](int r, T top) MONGE_LAMBDA { tops[r] = top; });
    return *std::min_element(tops, tops + kAxisRows);
  }

  // body(b) for the blocks whose bound is `least` or more, ascending.
  template <class Body>
  HWY_INLINE void for_blocks(T least, const Body& body) const {
    constexpr Tag<T> d;
    for (std::int64_t b = 0; b < sizes_.blocks; b += kLanes<T>) {
      std::uint8_t bytes[8] = {};
      hn::StoreMaskBits(d, hn::Ge(hn::LoadU(d, bounds_ + b), hn::Set(d, least)), bytes);
      for (unsigned bits = bytes[0] | bytes[1] << 8; bits; bits &= bits - 1)
        body(b + __builtin_ctz(bits));
    }
  }

  HWY_INLINE void below_top(const AxisLine<T>& line, std::int64_t j, V (&z)[kAxisRows]) const {
    constexpr Tag<T> d;
    scores_.at(j, hn::Load(d, line.h + j), z);
    unrolled<kAxisRows>(
        [&](int r) MONGE_LAMBDA { z[r] = hn::Sub(z[r], hn::Load(d, tops_ + r * kLanes<T>)); });
  }

  // sums[r] += sum over the held blocks of w, each vector changed by `times(j, w)` first.
  template <class Times>
  HWY_INLINE void accumulate(const std::int64_t* held, int count, const Times& times,
                             double* sums) const {
    constexpr Tag<T> d;
    V sum[kAxisRows];
    unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { sum[r] = hn::Zero(d); });
    for (int b = 0; b < count; ++b)
      for (int t = 0; t < kAxisBlock; t += kLanes<T>) {
        V w[kAxisRows];
        unrolled<kAxisRows>([&](int r) MONGE_LAMBDA {
          w[r] = hn::Load(d, weights_ + r * kHeld + b * kAxisBlock + t);
        });
        times(held[b] + t, w);
        unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { sum[r] = hn::Add(sum[r], w[r]); });
      }
    sums_of_lanes(sum, [&](int r, double total) MONGE_LAMBDA { sums[r] += total; });
  }

  void accumulate_term(const AxisLine<T>& line, const AxisTerm& term, const std::int64_t* held,
                       int count, double* totals) const {
    const auto with = [&](const auto& factor) HWY_ATTR {
      const T* const v = term.column < 0 ? nullptr : line.v + term.column * sizes_.padded;
      accumulate(
          held, count,
          [&](std::int64_t j, V(&w)[kAxisRows]) MONGE_LAMBDA {
            factor(j, w);
            if (!v) return;
            const V value = hn::Load(Tag<T>(), v + j);
            unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { w[r] = hn::Mul(w[r], value); });
          },
          totals);
    };
    // `change` makes the factor of offsets, in place.
    const auto by = [&](const auto& change) HWY_ATTR {
      with([&](std::int64_t j, V(&w)[kAxisRows]) MONGE_LAMBDA {
        V u[kAxisRows];
        scores_.offsets(j, u);
        change(u);
        unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { w[r] = hn::Mul(w[r], u[r]); });
      });
    };
    switch (term.factor) {
      case Factor::one:
        return with([](std::int64_t, V(&)[kAxisRows]) MONGE_LAMBDA {});
      case Factor::offset:
        return by([](V(&)[kAxisRows]) MONGE_LAMBDA {});
      case Factor::square:
        return by([](V(&u)[kAxisRows]) MONGE_LAMBDA {
          unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { u[r] = hn::Mul(u[r], u[r]); });
        });
      case Factor::cost:
        return by([&](V(&u)[kAxisRows]) MONGE_LAMBDA { scores_.costs(u), scale(u); });
      case Factor::slope:
        return by([&](V(&u)[kAxisRows]) MONGE_LAMBDA { scores_.slopes(u), scale(u); });
    }
  }

  HWY_INLINE void scale(V (&u)[kAxisRows]) const {
    unrolled<kAxisRows>([&](int r)
                            MONGE_LAMBDA { u[r] = hn::Mul(u[r], hn::Set(Tag<T>(), args_.scale)); });
  }

  const AxisArgs<T>& args_;
  const AxisScratch<T>& sizes_;
  const T depth_;
  T cut_ = 0;
  Scores scores_;
  E exponentials_;
  T *least_, *bounds_, *weights_;
  HWY_ALIGN T tops_[kAxisRows * kLanes<T>], origin_[kAxisRows * kLanes<T>];
};

// Where line `line` begins in an array whose axis has `length` entries.
template <class T>
std::int64_t line_start(const AxisArgs<T>& a, std::int64_t length, std::int64_t line) {
  return line / a.after * length * a.after + line % a.after;
}

// h in units of the scale, clean, and v, of the chunk's lines; with the largest h of each block.
template <class T>
void gather_lines(const AxisArgs<T>& a, const AxisScratch<T>& sizes, T unit, T low,
                  std::int64_t first, int lines, T* scratch) {
  std::int64_t start[kAxisLines<T>];
  for (int l = 0; l < lines; ++l) start[l] = line_start(a, a.m, first + l);
  const auto gather = [&](const T* from, std::int64_t row, T* to, T padding) {
    const auto copy = [&](int l, std::int64_t j) {
      to[l * sizes.line() + j] = from[(start[l] + j * a.after) * row];
    };
    if (a.after == 1) {  // in the order of memory
      for (int l = 0; l < lines; ++l)
        for (std::int64_t j = 0; j < a.m; ++j) copy(l, j);
    } else {
      for (std::int64_t j = 0; j < a.m; ++j)
        for (int l = 0; l < lines; ++l) copy(l, j);
    }
    for (int l = 0; l < lines; ++l)
      std::fill_n(to + l * sizes.line() + a.m, sizes.padded - a.m, padding);
  };
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  gather(a.h, 1, scratch, kNone);
  for (int c = 0; c < a.columns; ++c)
    gather(a.v + c * a.v_col, a.v_row, scratch + (1 + c) * sizes.padded, T(0));

  constexpr Tag<T> d;
  const auto inverse = hn::Set(d, 1 / unit), floor = hn::Set(d, low);
  for (int l = 0; l < lines; ++l) {
    T* const h = scratch + l * sizes.line();
    T* const high = scratch + sizes.maxima() + l * sizes.blocks;
    std::fill_n(high, sizes.blocks, kNone);
    for (std::int64_t b = 0; b < sizes.padded / kAxisBlock; ++b) {
      auto best = hn::Set(d, kNone);
      for (std::int64_t j = b * kAxisBlock; j < (b + 1) * kAxisBlock; j += kLanes<T>) {
        const auto value = hn::Mul(hn::Load(d, h + j), inverse);
        best = hn::Max(best, value);
        hn::Store(hn::Max(value, floor), d, h + j);
      }
      high[b] = hn::GetLane(hn::MaxOfLanes(d, best));
    }
  }
}

template <class E, class Scores, class T>
void sweep_axis(const AxisArgs<T>& a, const AxisTask& task, T* scratch) {
  const AxisScratch<T> sizes(a);
  const Exponent<T> exponent(a.eps, a.scale);
  const int lines =
      static_cast<int>(std::min<std::int64_t>(sizes.lines, a.before * a.after - task.first_line));
  gather_lines(a, sizes, exponent.unit, far_below(exponent.k), task.first_line, lines, scratch);
  constexpr int kTile = kAxisLines<T> * kAxisRows;
  HWY_ALIGN double sums[kTile], totals[kernels::kMostOutputs * kAxisRows];
  HWY_ALIGN T tops[kTile];
  const T depth = axis_depth<E>(a, exponent.k);
  std::int64_t start[kAxisLines<T>];
  for (int l = 0; l < lines; ++l) start[l] = line_start(a, a.n, task.first_line + l);
  for (std::int64_t i = task.first_row; i < task.last_row; i += kAxisRows) {
    const int rows = static_cast<int>(std::min<std::int64_t>(kAxisRows, task.last_row - i));
    AxisGroup<E, Scores, T> group(a, sizes, exponent.k, depth, i, scratch);
    const auto at = [&](int l, int r) { return start[l] + (i + r) * a.after; };
    for (int l = 0; l < lines; ++l) {
      const T* const line = scratch + l * sizes.line();
      double* const sum = sums + l * kAxisRows;
      T* const top = tops + l * kAxisRows;
      const AxisLine<T> of{line, line + sizes.padded, scratch + sizes.maxima() + l * sizes.blocks};
      const bool some = group.maxima(of, top);
      if (!some) {
        std::fill_n(sum, kAxisRows, 1.0);
        std::fill_n(top, kAxisRows, -std::numeric_limits<T>::infinity());
        std::fill_n(totals, a.outputs * kAxisRows, 0.0);
      } else if constexpr (std::is_same_v<E, MixedSum>) {
        group.sum(of, sum);
      } else {
        a.outputs ? group.weigh(of, sum, totals) : group.sum(of, sum);
      }
      for (int q = 0; q < a.outputs; ++q)
        for (int r = 0; r < rows; ++r)
          a.averages[at(l, r) * a.a_row + q * a.a_col] =
              static_cast<T>(totals[q * kAxisRows + r] / sum[r]);
    }
    log2_in_place(sums, lines * kAxisRows);
    const auto finished = [&](int l, int r) {
      const int e = l * kAxisRows + r;
      return (tops[e] + sums[e] / exponent.k) * static_cast<double>(exponent.unit);
    };
    for (int r = 0; r < rows; ++r)
      for (int l = 0; l < lines; ++l) {
        if (a.softmin)
          a.softmin[at(l, r)] = -finished(l, r);
        else
          a.log_sum[at(l, r)] = static_cast<T>(finished(l, r));
      }
  }
}

template <class E, Form FORM, class T>
void sweep_form(const AxisArgs<T>& a, const AxisTask& task, T* scratch) {
  if (a.period > 0)
    sweep_axis<E, AxisScores<FORM, true, T>>(a, task, scratch);
  else
    sweep_axis<E, AxisScores<FORM, false, T>>(a, task, scratch);
}

template <class T>
void sweep_axes(const AxisArgs<T>& a, const AxisTask& task, T* scratch) {
  const bool mixed = a.precision == kernels::Precision::mixed && !a.outputs;
  if constexpr (sizeof(T) == 8)
    if (mixed && a.form == Form::squared)
      return sweep_form<MixedSum, Form::squared>(a, task, scratch);
  if (a.form == Form::squared) return sweep_form<ExpSum<T>, Form::squared>(a, task, scratch);
  if (a.form == Form::distance) return sweep_form<ExpSum<T>, Form::distance>(a, task, scratch);
  sweep_form<ExpSum<T>, Form::power>(a, task, scratch);
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
template <class T>
void axis(const AxisArgs<T>& a, Exec& exec) {
  using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers
  constexpr std::int64_t kEnoughTasks = 32, kLeastRows = 64;
  const std::int64_t lines = a.before * a.after;
  if (lines == 0 || a.n == 0) return;
  const AxisScratch<T> sizes(a);
  const std::int64_t chunks = (lines + sizes.lines - 1) / sizes.lines;
  const std::int64_t wanted =
      std::min((kEnoughTasks + chunks - 1) / chunks, (a.n + kLeastRows - 1) / kLeastRows);
  const std::int64_t rows = (a.n + wanted * kAxisRows - 1) / (wanted * kAxisRows) * kAxisRows;
  const std::int64_t parts = (a.n + rows - 1) / rows;
  const std::int64_t stride = (sizes.size() + 15) / 16 * 16;
  Buffer<T> scratch(thread_count(exec) * stride);
  const auto sweep = MONGE_PICK(sweep_axes<T>);
  const double work = static_cast<double>(lines) * static_cast<double>(a.n * a.m) * 8;
  parallel_for(
      chunks * parts, exec,
      [&](std::int64_t task, int thread) {
        const std::int64_t first = task % parts * rows;
        sweep(a, {task / parts * sizes.lines, first, std::min(a.n, first + rows)},
              scratch.data() + thread * stride);
      },
      work);
}
template void axis<float>(const AxisArgs<float>&, Exec&);
template void axis<double>(const AxisArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
