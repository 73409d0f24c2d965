// The vectorised exponential. Highway's per-target include guard: compiled once per target.
#if defined(MONGE_CPU_EXP_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_EXP_INL
#undef MONGE_CPU_EXP_INL
#else
#define MONGE_CPU_EXP_INL
#endif

#include <cmath>
#include <limits>
#include <utility>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#define MONGE_LAMBDA __attribute__((always_inline)) HWY_ATTR

// step(0), ..., step(N - 1), each inlined: arrays of vectors then live in registers.
template <int N, class Step>
HWY_INLINE void unrolled(const Step& step) {
  [&]<int... S>(std::integer_sequence<int, S...>) MONGE_LAMBDA { (step(S), ...); }
  (std::make_integer_sequence<int, N>());
}

template <class T>
struct ExpTraits;
template <>
struct ExpTraits<float> {
  static constexpr float magic = 0x1.8p23f;  // adding it rounds to an integer in the low bits
  static constexpr int mantissa_bits = 23;
  static constexpr float lowest = -127, highest = 128;  // exponents kept by the clamp
};
template <>
struct ExpTraits<double> {
  static constexpr double magic = 0x1.8p52;
  static constexpr int mantissa_bits = 52;
  static constexpr double lowest = -1023, highest = 1024;
};

// p[r] = ((c0 u + c1) u + ...), all R at a time: chains of dependent steps then hide each other.
template <int R, class D, class V, class... Rest>
HWY_INLINE void horner(D d, const V (&u)[R], V (&p)[R], double leading, Rest... rest) {
  using T = hn::TFromD<D>;
  unrolled<R>([&](int r) MONGE_LAMBDA { p[r] = hn::Set(d, static_cast<T>(leading)); });
  const auto step = [&](double c) MONGE_LAMBDA {
    unrolled<R>([&](int r)
                    MONGE_LAMBDA { p[r] = hn::MulAdd(p[r], u[r], hn::Set(d, static_cast<T>(c))); });
  };
  (step(rest), ...);
}

template <class D, class V, class... Coefficients>
HWY_INLINE V horner(D d, V u, Coefficients... c) {
  const V one[1] = {u};
  V p[1];
  horner(d, one, p, c...);
  return p[0];
}

// 2^f for |f| <= 1/2: minimax in the relative error, 1.9e-9 in float, 3.1e-18 in double (the
// constant term rounds to 1, so that 2^0 = 1 exactly).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp2_fraction(D d, V f) {
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    return horner(d, f, 0.00015345812158740182, 0.0013399931209474140, 0.0096184889565227916,
                  0.055503287769976638, 0.24022646890639572, 0.69314720573725268, 1.0);
  } else {
    // Estrin: the chain of eleven dependent steps is what limits Horner's form.
    const auto pair = [&](double c0, double c1)
                          HWY_ATTR { return hn::MulAdd(f, hn::Set(d, c1), hn::Set(d, c0)); };
    const V f2 = hn::Mul(f, f), f4 = hn::Mul(f2, f2), f8 = hn::Mul(f4, f4);
    const V low = hn::MulAdd(pair(0.24022650695910156205, 0.055504108664819921483), f2,
                             pair(1.0, 0.69314718055994533046));
    const V middle = hn::MulAdd(pair(0.00015403530462514613026, 0.0000152527334899608046), f2,
                                pair(0.0096181291075883350833, 0.0013333558146789950323));
    const V high = hn::MulAdd(pair(7.0741056262456593708e-9, 4.4352809446103361611e-10), f2,
                              pair(1.3215433089594629037e-6, 1.0178198033328527662e-7));
    return hn::MulAdd(high, f8, hn::MulAdd(middle, f4, low));
  }
}

// log2(m), in place, for m in [sqrt(1/2), sqrt(2)); relative error 4.1e-9 in float and 1e-18 in
// double before rounding.
template <int R, class D, class V>
HWY_INLINE void log2_mantissa(D d, V (&m)[R]) {
  V p[R];
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    unrolled<R>([&](int r) MONGE_LAMBDA { m[r] = hn::Sub(m[r], hn::Set(d, 1.0f)); });
    horner(d, m, p, -0.1099490055762793, 0.18617482181166768, -0.19106294095434659,
           0.20460066948422899, -0.2396173855407788, 0.28856740352666987, -0.36069664995212657,
           0.48089824120847902, -0.72134735149914203, 1.4426950408293706);
  } else {
    // log m = 2 atanh((m - 1) / (m + 1)), by its Taylor series.
    constexpr double c = 2.8853900817779268147;  // 2 / log 2
    V square[R];
    unrolled<R>([&](int r) MONGE_LAMBDA {
      m[r] = hn::Div(hn::Sub(m[r], hn::Set(d, 1.0)), hn::Add(m[r], hn::Set(d, 1.0)));
      square[r] = hn::Mul(m[r], m[r]);
    });
    horner(d, square, p, c / 21, c / 19, c / 17, c / 15, c / 13, c / 11, c / 9, c / 7, c / 5, c / 3,
           c);
  }
  unrolled<R>([&](int r) MONGE_LAMBDA { m[r] = hn::Mul(p[r], m[r]); });
}

// p 2^n where `rounded` = n + magic and n stands in [lowest, highest]; p in [2^-1/2, 2^1/2].
// 0 below the normal range, +inf above it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V times_power_of_2(D d, V p, V rounded) {
  using T = hn::TFromD<D>;
  const hn::RebindToSigned<D> di;
  // Adding n to the exponent field is exact at both ends of the range, where 2^n itself is not.
  // One step beyond them the bits are negative or those of a subnormal, or else of inf or NaN.
  const auto bits = hn::Add(hn::BitCast(di, p),
                            hn::ShiftLeft<ExpTraits<T>::mantissa_bits>(hn::BitCast(di, rounded)));
  const auto smallest = hn::BitCast(di, hn::Set(d, std::numeric_limits<T>::min()));
  const auto largest = hn::BitCast(di, hn::Set(d, std::numeric_limits<T>::infinity()));
  return hn::BitCast(d, hn::IfThenZeroElse(hn::Lt(bits, smallest), hn::Min(bits, largest)));
}

// 2^(z k) for k > 0. 0 below the normal range (-inf included), +inf above it. With FMA the product
// z k is never rounded; the error is then at most 0.9 ulp in float and 1.9 in double, for k = 1 at
// most 1.2 and 2 on every target.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp2_scaled(D d, V z, V k) {
  using E = ExpTraits<hn::TFromD<D>>;
  const V magic = hn::Set(d, E::magic);
  z = hn::Min(hn::Max(z, hn::Div(hn::Set(d, E::lowest), k)), hn::Div(hn::Set(d, E::highest), k));
  const V rounded = hn::MulAdd(z, k, magic);
  const V fraction = hn::MulSub(z, k, hn::Sub(rounded, magic));
  return times_power_of_2(d, exp2_fraction(d, fraction), rounded);
}

// s = 2^e m with m in [sqrt(1/2), sqrt(2)), for positive normal s; returns e.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V split_exponent(D d, V s, V& m) {
  constexpr int kBits = ExpTraits<hn::TFromD<D>>::mantissa_bits;
  const hn::RebindToSigned<D> di;
  const auto root_half =
      hn::BitCast(di, hn::Set(d, static_cast<hn::TFromD<D>>(0.70710678118654752440)));
  const auto e = hn::ShiftRight<kBits>(hn::Sub(hn::BitCast(di, s), root_half));
  m = hn::BitCast(d, hn::Sub(hn::BitCast(di, s), hn::ShiftLeft<kBits>(e)));
  return hn::ConvertTo(d, e);
}

// log2(s) for positive normal s.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V log2_positive(D d, V s) {
  V m[1];
  const V e = split_exponent(d, s, m[0]);
  log2_mantissa(d, m);
  return hn::Add(e, m[0]);
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
