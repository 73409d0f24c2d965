#include "cpu/absorbed_sweep.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/absorbed_sweep.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>
#include <limits>

#include "cpu/exp-inl.hpp"
#include "cpu/round-inl.hpp"
#include "cpu/softmin_sweep.hpp"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
constexpr int kAbsorbedRows = 8;  // rows of K that share a vector of v or of sums
template <class T>
using Tag = hn::CappedTag<T, kernels::kPanel>;
template <class T>
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag<T>()));

template <class T>
double round_entries(const double* HWY_RESTRICT from, int count, T* HWY_RESTRICT to) {
  constexpr Doubles d;
  const auto least = hn::Set(d, std::numeric_limits<T>::min());
  auto largest = hn::Zero(d);
  for (int t = 0; t < count; t += kLanes<double>) {
    const auto entry = hn::LoadU(d, from + t);
    largest = hn::Max(largest, entry);
    store_rounded(hn::IfThenElseZero(hn::Ge(entry, least), entry), to + t);
  }
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

template <class T>
T keep_entries(const T* HWY_RESTRICT from, int count, T* HWY_RESTRICT to) {
  constexpr Tag<T> d;
  const auto least = hn::Set(d, std::numeric_limits<T>::min());
  auto largest = hn::Zero(d);
  for (int t = 0; t < count; t += kLanes<T>) {
    const auto entry = hn::LoadU(d, from + t);
    largest = hn::Max(largest, entry);
    hn::StoreU(hn::IfThenElseZero(hn::Ge(entry, least), entry), d, to + t);
  }
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

template <class T>
double weights_of(const double* HWY_RESTRICT h, const double* HWY_RESTRICT g, double eps,
                  std::int64_t count, T* HWY_RESTRICT v) {
  constexpr Doubles d;
  const auto k = hn::Set(d, 1 / (eps * 0.69314718055994530942));
  const auto none = hn::Set(d, -std::numeric_limits<double>::infinity());
  auto sum = hn::Zero(d);
  for (std::int64_t t = 0; t < count; t += kLanes<double>) {
    const auto bias = hn::LoadU(d, h + t);
    const auto z = hn::Sub(bias, hn::LoadU(d, g + t));
    const auto weight = hn::IfThenElseZero(hn::Gt(bias, none), exp2_scaled(d, z, k));
    sum = hn::Add(sum, weight);
    store_rounded(weight, v + t);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

template <int R, class T>
HWY_INLINE void sums_of_rows(const T* HWY_RESTRICT kernel, std::int64_t stride,
                             std::int64_t columns, const T* HWY_RESTRICT v, double* sums) {
  constexpr Tag<T> d;
  using V = hn::Vec<Tag<T>>;
  std::fill_n(sums, R, 0.0);
  for (std::int64_t j0 = 0; j0 < columns; j0 += kChunk) {
    const std::int64_t end = std::min(columns, j0 + kChunk);
    V sum[R];
    unrolled<R>([&](int r) MONGE_LAMBDA { sum[r] = hn::Zero(d); });
    for (std::int64_t j = j0; j < end; j += kLanes<T>) {
      const V vj = hn::LoadU(d, v + j);
      unrolled<R>([&](int r) MONGE_LAMBDA {
        sum[r] = hn::MulAdd(hn::LoadU(d, kernel + r * stride + j), vj, sum[r]);
      });
    }
    unrolled<R>([&](int r) MONGE_LAMBDA {
      sums[r] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum[r])));
    });
  }
}

template <class T>
void absorbed_rows(const T* kernel, std::int64_t stride, int rows, std::int64_t columns, const T* v,
                   double* sums) {
  int i = 0;
  for (; i + kAbsorbedRows <= rows; i += kAbsorbedRows)
    sums_of_rows<kAbsorbedRows>(kernel + i * stride, stride, columns, v, sums + i);
  for (; i < rows; ++i) sums_of_rows<1>(kernel + i * stride, stride, columns, v, sums + i);
}

// sum[t] += sum over R rows of K_it v_i; kAhead: the next R are read soon.
template <int R, bool kAhead, class T>
HWY_INLINE void add_rows(const T* HWY_RESTRICT kernel, std::int64_t stride, int columns,
                         const T* HWY_RESTRICT v, T* HWY_RESTRICT sum) {
  constexpr Tag<T> d;
  using V = hn::Vec<Tag<T>>;
  V vr[R];
  unrolled<R>([&](int r) MONGE_LAMBDA { vr[r] = hn::Set(d, v[r]); });
  for (int t = 0; t < columns; t += kLanes<T>) {
    V s = hn::Load(d, sum + t);
    unrolled<R>([&](int r) MONGE_LAMBDA {
      if (kAhead) hwy::Prefetch(kernel + (R + r) * stride + t);
      s = hn::MulAdd(hn::LoadU(d, kernel + r * stride + t), vr[r], s);
    });
    hn::Store(s, d, sum + t);
  }
}

template <class T>
void absorbed_columns(const T* kernel, std::int64_t stride, std::int64_t rows, int columns,
                      const T* v, double* sums) {
  HWY_ALIGN T sum[kStrip];
  std::fill_n(sums, columns, 0.0);
  for (std::int64_t i0 = 0; i0 < rows; i0 += kChunk) {
    const std::int64_t end = std::min(rows, i0 + kChunk);
    std::fill_n(sum, columns, T(0));
    std::int64_t i = i0;
    for (; i + kAbsorbedRows <= end; i += kAbsorbedRows)
      add_rows<kAbsorbedRows, false>(kernel + i * stride, stride, columns, v + i, sum);
    for (; i < end; ++i) add_rows<1, false>(kernel + i * stride, stride, columns, v + i, sum);
    for (int t = 0; t < columns; ++t) sums[t] += static_cast<double>(sum[t]);
  }
}

template <int R, class T>
HWY_INLINE void add_normal(const T* HWY_RESTRICT kernel, std::int64_t stride,
                           const T* HWY_RESTRICT v, int count, T* HWY_RESTRICT sums) {
  for (int c = 0; c < count; ++c) {
    double met[R];
    sums_of_rows<R>(kernel, stride, stride, v + c * stride, met);
    T rounded[R];
    std::copy_n(met, R, rounded);
    add_rows<R, true>(kernel, stride, static_cast<int>(stride), rounded, sums + c * stride);
  }
}

template <class T>
void absorbed_normal(const T* kernel, std::int64_t stride, std::int64_t rows, const T* v, int count,
                     T* sums) {
  std::int64_t i = 0;
  for (; i + kAbsorbedRows <= rows; i += kAbsorbedRows)
    add_normal<kAbsorbedRows>(kernel + i * stride, stride, v, count, sums);
  for (; i < rows; ++i) add_normal<1>(kernel + i * stride, stride, v, count, sums);
}

template <class T>
AbsorbedSweep<T> sweep_of() {
  return {round_entries<T>, keep_entries<T>,     weights_of<T>,
          absorbed_rows<T>, absorbed_columns<T>, absorbed_normal<T>};
}
AbsorbedSweep<float> absorbed_f32() { return sweep_of<float>(); }
AbsorbedSweep<double> absorbed_f64() { return sweep_of<double>(); }
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace monge::cpu {
template <>
AbsorbedSweep<float> absorbed_sweep() {
  return MONGE_PICK(absorbed_f32)();
}
template <>
AbsorbedSweep<double> absorbed_sweep() {
  return MONGE_PICK(absorbed_f64)();
}
}  // namespace monge::cpu
#endif
