// Powers of squared distances.
#if defined(MONGE_CPU_POW_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_POW_INL
#undef MONGE_CPU_POW_INL
#else
#define MONGE_CPU_POW_INL
#endif

#include "cpu/exp_sum-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
// For each of 2^BITS parts of [1, 2): 1 / m of a number m in its middle, and log2(m).
template <class T, int BITS>
struct Logarithms {
  alignas(64) T inverse[1 << BITS];
  alignas(64) T log2[1 << BITS];
  constexpr Logarithms() : inverse(), log2() {
    for (int part = 0; part < 1 << BITS; ++part) {
      inverse[part] = static_cast<T>((2 << BITS) / ((2 << BITS) + 2.0L * part + 1));
      // -log(inverse) = 2 atanh((1 - inverse) / (1 + inverse))
      const long double t = (1.0L - inverse[part]) / (1.0L + inverse[part]);
      long double power = t, sum = 0;
      for (int n = 1; n < 90; n += 2, power *= t * t) sum += power / n;
      log2[part] = static_cast<T>(2 * 1.442695040888963407359924681L * sum);
    }
  }
};
template <class T, int BITS>
inline constexpr Logarithms<T, BITS> kLogarithms;

// log2(s) = e + l for positive normal s, e integer: for AVX-512 by a table as wide as two registers
// and a polynomial, 3.5e-9 (1.4e-17) of what is left.
template <int R, class D, class V>
HWY_INLINE void log2_parts(D d, const V (&s)[R], V (&e)[R], V (&l)[R]) {
  [[maybe_unused]] const auto each = [](const auto& step) MONGE_LAMBDA { unrolled<R>(step); };
#if HWY_TARGET == HWY_AVX3
  using T = hn::TFromD<D>;
  constexpr bool kSingle = sizeof(T) == 4;
  constexpr int kBits = kSingle ? 5 : 4;
  const Lookup<T> inverse(kLogarithms<T, kBits>.inverse), log2(kLogarithms<T, kBits>.log2);
  const hn::RebindToSigned<D> di;
  V rest[R], p[R];
  each([&](int r) MONGE_LAMBDA {
    const auto part = hn::ShiftRight<ExpTraits<T>::mantissa_bits - kBits>(hn::BitCast(di, s[r]));
    V m;
    if constexpr (kSingle) {
      e[r] = V{_mm512_getexp_ps(s[r].raw)};
      m = V{_mm512_getmant_ps(s[r].raw, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src)};
    } else {
      e[r] = V{_mm512_getexp_pd(s[r].raw)};
      m = V{_mm512_getmant_pd(s[r].raw, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src)};
    }
    rest[r] = hn::MulSub(m, inverse.at(part), hn::Set(d, T(1)));
    l[r] = log2.at(part);
  });
  if constexpr (kSingle)
    horner(d, rest, p, 0.48099494145942072, -0.72141825063498845, 1.4426950341926084);
  else
    horner(d, rest, p, -0.18069293198290613, 0.20643063335165201, -0.24044886506852722,
           0.28853878015199566, -0.36067376033040144, 0.48089834702104216, -0.72134752044446939,
           1.4426950408889594);
  each([&](int r) MONGE_LAMBDA { l[r] = hn::MulAdd(p[r], rest[r], l[r]); });
#else
  each([&](int r) MONGE_LAMBDA { e[r] = split_exponent(d, s[r], l[r]); });
  log2_mantissa(d, l);
#endif
}

// s^q in place, for finite s >= 0 and |q| < 1e5; 0^q = 0, as is s below the normal range except in
// the orders that roots make. Not inlined: a compiler would spend minutes on its copies, and a call
// costs nothing beside it.
template <int R, class D, class V>
HWY_NOINLINE void pow_positive(D d, V (&s)[R], hn::TFromD<D> q) {
  using T = hn::TFromD<D>;
  const auto each = [](const auto& step) MONGE_LAMBDA { unrolled<R>(step); };
  if (q == T(0.75))
    return each([&](int r) MONGE_LAMBDA {
      const V root = hn::Sqrt(s[r]);
      s[r] = hn::Mul(root, hn::Sqrt(root));
    });
  if (q == T(1.5)) return each([&](int r) MONGE_LAMBDA { s[r] = hn::Mul(s[r], hn::Sqrt(s[r])); });
  if (q == T(2)) return each([&](int r) MONGE_LAMBDA { s[r] = hn::Mul(s[r], s[r]); });
  const ExpSum<T, D> exponentials(T(1));
  const V magic = hn::Set(d, ExpTraits<T>::magic);
  // q = high + low where high has so few bits that high * exponent is exact.
  const T high = static_cast<T>(std::round(q * 1024)) / 1024, low = q - high;
  V e[R], l[R], n[R];
  log2_parts(d, s, e, l);
  each([&](int r) MONGE_LAMBDA {
    n[r] = hn::Sub(hn::MulAdd(e[r], hn::Set(d, high), magic), magic);
    const V fraction = hn::MulSub(e[r], hn::Set(d, high), n[r]);
    l[r] = hn::MulAdd(l[r], hn::Set(d, q), hn::MulAdd(e[r], hn::Set(d, low), fraction));
  });
  exponentials.exp2(n, l);
  each([&](int r) MONGE_LAMBDA {
    const auto normal = hn::Ge(s[r], hn::Set(d, std::numeric_limits<T>::min()));
    s[r] = hn::IfThenElseZero(normal, l[r]);
  });
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
