// pull: each tile of weights meets the coordinates y_j where costs are products, else, times the
// slopes of the cost, the differences x_i - y_j.
#include "kernels/pull.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pull.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/products-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
// sums[r * dim + c] += sum_t w[r][t] (x_rc - y_tc) for R rows and C coordinates of dim.
template <int R, int C, class T>
HWY_INLINE void add_differences_block(const T* HWY_RESTRICT w, const T* x, const T* HWY_RESTRICT y,
                                      int dim, int columns, double* sums) {
  const hn::CappedTag<T, kPanel> d;
  hn::Vec<decltype(d)> sum[R * C], xr[R * C];
  unrolled<R * C>([&](int i) MONGE_LAMBDA {
    sum[i] = hn::Zero(d);
    xr[i] = hn::Set(d, x[i % C * kPanel + i / C]);
  });
  for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d))) {
    const T* const column = y + t / kPanel * kPanel * dim + t % kPanel;
    hn::Vec<decltype(d)> yc[C];
    unrolled<C>([&](int c) MONGE_LAMBDA { yc[c] = hn::Load(d, column + c * kPanel); });
    unrolled<R>([&](int r) MONGE_LAMBDA {
      const auto wr = hn::Load(d, w + r * kColumnBlock + t);
      unrolled<C>([&](int c) MONGE_LAMBDA {
        const int i = r * C + c;
        sum[i] = hn::MulAdd(wr, hn::Sub(xr[i], yc[c]), sum[i]);
      });
    });
  }
  sums_of_lanes(sum, [&](int i, double total) MONGE_LAMBDA { sums[i / C * dim + i % C] += total; });
}

template <int C, class T>
void add_differences_rows(const T* w, int rows, const T* x, const T* y, int dim, int columns,
                          double* sums) {
  constexpr int kRows = HWY_TARGET == HWY_AVX3 ? 4 : 2;  // of three coordinates fill the registers
  int r = 0;
  for (; r + kRows <= rows; r += kRows)
    add_differences_block<kRows, C>(w + r * kColumnBlock, x + r, y, dim, columns, sums + r * dim);
  for (; r < rows; ++r)
    add_differences_block<1, C>(w + r * kColumnBlock, x + r, y, dim, columns, sums + r * dim);
}

// All dim coordinates of `rows` rows; coordinate c of row r stands at x[c * kPanel + r].
template <class T>
void add_differences(const T* w, int rows, const T* x, const T* y, int dim, int columns,
                     double* sums) {
  int c = 0;
  for (; dim - c >= 3; c += 3)
    add_differences_rows<3>(w, rows, x + c * kPanel, y + c * kPanel, dim, columns, sums + c);
  if (dim - c == 2)
    add_differences_rows<2>(w, rows, x + c * kPanel, y + c * kPanel, dim, columns, sums + c);
  if (dim - c == 1)
    add_differences_rows<1>(w, rows, x + c * kPanel, y + c * kPanel, dim, columns, sums + c);
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
void pull(const PullArgs<T>& a, Exec& exec) {
  PullArgs<T> apart = a;
  apart.mass = nullptr;  // from the weights at hand
  sum_apart(apart, exec);
  const auto& p = a.pairs;
  const int dim = p.rows.dim;
  const auto tiles = tile_functions<T>();
  const auto add_differences_of = MONGE_PICK(add_differences<T>);
  const auto add_products_of = MONGE_PICK(add_products<T>);
  const auto add_masses_of = MONGE_PICK(add_sums<T>);
  const auto times = MONGE_PICK(multiply<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  const bool squared = p.form == Form::squared, product = is_product(p);
  const bool massed = a.mass || (squared && product);
  const bool has_slopes = p.form == Form::distance || p.form == Form::power;
  const double factor = has_slopes ? 1 : (squared ? 2 : 1) * static_cast<double>(p.scale);
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(p, block);
    std::vector<double> sums((range.last - range.first) * dim, 0.0);
    double masses[kRowBlock] = {};
    alignas(64) T w[kTileRows * kColumnBlock], slopes[kTileRows * kColumnBlock];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      const T* const y = p.cols.data + j0 * dim;
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        double* const sum = &sums[(i0 - range.first) * dim];
        tiles.weights(args, i0, rows, j0, columns, w);
        if (massed) add_masses_of(w, rows, columns, masses + (i0 - range.first));
        if (product) {
          add_products_of(w, rows, {y, kPanel, std::int64_t{kPanel} * dim}, dim, columns, sum, dim);
          return;
        }
        if (has_slopes) {
          tiles.slopes(args, i0, rows, j0, columns, slopes);
          times(slopes, rows, columns, w);
        }
        add_differences_of(w, rows, p.rows.data + i0 / kPanel * kPanel * dim + i0 % kPanel, y, dim,
                           columns, sum);
      });
    });
    for (std::int64_t i = range.first; i < range.last; ++i) {
      const double mass = masses[i - range.first];
      if (a.mass) a.mass[i] = static_cast<T>(mass);
      for (int k = 0; k < dim; ++k) {
        double sum = sums[(i - range.first) * dim + k];
        if (product) {
          const T x = squared ? p.rows.data[(i / kPanel * dim + k) * kPanel + i % kPanel] : T(0);
          sum = mass * x - sum;
        }
        a.out[i * dim + k] = static_cast<T>(factor * sum);
      }
    }
  });
}
template void pull<float>(const PullArgs<float>&, Exec&);
template void pull<double>(const PullArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
