// moments: each tile of weights meets the offsets u = z_j - center_i and their products. Up to 4
// dimensions all sums of a row stay in registers; beyond, w u is multiplied by u in blocks.
#include "kernels/moments.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/moments.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>

#include "cpu/products-inl.hpp"
#include "cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
// The sums of a row are [dim + 1, dim]: second moments (upper triangle), then the first, then the
// mass behind them.

// One row in registers: D (D + 1) / 2 second and D first moments, and the mass.
template <int D, class T>
HWY_INLINE void add_moments_row(const T* HWY_RESTRICT w, const T* HWY_RESTRICT values,
                                const T* center, int columns, double* sums) {
  const hn::CappedTag<T, kPanel> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int kSums = (D + 1) * (D + 2) / 2;
  V sum[kSums], origin[D];
  unrolled<kSums>([&](int i) MONGE_LAMBDA { sum[i] = hn::Zero(d); });
  unrolled<D>([&](int k) MONGE_LAMBDA { origin[k] = hn::Set(d, center[k]); });
  for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d))) {
    const T* const z = values + t / kPanel * kPanel * D + t % kPanel;
    const V weight = hn::Load(d, w + t);
    V u[D];
    unrolled<D>([&](int k)
                    MONGE_LAMBDA { u[k] = hn::Sub(hn::Load(d, z + k * kPanel), origin[k]); });
    int i = 0;
    for (int k = 0; k < D; ++k) {
      const V wu = hn::Mul(weight, u[k]);
      for (int l = k; l < D; ++l, ++i) sum[i] = hn::MulAdd(wu, u[l], sum[i]);
      sum[kSums - 1 - D + k] = hn::Add(sum[kSums - 1 - D + k], wu);
    }
    sum[kSums - 1] = hn::Add(sum[kSums - 1], weight);
  }
  double total[kSums];
  sums_of_lanes(sum, [&](int i, double of_lanes) MONGE_LAMBDA { total[i] = of_lanes; });
  const double* next = total;
  for (int k = 0; k < D; ++k)
    for (int l = k; l < D; ++l) sums[k * D + l] += *next++;
  for (int k = 0; k <= D; ++k) sums[D * D + k] += *next++;
}

// One row of any dimension. `scratch` holds (dim + 1 + kTileRows) column blocks: u and a row of
// ones, then w u for a few coordinates at a time.
template <class T>
void add_moments_any(const T* w, const T* values, const T* center, int dim, int columns, T* scratch,
                     double* sums) {
  const hn::CappedTag<T, kPanel> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  T* const u = scratch;
  T* const wu = scratch + (dim + 1) * kColumnBlock;
  for (int k = 0; k < dim; ++k)
    for (int t = 0; t < columns; t += lanes)
      hn::Store(hn::Sub(hn::Load(d, values + (t / kPanel * dim + k) * kPanel + t % kPanel),
                        hn::Set(d, center[k])),
                d, u + k * kColumnBlock + t);
  std::fill_n(u + dim * kColumnBlock, columns, T(1));
  const Values<T> offsets{u, kColumnBlock, kPanel};
  add_products(w, 1, offsets, dim + 1, columns, sums + dim * dim, dim);
  for (int k = 0; k < dim; k += kTileRows) {
    const int some = std::min(kTileRows, dim - k);
    for (int r = 0; r < some; ++r)
      for (int t = 0; t < columns; t += lanes)
        hn::Store(hn::Mul(hn::Load(d, w + t), hn::Load(d, u + (k + r) * kColumnBlock + t)), d,
                  wu + r * kColumnBlock + t);
    add_products(wu, some, offsets.from(k), dim - k, columns, sums + k * dim + k, dim);
  }
}

template <class T>
void add_moments(const T* w, const T* values, const T* center, int dim, int columns, T* scratch,
                 double* sums) {
  switch (dim) {
    case 1:
      return add_moments_row<1>(w, values, center, columns, sums);
    case 2:
      return add_moments_row<2>(w, values, center, columns, sums);
    case 3:
      return add_moments_row<3>(w, values, center, columns, sums);
    case 4:
      return add_moments_row<4>(w, values, center, columns, sums);
    default:
      return add_moments_any(w, values, center, dim, columns, scratch, sums);
  }
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/sweep.hpp"

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class T>
void moments(const MomentsArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const int dim = a.values.dim;
  const std::int64_t square = std::int64_t{dim} * dim, size = square + dim + 1;
  const auto tiles = tile_functions<T>();
  const auto add = MONGE_PICK(add_moments<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    std::vector<double> sums(kTileRows * size);
    Buffer<T> scratch(dim > 4 ? (dim + 1 + kTileRows) * kColumnBlock : 0);
    alignas(64) T w[kTileRows * kColumnBlock];
    // Rows outside: the sums of 64 rows would leave the cache where dim is large.
    for_each_row_tile(rows_of(p, block), [&](std::int64_t i0, int rows) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
        tiles.weights(args, i0, rows, j0, columns, w);
        for (int r = 0; r < rows; ++r)
          add(w + r * kColumnBlock, a.values.data + j0 * dim, a.center + (i0 + r) * dim, dim,
              columns, scratch.data(), &sums[r * size]);
      });
      for (int r = 0; r < rows; ++r) {
        const double* const sum = &sums[r * size];
        const std::int64_t i = i0 + r;
        for (int k = 0; k < dim; ++k) {
          for (int l = 0; l < dim; ++l)
            a.second[i * square + k * dim + l] =
                static_cast<T>(sum[std::min(k, l) * dim + std::max(k, l)]);
          a.first[i * dim + k] = static_cast<T>(sum[square + k]);
        }
        a.mass[i] = static_cast<T>(sum[square + dim]);
      }
    });
  });
}
template void moments<float>(const MomentsArgs<float>&, Exec&);
template void moments<double>(const MomentsArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
