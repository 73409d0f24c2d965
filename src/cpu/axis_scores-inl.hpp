// Costs along an axis, their derivatives and bounds, of a group of rows at a time.
#if defined(MONGE_CPU_AXIS_SCORES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_AXIS_SCORES_INL
#undef MONGE_CPU_AXIS_SCORES_INL
#else
#define MONGE_CPU_AXIS_SCORES_INL
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/axis.hpp"
#include "cpu/scores-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
using kernels::AxisArgs;

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
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
