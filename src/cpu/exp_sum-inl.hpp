// The exponentials of softmin: sum_j 2^(z_j k + N) for an integer N, the row's shift in units of
// log 2. Cheaper than exp2_scaled: N is folded into the constant that rounds, and 2^n is one
// factor of the FMA that adds to the sum.
#if defined(MONGE_CPU_EXP_SUM_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_EXP_SUM_INL
#undef MONGE_CPU_EXP_SUM_INL
#else
#define MONGE_CPU_EXP_SUM_INL
#endif

#include <cmath>
#include <utility>

#include "cpu/exp-inl.hpp"
#include "kernels/pairs.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
// Float on AVX2: 2^(q/4) from a table in a register, so that a polynomial of degree 3 is left for
// |f| <= 1/8: minimax 2.9e-7, of either sign, so that it averages out in sums; 4.5e-7 with
// roundings. Float on AVX-512: 2^(q/32) from a table in two registers and degree 2, 5.4e-8, and an
// instruction that scales by 2^n and needs no clamp: a fifth fewer instructions in all. Elsewhere
// 2.5e-7 in float, 5e-16 in double.
template <class T>
inline constexpr bool kQuarters = sizeof(T) == 4 && HWY_TARGET == HWY_AVX2;
template <class T>
inline constexpr bool kScale = sizeof(T) == 4 && HWY_TARGET == HWY_AVX3;

template <class T>
struct ExpSumTraits {
  static constexpr int kFractionBits = kScale<T> ? 5 : kQuarters<T> ? 2 : 0;
  static constexpr int kShift = ExpTraits<T>::mantissa_bits - kFractionBits;
  static constexpr T magic = ExpTraits<T>::magic / (1 << kFractionBits);
  static constexpr T bias = kScale<T> ? 0 : sizeof(T) == 4 ? 127 : 1023;
  // Beyond it magic + N would lose its last bits.
  static constexpr double largest_shift = static_cast<double>(magic) / 4;
};

#define MONGE_LAMBDA __attribute__((always_inline)) HWY_ATTR

// step(0), ..., step(N - 1), each inlined: arrays of vectors then live in registers.
template <int N, class Step>
HWY_INLINE void unrolled(const Step& step) {
  [&]<int... S>(std::integer_sequence<int, S...>) MONGE_LAMBDA { (step(S), ...); }
  (std::make_integer_sequence<int, N>());
}

// Vectors whose steps alternate, to hide latency; as many as the registers hold.
inline constexpr int kStage = HWY_TARGET == HWY_AVX3 ? 8 : HWY_TARGET == HWY_AVX2 ? 2 : 4;

template <class T, class D = hn::CappedTag<T, kernels::kPanel>>
class ExpSum {
 public:
  using V = hn::Vec<D>;

  explicit ExpSum(T k) : k_(hn::Set(D(), k)) {
    if constexpr (kScale<T>) {
      HWY_ALIGN T powers[32];
      for (int q = 0; q < 32; ++q) powers[q] = static_cast<T>(std::exp2(q / 32.0));
      table_ = hn::Load(D(), powers);
      upper_table_ = hn::Load(D(), powers + 16);
    } else if constexpr (kQuarters<T>) {
      // Bits of 2^(q/4) less what the shifted index contributes.
      HWY_ALIGN std::int32_t entries[8];
      for (int at = 0; at < 8; ++at) {
        const std::int32_t q = at % 4;
        const float power = std::exp2(static_cast<float>(q) / 4);
        std::int32_t bits;
        hwy::CopySameSize(&power, &bits);
        entries[at] = bits - (127 << 23) - (q << ExpSumTraits<T>::kShift);
      }
      table_ = hn::BitCast(D(), hn::Load(hn::RebindToSigned<D>(), entries));
    }
  }

  // sum[r] += 2^(z[r] k + N_r) for the R rows; origin_of(N_r) fills vector r of `origin`. 0 below
  // the normal range, +inf above it; NaN only where |z k| > 1e18.
  template <int R>
  HWY_INLINE void add(const V (&z)[R], const T* HWY_RESTRICT origin, V (&sum)[R]) const {
    unrolled<(R + kStage - 1) / kStage>([&](int group) MONGE_LAMBDA {
      V rounded[kStage], f[kStage], p[kStage], power[kStage];
      const auto each = [&](const auto& step) MONGE_LAMBDA {
        unrolled<kStage>([&](int s) MONGE_LAMBDA {
          if (group * kStage + s < R) step(s, group * kStage + s);
        });
      };
      each([&](int s, int r) MONGE_LAMBDA {
        rounded[s] = hn::MulAdd(z[r], k_, hn::Load(D(), origin + r * hn::MaxLanes(D())));
      });
      each([&](int s, int r) MONGE_LAMBDA {
        f[s] = hn::Sub(rounded[s], hn::Load(D(), origin + r * hn::MaxLanes(D())));
      });
      each([&](int s, int r) MONGE_LAMBDA { f[s] = hn::MulSub(z[r], k_, f[s]); });
      each([&](int s, int) MONGE_LAMBDA { power[s] = power_of_2(rounded[s]); });
      each([&](int s, int) MONGE_LAMBDA { p[s] = polynomial(f[s]); });
      each([&](int s, int r) MONGE_LAMBDA { sum[r] = hn::MulAdd(p[s], power[s], sum[r]); });
    });
  }

  static T origin_of(double shift) {
    return ExpSumTraits<T>::magic + ExpSumTraits<T>::bias + static_cast<T>(shift);
  }

 private:
  // 2^(rounded - magic - bias), rounded a multiple of 2^-kFractionBits.
  HWY_INLINE V power_of_2(V rounded) const {
    constexpr D d;
    using E = ExpSumTraits<T>;
    const hn::RebindToSigned<D> di;
    [[maybe_unused]] const V low = hn::Set(d, E::magic),
                             high = hn::Set(d, E::magic + 2 * E::bias + 1);
#if HWY_TARGET == HWY_AVX3
    if constexpr (kScale<T>) {
      const __m512i q = hn::BitCast(di, rounded).raw;  // its low five bits count
      const __m512 fraction = _mm512_permutex2var_ps(table_.raw, q, upper_table_.raw);
      return V{_mm512_scalef_ps(fraction, hn::Sub(rounded, low).raw)};
    }
#endif
    if constexpr (sizeof(T) == 4) {
      // Of two positive floats the greater has the greater bits; negative ones are clamped too.
      const auto bits =
          hn::Min(hn::Max(hn::BitCast(di, rounded), hn::BitCast(di, low)), hn::BitCast(di, high));
      const auto exponent = hn::ShiftLeft<E::kShift>(bits);
#if HWY_TARGET == HWY_AVX2
      return hn::BitCast(
          d, hn::Add(exponent, hn::BitCast(di, V{_mm256_permutevar_ps(table_.raw, bits.raw)})));
#else
      return hn::BitCast(d, exponent);
#endif
    } else {
      const V clamped = hn::Min(hn::Max(rounded, low), high);
      return hn::BitCast(d, hn::ShiftLeft<E::kShift>(hn::BitCast(di, clamped)));
    }
  }

  static HWY_INLINE V polynomial(V f) {
    constexpr D d;
    if constexpr (kScale<T>) {
      const V p =
          hn::MulAdd(f, hn::Set(d, T(0.24022474583246717)), hn::Set(d, T(0.69315734356519730)));
      return hn::MulAdd(p, f, hn::Set(d, T(1)));
    } else if constexpr (kQuarters<T>) {
      V p = hn::MulAdd(f, hn::Set(d, T(0.055483278416958856)), hn::Set(d, T(0.24037671222383027)));
      p = hn::MulAdd(p, f, hn::Set(d, T(0.69314762796972846)));
      return hn::MulAdd(p, f, hn::Set(d, T(0.99999970727061380)));
    } else if constexpr (sizeof(T) == 4) {
      V p =
          hn::MulAdd(f, hn::Set(d, T(0.0013276478687573995)), hn::Set(d, T(0.0096755417045280200)));
      p = hn::MulAdd(p, f, hn::Set(d, T(0.055507132478029821)));
      p = hn::MulAdd(p, f, hn::Set(d, T(0.24022119713913720)));
      p = hn::MulAdd(p, f, hn::Set(d, T(0.69314696708851291)));
      return hn::MulAdd(p, f, hn::Set(d, T(1.0000000716584092)));
    } else {
      return exp2_fraction(d, f);
    }
  }

  V k_, table_, upper_table_;
};
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
