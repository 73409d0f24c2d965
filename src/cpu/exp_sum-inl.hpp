// The exponentials of the hot loops, several vectors at a time: 2^(z k) as weights, and
// sum_j 2^(z_j k + N) for an integer N, a row's shift in units of log 2. Cheaper than exp2_scaled:
// a table in registers takes part of the fraction, and in sums N is folded into the constant that
// rounds and 2^n is a factor of the FMA that adds. ExpSum and MixedSum answer the same calls.
#if defined(MONGE_CPU_EXP_SUM_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_EXP_SUM_INL
#undef MONGE_CPU_EXP_SUM_INL
#else
#define MONGE_CPU_EXP_SUM_INL
#endif

#include "cpu/exp-inl.hpp"
#include "kernels/pairs.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
// AVX-512: 2^(q/32) in float, 2^(q/16) in double from two registers, a polynomial of degree 2 (6)
// for what is left, 5.4e-8 (7e-18), and an instruction that scales by 2^n. Float on AVX2: 2^(q/4)
// from one register. There sums use degree 3: minimax 2.9e-7, of either sign, so that it averages
// out; 4.5e-7 with roundings. Elsewhere 2.5e-7 in float sums and 5e-16 in double.
inline constexpr bool kScale = HWY_TARGET == HWY_AVX3;
template <class T>
inline constexpr bool kQuarters = sizeof(T) == 4 && HWY_TARGET == HWY_AVX2;

template <class T>
struct ExpSumTraits {
  static constexpr bool single = sizeof(T) == 4;
  static constexpr int fraction_bits = kScale ? (single ? 5 : 4) : kQuarters<T> ? 2 : 0;
  static constexpr int shift = ExpTraits<T>::mantissa_bits - fraction_bits;
  static constexpr T magic = ExpTraits<T>::magic / (1 << fraction_bits);
  static constexpr T bias = kScale ? 0 : single ? 127 : 1023;
  // Exponents of 0, half the smallest normal number, and of infinity.
  static constexpr T least = single ? -127 : -1023;
  static constexpr T most = single ? 128 : 1024;
  // Beyond it magic + N would lose its last bits.
  static constexpr double largest_shift = static_cast<double>(magic) / 4;
};

// 2^(q / 2^BITS), by the series of exp, exact before rounding.
template <class T, int BITS>
struct Powers {
  alignas(64) T of[1 << BITS];
  constexpr Powers() : of() {
    for (int q = 0; q < 1 << BITS; ++q) {
      long double term = 1, sum = 1;
      for (int n = 1; n < 30; ++n)
        sum += term *= 0.693147180559945309417232121458L * q / (1 << BITS) / n;
      of[q] = static_cast<T>(sum);
    }
  }
};
template <class T, int BITS>
inline constexpr Powers<T, BITS> kPowers;

#if HWY_TARGET == HWY_AVX3
// A table in two registers.
template <class T, class V = hn::Vec<hn::CappedTag<T, kernels::kPanel>>>
class Lookup {
 public:
  Lookup() = default;
  explicit Lookup(const T* table)
      : low_(hn::Load(hn::DFromV<V>(), table)),
        high_(hn::Load(hn::DFromV<V>(), table + hn::MaxLanes(hn::DFromV<V>()))) {}
  // By the lowest bits of `index`.
  template <class I>
  HWY_INLINE V at(I index) const {
    if constexpr (sizeof(T) == 4)
      return V{_mm512_permutex2var_ps(low_.raw, index.raw, high_.raw)};
    else
      return V{_mm512_permutex2var_pd(low_.raw, index.raw, high_.raw)};
  }

 private:
  V low_, high_;
};
#endif

// Vectors whose steps alternate, to hide latency; as many as the registers hold.
inline constexpr int kSumStage = kScale ? 8 : HWY_TARGET == HWY_AVX2 ? 2 : 4;
inline constexpr int kWeightStage = 2;

template <class T, class D = hn::CappedTag<T, kernels::kPanel>>
class ExpSum {
  using E = ExpSumTraits<T>;

 public:
  using V = hn::Vec<D>;

  explicit ExpSum(T k)
      : k_(hn::Set(D(), k)), least_(hn::Set(D(), E::least / k)), most_(hn::Set(D(), E::most / k)) {
    if constexpr (kScale) {
      table_ = Table(kPowers<T, E::fraction_bits>.of);
    } else if constexpr (kQuarters<T>) {
      // Bits of 2^(q/4) less what the shifted index contributes.
      const hn::RebindToSigned<D> di;
      const auto index = hn::And(hn::Iota(di, 0), hn::Set(di, 3));
      const auto bits = hn::BitCast(di, hn::LoadDup128(D(), kPowers<T, E::fraction_bits>.of));
      table_ = hn::BitCast(
          D(), hn::Sub(hn::Sub(bits, hn::Set(di, 127 << 23)), hn::ShiftLeft<E::shift>(index)));
    }
  }

  // sum[r] += 2^(z[r] k + N_r) for the R rows; origin_of(N_r) fills vector r of `origin`. As good
  // as 0 below the normal range, +inf above it; NaN only where |z k| > 1e18.
  template <int R>
  HWY_INLINE void add(const V (&z)[R], const T* HWY_RESTRICT origin, V (&sum)[R]) const {
    factors<false>(
        z, [&](int r) MONGE_LAMBDA { return hn::Load(D(), origin + r * hn::MaxLanes(D())); },
        [&](int r, V p, V power) MONGE_LAMBDA { sum[r] = hn::MulAdd(p, power, sum[r]); });
  }

  // take(r, 2^(z[r] k)), in the range of add() and as exact as weights().
  template <int R, class Take>
  HWY_INLINE void powers(const V (&z)[R], const Take& take) const {
    const V origin = hn::Set(D(), origin_of(0));
    factors<true>(
        z, [&](int) MONGE_LAMBDA { return origin; },
        [&](int r, V p, V power) MONGE_LAMBDA { take(r, hn::Mul(p, power)); });
  }

  // take(r, w) with w = 2^(z[r] k), at most 2.6 ulp in float and 2 in double; at half the smallest
  // normal number and below, at -inf too, 0, and just above that something smaller than normal;
  // +inf from a rounding of the exponent (at most a factor sqrt(2)) below the end of the range.
  template <int R, class Take>
  HWY_INLINE void weights(const V (&z)[R], const Take& take) const {
    staged<kWeightStage, R>([&](const auto& each) MONGE_LAMBDA {
      constexpr D d;
      const V origin = hn::Set(d, origin_of(0));
      V bounded[kWeightStage], rounded[kWeightStage], f[kWeightStage], p[kWeightStage];
      V power[kWeightStage];
      each([&](int s, int r) MONGE_LAMBDA { bounded[s] = bound(z[r]); });
      each([&](int s, int) MONGE_LAMBDA { rounded[s] = hn::MulAdd(bounded[s], k_, origin); });
      each([&](int s, int)
               MONGE_LAMBDA { f[s] = hn::MulSub(bounded[s], k_, hn::Sub(rounded[s], origin)); });
      each([&](int s, int) MONGE_LAMBDA { power[s] = power_of_2(rounded[s]); });
      each([&](int s, int) MONGE_LAMBDA { p[s] = polynomial<true>(f[s]); });
      each([&](int s, int r) MONGE_LAMBDA { take(r, hn::Mul(p[s], power[s])); });
    });
  }

  // z = 2^(z + n) for integers n and |z| < 1e5; ranges as in `weights`.
  template <int R>
  HWY_INLINE void exp2(const V (&n)[R], V (&z)[R]) const {
    constexpr D d;
    const V origin = hn::Set(d, origin_of(0));
    V power[R];
    unrolled<R>([&](int r) MONGE_LAMBDA { power[r] = hn::Add(z[r], origin); });
    unrolled<R>([&](int r) MONGE_LAMBDA { z[r] = hn::Sub(z[r], hn::Sub(power[r], origin)); });
    unrolled<R>([&](int r)
                    MONGE_LAMBDA { power[r] = power_of_2(clamped(hn::Add(power[r], n[r]))); });
    unrolled<R>([&](int r) MONGE_LAMBDA { z[r] = hn::Mul(polynomial<true>(z[r]), power[r]); });
  }

  static T origin_of(double shift) { return E::magic + E::bias + static_cast<T>(shift); }

 private:
  // take(r, p, 2^n) with 2^(z[r] k + N_r) = p 2^n, p in [1/sqrt(2), sqrt(2)], for origins
  // origin(r).
  template <bool ACCURATE, int R, class Origin, class Take>
  HWY_INLINE void factors(const V (&z)[R], const Origin& origin, const Take& take) const {
    staged<kSumStage, R>([&](const auto& each) MONGE_LAMBDA {
      V rounded[kSumStage], f[kSumStage], p[kSumStage], power[kSumStage];
      each([&](int s, int r) MONGE_LAMBDA { rounded[s] = hn::MulAdd(z[r], k_, origin(r)); });
      each([&](int s, int r) MONGE_LAMBDA { f[s] = hn::Sub(rounded[s], origin(r)); });
      each([&](int s, int r) MONGE_LAMBDA { f[s] = hn::MulSub(z[r], k_, f[s]); });
      each([&](int s, int) MONGE_LAMBDA { power[s] = power_of_2(clamped(rounded[s])); });
      each([&](int s, int) MONGE_LAMBDA { p[s] = polynomial<ACCURATE>(f[s]); });
      each([&](int s, int r) MONGE_LAMBDA { take(r, p[s], power[s]); });
    });
  }

  // body(each) for groups of STAGE vectors, where each(step) is step(s, r) for vector s of the
  // group, r of all.
  template <int STAGE, int R, class Body>
  static HWY_INLINE void staged(const Body& body) {
    unrolled<(R + STAGE - 1) / STAGE>([&](int group) MONGE_LAMBDA {
      body([&](const auto& step) MONGE_LAMBDA {
        unrolled<STAGE>([&](int s) MONGE_LAMBDA {
          if (group * STAGE + s < R) step(s, group * STAGE + s);
        });
      });
    });
  }

  // To what the range reduction takes.
  HWY_INLINE V bound(V z) const {
#if HWY_TARGET == HWY_AVX3
    constexpr int kLeastMagnitude = 2;  // with the sign of z
    if constexpr (sizeof(T) == 4)
      return V{_mm512_range_ps(z.raw, most_.raw, kLeastMagnitude)};
    else
      return V{_mm512_range_pd(z.raw, most_.raw, kLeastMagnitude)};
#else
    return hn::Max(hn::Min(z, most_), least_);
#endif
  }

  // To exponents that power_of_2 takes.
  static HWY_INLINE V clamped(V rounded) {
    constexpr D d;
    [[maybe_unused]] const V low = hn::Set(d, E::magic);
    [[maybe_unused]] const V high = hn::Set(d, E::magic + 2 * E::bias + 1);
    if constexpr (kScale) {
      return rounded;  // the instruction that scales takes any
    } else if constexpr (sizeof(T) == 4) {
      // Of two positive floats the greater has the greater bits; negative ones are clamped too.
      const hn::RebindToSigned<D> di;
      return hn::BitCast(d, hn::Min(hn::Max(hn::BitCast(di, rounded), hn::BitCast(di, low)),
                                    hn::BitCast(di, high)));
    } else {
      return hn::Min(hn::Max(rounded, low), high);
    }
  }

  // 2^(rounded - magic - bias), rounded a multiple of 2^-fraction_bits: 0 at the lowest exponent
  // that has bits, +inf at the highest.
  HWY_INLINE V power_of_2(V rounded) const {
    constexpr D d;
    const hn::RebindToSigned<D> di;
    const auto bits = hn::BitCast(di, rounded);
#if HWY_TARGET == HWY_AVX3
    const V n = hn::Sub(rounded, hn::Set(d, E::magic));
    // Subnormal results would be slow.
    const auto normal = hn::Gt(n, hn::Set(d, E::least)).raw;
    const auto fraction = table_.at(bits).raw;
    if constexpr (sizeof(T) == 4)
      return V{_mm512_maskz_scalef_ps(normal, fraction, n.raw)};
    else
      return V{_mm512_maskz_scalef_pd(normal, fraction, n.raw)};
#else
    const auto exponent = hn::ShiftLeft<E::shift>(bits);
#if HWY_TARGET == HWY_AVX2
    if constexpr (kQuarters<T>)
      return hn::BitCast(
          d, hn::Add(exponent, hn::BitCast(di, V{_mm256_permutevar_ps(table_.raw, bits.raw)})));
#endif
    return hn::BitCast(d, exponent);
#endif
  }

  // 2^f for |f| <= 2^-(fraction_bits + 1).
  template <bool ACCURATE>
  static HWY_INLINE V polynomial(V f) {
    constexpr D d;
    if constexpr (kScale && sizeof(T) == 4) {
      return horner(d, f, 0.24022474583246717, 0.69315734356519730, 1.0);
    } else if constexpr (kScale) {
      return horner(d, f, 0.00015403304544295042049, 0.0013333818807798421819,
                    0.0096181291131423176759, 0.055504108652094498855, 0.24022650695909842392,
                    0.6931471805599468629, 1.0);
    } else if constexpr (kQuarters<T> && ACCURATE) {
      return horner(d, f, 0.009615121031273360119, 0.055530139329412077988, 0.24022658919390624361,
                    0.69314707899883604883, 1.0);
    } else if constexpr (kQuarters<T>) {
      return horner(d, f, 0.055483278416958856, 0.24037671222383027, 0.69314762796972846,
                    0.99999970727061380);
    } else if constexpr (sizeof(T) == 4 && !ACCURATE) {
      return horner(d, f, 0.0013276478687573995, 0.0096755417045280200, 0.055507132478029821,
                    0.24022119713913720, 0.69314696708851291, 1.0000000716584092);
    } else {
      return exp2_fraction(d, f);
    }
  }

#if HWY_TARGET == HWY_AVX3
  using Table = Lookup<T>;
#else
  using Table = V;
#endif
  V k_, least_, most_;
  Table table_;
};

// Scores, exponents and sums in double, exponentials in float. An exponent e is rounded to float
// relative to its row's shift, which its sum is about 1 by (kernels::largest_sum): what that moves
// the sum by, 2^e |e| 2^-24 log 2 at most, is not above the rounding of the exponentials.
class MixedSum {
  using D = hn::CappedTag<double, kernels::kPanel>;
  using Singles = ExpSum<float>;
  static constexpr int kJoined = HWY_TARGET == HWY_SCALAR ? 1 : 2;  // vectors to one of floats

 public:
  using V = hn::Vec<D>;

  explicit MixedSum(double k) : k_(hn::Set(D(), k)), singles_(1) {}

  // As ExpSum::add.
  template <int R>
  HWY_INLINE void add(const V (&z)[R], const double* HWY_RESTRICT origin, V (&sum)[R]) const {
    constexpr D d;
    [[maybe_unused]] constexpr hn::CappedTag<float, kernels::kPanel> df;
    [[maybe_unused]] constexpr hn::Rebind<float, D> half;
    const auto exponents = [&](int r) MONGE_LAMBDA {
      return hn::DemoteTo(half, hn::MulAdd(z[r], k_, hn::Load(d, origin + r * hn::MaxLanes(d))));
    };
    Singles::V e[R / kJoined];
    unrolled<R / kJoined>([&](int v) MONGE_LAMBDA {
#if HWY_TARGET == HWY_SCALAR
      e[v] = exponents(v);
#else
      e[v] = hn::Combine(df, exponents(2 * v + 1), exponents(2 * v));
#endif
    });
    singles_.powers(e, [&](int v, Singles::V power) MONGE_LAMBDA {
#if HWY_TARGET == HWY_SCALAR
      sum[v] = hn::Add(sum[v], hn::PromoteTo(d, power));
#else
      sum[2 * v] = hn::Add(sum[2 * v], hn::PromoteTo(d, hn::LowerHalf(power)));
      sum[2 * v + 1] = hn::Add(sum[2 * v + 1], hn::PromoteTo(d, hn::UpperHalf(half, power)));
#endif
    });
  }

  static double origin_of(double shift) { return shift; }

 private:
  V k_;
  Singles singles_;
};
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
