// Weights on the device. `Exact` follows exp2_scaled of src/cpu/exp-inl.hpp, below 2 ulp, so that
// draws differ from the CPU's only where a number falls within rounding of the edge between two
// columns; otherwise float takes the hardware's 2^z, good to 2 ulp.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace monge::cuda::verbs {
__device__ inline float bits_to(std::int32_t bits, float) { return __int_as_float(bits); }
__device__ inline double bits_to(std::int64_t bits, double) { return __longlong_as_double(bits); }
__device__ inline std::int32_t bits_of(float value) { return __float_as_int(value); }
__device__ inline std::int64_t bits_of(double value) { return __double_as_longlong(value); }

template <class T>
struct ExpTraits;
template <>
struct ExpTraits<float> {
  static constexpr float magic = 0x1.8p23f;  // adding it rounds to an integer in the low bits
  static constexpr int mantissa_bits = 23;
  static constexpr float lowest = -127, highest = 128;
  static constexpr std::int32_t smallest_bits = 0x00800000, infinity_bits = 0x7f800000;
};
template <>
struct ExpTraits<double> {
  static constexpr double magic = 0x1.8p52;
  static constexpr int mantissa_bits = 52;
  static constexpr double lowest = -1023, highest = 1024;
  static constexpr std::int64_t smallest_bits = 0x0010000000000000,
                                infinity_bits = 0x7ff0000000000000;
};

/// 2^f for |f| <= 1/2.
__device__ inline float exp2_fraction(float f) {
  float p = 0.00015345812158740182f;
  p = fmaf(p, f, 0.0013399931209474140f);
  p = fmaf(p, f, 0.0096184889565227916f);
  p = fmaf(p, f, 0.055503287769976638f);
  p = fmaf(p, f, 0.24022646890639572f);
  p = fmaf(p, f, 0.69314720573725268f);
  return fmaf(p, f, 1.0f);
}
__device__ inline double exp2_fraction(double f) {
  const double f2 = __dmul_rn(f, f), f4 = __dmul_rn(f2, f2), f8 = __dmul_rn(f4, f4);
  const auto pair = [&](double c0, double c1) { return fma(f, c1, c0); };
  const double low = fma(pair(0.24022650695910156205, 0.055504108664819921483), f2,
                         pair(1.0, 0.69314718055994533046));
  const double middle = fma(pair(0.00015403530462514613026, 0.0000152527334899608046), f2,
                            pair(0.0096181291075883350833, 0.0013333558146789950323));
  const double high = fma(pair(7.0741056262456593708e-9, 4.4352809446103361611e-10), f2,
                          pair(1.3215433089594629037e-6, 1.0178198033328527662e-7));
  return fma(high, f8, fma(middle, f4, low));
}

/// p 2^n where `rounded` = n + magic; 0 below the normal range, +inf above it.
template <class T>
__device__ T times_power_of_2(T p, T rounded) {
  using E = ExpTraits<T>;
  using Bits = decltype(bits_of(p));
  using Unsigned = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const Unsigned shifted = static_cast<Unsigned>(bits_of(rounded)) << E::mantissa_bits;
  const auto bits = static_cast<Bits>(static_cast<Unsigned>(bits_of(p)) + shifted);
  if (bits < E::smallest_bits) return 0;
  return bits_to(bits < E::infinity_bits ? bits : Bits{E::infinity_bits}, T(0));
}

/// log2(m) for m in [sqrt(1/2), sqrt(2)).
__device__ inline float log2_mantissa(float m) {
  const float u = m - 1;
  float p = -0.1099490055762793f;
  p = fmaf(p, u, 0.18617482166176668f);
  p = fmaf(p, u, -0.19106294095434659f);
  p = fmaf(p, u, 0.20460066948422899f);
  p = fmaf(p, u, -0.2396173855407788f);
  p = fmaf(p, u, 0.28856740352666987f);
  p = fmaf(p, u, -0.36069664995212657f);
  p = fmaf(p, u, 0.48089824120847902f);
  p = fmaf(p, u, -0.72134735149914203f);
  p = fmaf(p, u, 1.4426950408293706f);
  return __fmul_rn(p, u);
}
__device__ inline double log2_mantissa(double m) {
  const double s = __dadd_rn(m, -1.0) / __dadd_rn(m, 1.0), s2 = __dmul_rn(s, s);
  constexpr double two_over_log2 = 2.8853900817779268147;
  double p = two_over_log2 / 21;
#pragma unroll
  for (int odd = 19; odd > 0; odd -= 2) p = fma(p, s2, two_over_log2 / odd);
  return __dmul_rn(p, s);
}

/// s^q for finite s >= 0. Not inlined: it would be copied into every entry of a tile.
template <class T>
__device__ __noinline__ T pow_positive(T s, T q) {
  using E = ExpTraits<T>;
  constexpr T magic = E::magic;
  const auto root_half = bits_of(static_cast<T>(0.70710678118654752440));
  const auto e = (bits_of(s) - root_half) >> E::mantissa_bits;
  const T m = bits_to(static_cast<decltype(e)>(bits_of(s) - (e << E::mantissa_bits)), T(0));
  const T exponent = static_cast<T>(e), log2_m = log2_mantissa(m);

  const T high = round(q * 1024) / 1024, low = q - high;
  const T a = exponent * high, whole = (a + magic) - magic;
  const T rest = (a - whole) + fma(exponent, low, log2_m * q);
  const T whole_rest = (rest + magic) - magic;
  const T n = fmin(fmax(whole + whole_rest, E::lowest), E::highest);
  const T p = times_power_of_2(exp2_fraction(rest - whole_rest), n + magic);
  return bits_of(s) >= E::smallest_bits ? p : T(0);
}

/// The hardware's 2^z, to 2 ulp; 0 below the normal range.
__device__ inline float exp2_fast(float z) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(z));
  return power;
}

/// z -> 2^(z k) with k = unit / (eps log 2).
template <class T, bool Exact>
class Exponential {
 public:
  __device__ Exponential(double eps, T unit)
      : k_(static_cast<T>(1 / (eps * 0.69314718055994530942)) * unit),
        low_(ExpTraits<T>::lowest / k_),
        high_(ExpTraits<T>::highest / k_) {}

  __device__ T operator()(T z) const {
    if constexpr (sizeof(T) == 4 && !Exact) {
      return exp2_fast(z * k_);
    } else {
      constexpr T magic = ExpTraits<T>::magic;
      z = fmin(fmax(z, low_), high_);
      const T rounded = fma(z, k_, magic);
      return times_power_of_2(exp2_fraction(fma(z, k_, -(rounded - magic))), rounded);
    }
  }

  __device__ T k() const { return k_; }

 private:
  T k_, low_, high_;
};
}  // namespace monge::cuda::verbs
