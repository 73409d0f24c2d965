// A group of rows against one line: their maxima, over the few blocks that may hold them, then the
// sums over the blocks that count.
#if defined(MONGE_CPU_AXIS_GROUP_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_AXIS_GROUP_INL
#undef MONGE_CPU_AXIS_GROUP_INL
#else
#define MONGE_CPU_AXIS_GROUP_INL
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/axis_scores-inl.hpp"
#include "cpu/products-inl.hpp"
#include "cpu/softmin-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
using kernels::AxisTerm;
using kernels::Factor;
using kernels::kAxisBlock;

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
      case Factor::cost_square:
        return by([&](V(&u)[kAxisRows]) MONGE_LAMBDA {
          scores_.costs(u), scale(u);
          unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { u[r] = hn::Mul(u[r], u[r]); });
        });
      case Factor::cost_offset:
        return by([&](V(&u)[kAxisRows]) MONGE_LAMBDA {
          V c[kAxisRows];
          unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { c[r] = u[r]; });
          scores_.costs(c), scale(c);
          unrolled<kAxisRows>([&](int r) MONGE_LAMBDA { u[r] = hn::Mul(u[r], c[r]); });
        });
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
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
