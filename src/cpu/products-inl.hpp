// Sums over the columns of a tile, shared by the verbs. Highway's per-target include guard.
#if defined(MONGE_CPU_PRODUCTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_PRODUCTS_INL
#undef MONGE_CPU_PRODUCTS_INL
#else
#define MONGE_CPU_PRODUCTS_INL
#endif

#include <algorithm>
#include <cstdint>

#include "cpu/exp-inl.hpp"
#include "cpu/sweep.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
using kernels::kColumnBlock;
using kernels::kPanel;

#if HWY_TARGET != HWY_SCALAR
// The blocks of 16 bytes, joined.
template <class V, class Join>
HWY_INLINE auto joined_blocks(V v, [[maybe_unused]] const Join& join) {
  if constexpr (sizeof(V) == 16) {
    return v;
  } else {
    const hn::Half<hn::DFromV<V>> half;
    return joined_blocks(join(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), join);
  }
}
#endif

// take(i, the lanes of v[i], joined two by two) for all i: four vectors become one block, which
// takes a third of the steps that they would take one by one.
template <int N, class V, class Join, class Take>
HWY_INLINE void join_lanes(const V (&v)[N], [[maybe_unused]] const Join& join, const Take& take) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < N; ++i) take(i, hn::GetLane(v[i]));
#else
  using T = hn::TFromV<V>;
  const hn::DFromV<V> d;
  const hn::FixedTag<T, 16 / sizeof(T)> block;
  const auto transposed = [&](auto di, auto x, auto y) MONGE_LAMBDA {
    return join(hn::BitCast(d, hn::InterleaveLower(di, x, y)),
                hn::BitCast(d, hn::InterleaveUpper(di, x, y)));
  };
  unrolled<(N + 3) / 4>([&](int g) MONGE_LAMBDA {
    const auto at = [&](int i) MONGE_LAMBDA {
      return 4 * g + i < N ? v[std::min(4 * g + i, N - 1)] : hn::Zero(d);
    };
    const V low = transposed(d, at(0), at(1)), high = transposed(d, at(2), at(3));
    HWY_ALIGN T four[4];
    if constexpr (sizeof(T) == 4) {
      const hn::Repartition<double, decltype(d)> pairs;
      hn::Store(
          joined_blocks(transposed(pairs, hn::BitCast(pairs, low), hn::BitCast(pairs, high)), join),
          block, four);
    } else {
      hn::Store(joined_blocks(low, join), block, four);
      hn::Store(joined_blocks(high, join), block, four + 2);
    }
    for (int i = 0; i < std::min(4, N - 4 * g); ++i) take(4 * g + i, four[i]);
  });
#endif
}

// add(i, sum of the lanes of v[i]) for all i.
template <int N, class V, class Add>
HWY_INLINE void sums_of_lanes(const V (&v)[N], const Add& add) {
  join_lanes(
      v, [](auto x, auto y) MONGE_LAMBDA { return hn::Add(x, y); },
      [&](int i, auto sum) MONGE_LAMBDA { add(i, static_cast<double>(sum)); });
}

// sums[r] += sum_t w[r][t] for R rows, one column block in T.
template <int R, class T>
HWY_INLINE void add_sums_block(const T* HWY_RESTRICT w, int columns, double* sums) {
  const hn::CappedTag<T, kPanel> d;
  hn::Vec<decltype(d)> sum[R];
  unrolled<R>([&](int r) MONGE_LAMBDA { sum[r] = hn::Zero(d); });
  for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d)))
    unrolled<R>([&](int r) MONGE_LAMBDA {
      sum[r] = hn::Add(sum[r], hn::Load(d, w + r * kColumnBlock + t));
    });
  sums_of_lanes(sum, [&](int r, double total) MONGE_LAMBDA { sums[r] += total; });
}
template <class T>
void add_sums(const T* w, int rows, int columns, double* sums) {
  if (rows == kTileRows) return add_sums_block<kTileRows>(w, columns, sums);
  for (int r = 0; r < rows; ++r) add_sums_block<1>(w + r * kColumnBlock, columns, sums + r);
}

// sums[r * stride + c] += sum_t w[r][t] v_c[t]: R C sums in registers, one column block in T.
template <int R, int C, class T>
HWY_INLINE void add_products_block(const T* HWY_RESTRICT w, Values<T> v, int columns, double* sums,
                                   std::int64_t stride) {
  const hn::CappedTag<T, kPanel> d;
  hn::Vec<decltype(d)> sum[R * C];
  unrolled<R * C>([&](int i) MONGE_LAMBDA { sum[i] = hn::Zero(d); });
  for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d))) {
    const T* const at = v.data + t / kPanel * v.panel + t % kPanel;
    hn::Vec<decltype(d)> vc[C];
    unrolled<C>([&](int c) MONGE_LAMBDA { vc[c] = hn::Load(d, at + c * v.row); });
    unrolled<R>([&](int r) MONGE_LAMBDA {
      const auto wr = hn::Load(d, w + r * kColumnBlock + t);
      unrolled<C>([&](int c)
                      MONGE_LAMBDA { sum[r * C + c] = hn::MulAdd(wr, vc[c], sum[r * C + c]); });
    });
  }
  sums_of_lanes(sum,
                [&](int i, double total) MONGE_LAMBDA { sums[i / C * stride + i % C] += total; });
}

// R rows at once while there are as many, the rest one by one.
template <int R, int C, class T>
void add_products_rows(const T* w, int rows, Values<T> v, int columns, double* sums,
                       std::int64_t stride) {
  int r = 0;
  for (; r + R <= rows; r += R)
    add_products_block<R, C>(w + r * kColumnBlock, v, columns, sums + r * stride, stride);
  for (; r < rows; ++r)
    add_products_block<1, C>(w + r * kColumnBlock, v, columns, sums + r * stride, stride);
}

// sums[r * stride + c] += sum_t w[r][t] v_c[t] for r < rows, c < count; rows of w lie kColumnBlock
// apart. 12 sums (16 on AVX-512) leave registers for what is loaded; 8 hide the FMA's latency.
template <class T>
void add_products(const T* w, int rows, Values<T> v, int count, int columns, double* sums,
                  std::int64_t stride) {
  constexpr int kColumns = HWY_TARGET == HWY_AVX3 ? 4 : 3;
  int c = 0;
  for (; c + kColumns <= count; c += kColumns)
    add_products_rows<4, kColumns>(w, rows, v.from(c), columns, sums + c, stride);
  if (kColumns == 4 && count - c == 3)
    add_products_rows<4, 3>(w, rows, v.from(c), columns, sums + c, stride);
  if (count - c == 2) add_products_rows<4, 2>(w, rows, v.from(c), columns, sums + c, stride);
  if (count - c == 1) add_products_rows<8, 1>(w, rows, v.from(c), columns, sums + c, stride);
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
