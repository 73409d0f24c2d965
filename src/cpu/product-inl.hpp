// Softmin of costs that are products, -2 x.y + |x|^2 + |y|^2 or -x.y, in any dimension: a matrix
// product whose tiles end in exponentials instead of memory.
#if defined(MONGE_CPU_PRODUCT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_PRODUCT_INL
#undef MONGE_CPU_PRODUCT_INL
#else
#define MONGE_CPU_PRODUCT_INL
#endif

#include <algorithm>

#include "cpu/softmin-inl.hpp"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
// Rows x 2 vectors of sums fill the registers: 12 of 16 leave room for two columns and a row value
// (4 x 3 and 5 x 2 are 20 to 25 % slower); AVX-512 has twice as many registers.
inline constexpr int kProductRows = HWY_TARGET == HWY_AVX3 ? 12 : 6;
inline constexpr int kLastRows = 4;  // kRowBlock leaves 4 rows over, for either
// Coordinates per step: the columns of a step stay in L1 while all rows pass by.
template <class T>
inline constexpr int kSlab = 1024 / sizeof(T);

// Rows of a block in groups of kProductRows (the last perhaps of kLastRows). Packed slab by slab,
// in a slab group by group, each [coordinates][rows of the group]: a step reads memory in order.
constexpr int packed_rows(int rows) {
  const int rest = rows % kProductRows;
  return rows - rest + (rest == 0 ? 0 : rest <= kLastRows ? kLastRows : kProductRows);
}
constexpr int group_rows(int rows, int g) {
  return rows - g <= kLastRows ? kLastRows : kProductRows;
}

template <class T>
void pack_rows(const kernels::Panels<T>& points, std::int64_t i0, int rows, T* out) {
  for (int k0 = 0; k0 < points.dim; k0 += kSlab<T>) {
    const int end = std::min(k0 + kSlab<T>, points.dim);
    for (int g = 0; g < rows; g += kProductRows) {
      const int group = group_rows(rows, g);
      for (int r = 0; r < group; ++r) {
        const T* const from = row_coordinates(points, i0 + std::min(g + r, rows - 1));
        for (int k = k0; k < end; ++k) out[(k - k0) * group + r] = from[k * kPanel];
      }
      out += group * (end - k0);
    }
  }
}

// tile[r][0..2L) (+)= x_r.y over `count` coordinates, for two vectors of columns. Not inlined: the
// constants of the exponentials would take registers that the sums need.
template <int R, class T>
HWY_NOINLINE void multiply(const T* HWY_RESTRICT x, const T* HWY_RESTRICT y0,
                           const T* HWY_RESTRICT y1, int count, bool accumulate,
                           T* HWY_RESTRICT tile) {
  constexpr Tag<T> d;
  using V = hn::Vec<Tag<T>>;
  constexpr int kLane = kLanes<T>;
  for (int k0 = 0; k0 < count; k0 += kSummed) {
    const int end = std::min(k0 + kSummed, count);
    V a[R], b[R];
    unrolled<R>([&](int r) MONGE_LAMBDA { a[r] = b[r] = hn::Zero(d); });
    for (int k = k0; k < end; ++k) {
      const V ya = hn::Load(d, y0 + k * kPanel), yb = hn::Load(d, y1 + k * kPanel);
      unrolled<R>([&](int r) MONGE_LAMBDA {
        const V xr = hn::Set(d, x[k * R + r]);
        a[r] = hn::MulAdd(xr, ya, a[r]);
        b[r] = hn::MulAdd(xr, yb, b[r]);
      });
    }
    if (accumulate || k0 > 0)
      unrolled<R>([&](int r) MONGE_LAMBDA {
        a[r] = hn::Add(a[r], hn::Load(d, tile + 2 * r * kLane));
        b[r] = hn::Add(b[r], hn::Load(d, tile + (2 * r + 1) * kLane));
      });
    unrolled<R>([&](int r) MONGE_LAMBDA {
      hn::Store(a[r], d, tile + 2 * r * kLane);
      hn::Store(b[r], d, tile + (2 * r + 1) * kLane);
    });
  }
}

// What a row block keeps in L1 between the steps of one chunk.
template <class T>
struct ProductBlock {
  HWY_ALIGN T tiles[packed_rows(kRowBlock) * 2 * kLanes<T>];  // products
  HWY_ALIGN T sums[packed_rows(kRowBlock) * kLanes<T>];       // one vector a row
  HWY_ALIGN T origins[packed_rows(kRowBlock) * kLanes<T>];
  HWY_ALIGN T norms[packed_rows(kRowBlock)];
};

// The exponentials of one vector of columns, R rows from the block's row g.
template <int R, class E, class T>
HWY_INLINE void add_products(const E& exponentials, hn::Vec<Tag<T>> factor, hn::Vec<Tag<T>> h,
                             int g, int vector, ProductBlock<T>& block) {
  constexpr Tag<T> d;
  using V = hn::Vec<Tag<T>>;
  V z[R], sum[R];
  T* const sums = block.sums + g * kLanes<T>;
  unrolled<R>([&](int r) MONGE_LAMBDA {
    const V product = hn::Load(d, block.tiles + (2 * (g + r) + vector) * kLanes<T>);
    z[r] = hn::Sub(hn::MulAdd(factor, product, h), hn::Set(d, block.norms[g + r]));
    sum[r] = hn::Load(d, sums + r * kLanes<T>);
  });
  exponentials.add(z, block.origins + g * kLanes<T>, sum);
  unrolled<R>([&](int r) MONGE_LAMBDA { hn::Store(sum[r], d, sums + r * kLanes<T>); });
}

// `x`: the block's rows, packed. h: as prepare_h leaves it.
template <class E, class T>
HWY_NOINLINE void sum_products(const SoftminArgs<T>& args, std::int64_t i0, int rows,
                               std::int64_t j0, int columns, const T* h, const T* whole_shift,
                               const Exponent<T>& exponent, const T* x, double* sums) {
  constexpr Tag<T> d;
  constexpr int kLane = kLanes<T>;
  const auto& p = args.pairs;
  const int dim = p.rows.dim;
  const bool squared = p.form == Form::squared;
  const E exponentials(exponent.k);
  const auto factor = hn::Set(d, squared ? T(2) : T(1));
  ProductBlock<T> block;
  const int padded_rows = packed_rows(rows);
  for (int r = 0; r < padded_rows; ++r) {
    const int row = std::min(r, rows - 1);
    std::fill_n(block.origins + r * kLane, kLane, E::origin_of(whole_shift[row]));
    std::fill_n(block.sums + r * kLane, kLane, T(0));
    block.norms[r] = squared ? p.rows.norms[i0 + row] : T(0);
  }
  for (int t = 0; t < columns; t += 2 * kLane) {
    const auto column = [&](int at) {
      return p.cols.data + (j0 + at) / kPanel * kPanel * dim + at % kPanel;
    };
    const int pair = t + kLane < columns ? 2 : 1;  // a last vector alone is multiplied twice
    const T* const y0 = column(t);
    const T* const y1 = column(pair == 2 ? t + kLane : t);
    const T* const next = column(std::min(t + 2 * kLane, columns - kLane));
    const T* xg = x;
    for (int k = 0; k < dim; k += kSlab<T>) {
      const int count = std::min(kSlab<T>, dim - k);
      for (int g = 0; g < padded_rows; g += kProductRows) {
        T* const tile = block.tiles + 2 * g * kLane;
        const int group = group_rows(padded_rows, g);
        // A share of the next step's columns, which come from L3 or memory.
        for (int at = k + count * g / padded_rows; at < k + count * (g + group) / padded_rows; ++at)
          hwy::Prefetch(next + at * kPanel);
        if (group == kLastRows)
          multiply<kLastRows>(xg, y0 + k * kPanel, y1 + k * kPanel, count, k > 0, tile);
        else
          multiply<kProductRows>(xg, y0 + k * kPanel, y1 + k * kPanel, count, k > 0, tile);
        xg += group * count;
      }
    }
    for (int g = 0; g < padded_rows; g += kProductRows)
      for (int v = 0; v < pair; ++v) {
        const auto hv = hn::Load(d, h + t + v * kLane);
        if (group_rows(padded_rows, g) == kLastRows)
          add_products<kLastRows>(exponentials, factor, hv, g, v, block);
        else
          add_products<kProductRows>(exponentials, factor, hv, g, v, block);
      }
  }
  for (int r = 0; r < rows; ++r)
    sums[r] +=
        static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Load(d, block.sums + r * kLane))));
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
