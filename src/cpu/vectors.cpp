#include "cpu/vectors.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/vectors.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>
#include <cmath>

#include "cpu/exp-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
using Doubles = hn::ScalableTag<double>;
using V = hn::Vec<Doubles>;

template <class Function>
HWY_INLINE void in_place(double* values, int count, const Function& function) {
  constexpr Doubles d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  int i = 0;
  for (; i + lanes <= count; i += lanes)
    hn::StoreU(function(d, hn::LoadU(d, values + i)), d, values + i);
  if (i == count) return;
  HWY_ALIGN double rest[hn::MaxLanes(d)] = {};
  std::copy_n(values + i, count - i, rest);
  hn::Store(function(d, hn::Load(d, rest)), d, rest);
  std::copy_n(rest, count - i, values + i);
}

HWY_INLINE V exp_of(Doubles d, V z) {
  const V power = exp2_scaled(d, z, hn::Set(d, 1.4426950408889634074));
  return hn::IfThenElse(hn::IsNaN(z), z, power);
}

// Where exp(z) - 1 would cancel, |z| < 0.35, by its Taylor series: what follows is below
// 0.35^13 / 14! = 1.4e-17 of z.
HWY_INLINE V expm1_of(Doubles d, V z) {
  const V series = hn::Mul(z, horner(d, z, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800,
                                     1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                                     1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1.0));
  const V power = hn::Sub(exp_of(d, z), hn::Set(d, 1.0));
  return hn::IfThenElse(hn::Lt(hn::Abs(z), hn::Set(d, 0.35)), series, power);
}

void exp_in_place(double* values, int count) {
  in_place(values, count, [](Doubles d, V z) MONGE_LAMBDA { return exp_of(d, z); });
}
void expm1_in_place(double* values, int count) {
  in_place(values, count, [](Doubles d, V z) MONGE_LAMBDA { return expm1_of(d, z); });
}

void balanced(const double* f, const double* s, const double* weight, int count, double eps,
              double log_scale, BalancedSums* sums) {
  constexpr Doubles d;
  constexpr int kMost = hn::MaxLanes(d);
  const int lanes = static_cast<int>(hn::Lanes(d));
  const V width = hn::Set(d, eps), scale = hn::Set(d, log_scale);
  V total = hn::Zero(d), mass = total, dual = total, residual = total, apart = total;
  const auto take = [&](const double* fs, const double* ss, const double* weights) MONGE_LAMBDA {
    const V a = hn::LoadU(d, weights), potential = hn::LoadU(d, fs);
    const auto counts = hn::Gt(a, hn::Zero(d));
    const V z = hn::Add(hn::Div(hn::Sub(potential, hn::LoadU(d, ss)), width), scale);
    const V off = hn::IfThenElseZero(counts, expm1_of(d, z)), far = hn::Abs(off);
    total = hn::Add(total, a);
    mass = hn::Add(mass, hn::MulAdd(a, off, a));
    dual = hn::Add(dual, hn::IfThenElseZero(counts, hn::Mul(a, potential)));
    residual = hn::MulAdd(a, far, residual);
    apart = hn::Max(apart, far);
  };
  int i = 0;
  for (; i + lanes <= count; i += lanes) take(f + i, s + i, weight + i);
  if (i < count) {
    double rest[3][kMost] = {};
    std::copy_n(f + i, count - i, rest[0]);
    std::copy_n(s + i, count - i, rest[1]);
    std::copy_n(weight + i, count - i, rest[2]);
    take(rest[0], rest[1], rest[2]);
  }
  const auto sum = [&](V v) MONGE_LAMBDA { return hn::GetLane(hn::SumOfLanes(d, v)); };
  sums->weight += sum(total);
  sums->mass += sum(mass);
  sums->dual += sum(dual);
  sums->residual += sum(residual);
  sums->apart = std::max(sums->apart, hn::GetLane(hn::MaxOfLanes(d, apart)));
}

template <class T>
void norms_of(const kernels::Panels<T>& p, T* HWY_RESTRICT norms) {
  using kernels::kPanel;
  for (std::int64_t i = 0; i < kernels::padded(p.count); i += kPanel) {
    T* const total = norms + i;
    std::fill_n(total, kPanel, T(0));
    for (int k0 = 0; k0 < p.dim; k0 += kSummed) {
      T sum[kPanel] = {};
      for (int k = k0; k < std::min(k0 + kSummed, p.dim); ++k) {
        const T* const x = p.data + i * p.dim + k * kPanel;
        for (int lane = 0; lane < kPanel; ++lane) sum[lane] = std::fma(x[lane], x[lane], sum[lane]);
      }
      for (int lane = 0; lane < kPanel; ++lane) total[lane] += sum[lane];
    }
  }
}

VectorFunctions functions() {
  return {exp_in_place, expm1_in_place, balanced, norms_of<float>, norms_of<double>};
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace monge::cpu {
VectorFunctions vector_functions() { return MONGE_PICK(functions)(); }
}  // namespace monge::cpu
#endif
