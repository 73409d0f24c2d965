// Sums over the columns of a tile, shared by the verbs. Highway's per-target include guard.
#if defined(MONGE_CPU_PRODUCTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_PRODUCTS_INL
#undef MONGE_CPU_PRODUCTS_INL
#else
#define MONGE_CPU_PRODUCTS_INL
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/pairs.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::kColumnBlock;
using kernels::kPanel;

template <class D, class V>
HWY_INLINE double sum_of_lanes(D d, V v) {
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, v)));
}

// sums[r * stride + c] += sum_t w[r][t] v[c][t]: R C sums in registers, one column block in T.
template <int R, int C, class T>
HWY_INLINE void add_products_block(const T* HWY_RESTRICT w, const T* HWY_RESTRICT v,
                                   std::int64_t v_stride, int columns, double* sums,
                                   std::int64_t stride) {
  const hn::CappedTag<T, kPanel> d;
  hn::Vec<decltype(d)> sum[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = hn::Zero(d);
  for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d))) {
    hn::Vec<decltype(d)> vc[C];
    for (int c = 0; c < C; ++c) vc[c] = hn::Load(d, v + c * v_stride + t);
    for (int r = 0; r < R; ++r) {
      const auto wr = hn::Load(d, w + r * kColumnBlock + t);
      for (int c = 0; c < C; ++c) sum[r][c] = hn::MulAdd(wr, vc[c], sum[r][c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums[r * stride + c] += sum_of_lanes(d, sum[r][c]);
}

// R rows at once while there are as many, the rest one by one.
template <int R, int C, class T>
void add_products_rows(const T* w, int rows, const T* v, std::int64_t v_stride, int columns,
                       double* sums, std::int64_t stride) {
  int r = 0;
  for (; r + R <= rows; r += R)
    add_products_block<R, C>(w + r * kColumnBlock, v, v_stride, columns, sums + r * stride, stride);
  for (; r < rows; ++r)
    add_products_block<1, C>(w + r * kColumnBlock, v, v_stride, columns, sums + r * stride, stride);
}

// sums[r * stride + c] += sum_t w[r][t] v[c][t] for r < rows, c < count; rows of w lie
// kColumnBlock apart, those of v v_stride. 12 sums fill 16 registers; 8 hide the FMA's latency.
template <class T>
void add_products(const T* w, int rows, const T* v, std::int64_t v_stride, int count, int columns,
                  double* sums, std::int64_t stride) {
  int c = 0;
  for (; c + 3 <= count; c += 3)
    add_products_rows<4, 3>(w, rows, v + c * v_stride, v_stride, columns, sums + c, stride);
  if (count - c == 2)
    add_products_rows<4, 2>(w, rows, v + c * v_stride, v_stride, columns, sums + c, stride);
  if (count - c == 1)
    add_products_rows<8, 1>(w, rows, v + c * v_stride, v_stride, columns, sums + c, stride);
}

// w = w factor where w > 0, else 0: a factor may be +inf where the weight is 0. `factor` may be w.
template <class T>
void multiply(const T* factor, int rows, int columns, T* w) {
  const hn::CappedTag<T, kPanel> d;
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d))) {
      const auto weight = hn::Load(d, w + r * kColumnBlock + t);
      const auto product = hn::Mul(weight, hn::Load(d, factor + r * kColumnBlock + t));
      hn::Store(hn::IfThenElseZero(hn::Gt(weight, hn::Zero(d)), product), d,
                w + r * kColumnBlock + t);
    }
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
