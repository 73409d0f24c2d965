// pull: each tile of weights, times the slopes of the cost, meets the differences x_i - y_j.
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
  hn::Vec<decltype(d)> sum[R][C], xr[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      sum[r][c] = hn::Zero(d);
      xr[r][c] = hn::Set(d, x[c * kPanel + r]);
    }
  for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d))) {
    const T* const column = y + t / kPanel * kPanel * dim + t % kPanel;
    hn::Vec<decltype(d)> yc[C];
    for (int c = 0; c < C; ++c) yc[c] = hn::Load(d, column + c * kPanel);
    for (int r = 0; r < R; ++r) {
      const auto wr = hn::Load(d, w + r * kColumnBlock + t);
      for (int c = 0; c < C; ++c) sum[r][c] = hn::MulAdd(wr, hn::Sub(xr[r][c], yc[c]), sum[r][c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums[r * dim + c] += sum_of_lanes(d, sum[r][c]);
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
  sum_apart(a, exec);
  const auto& p = a.pairs;
  const int dim = p.rows.dim;
  const auto tiles = tile_functions<T>();
  const auto add = MONGE_PICK(add_differences<T>);
  const auto times = MONGE_PICK(multiply<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  // The gradient of -scale x.y is scale (0 - y): rows at the origin.
  const std::vector<T> origin(p.form == Form::dot ? kPanel * dim : 0, T(0));
  const bool has_slopes = p.form == Form::distance || p.form == Form::power;
  const double factor = has_slopes                ? 1
                        : p.form == Form::squared ? 2 * static_cast<double>(p.scale)
                                                  : static_cast<double>(p.scale);
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(p, block);
    std::vector<double> sums((range.last - range.first) * dim, 0.0);
    alignas(64) T w[kTileRows * kColumnBlock], slopes[kTileRows * kColumnBlock];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        tiles.weights(args, i0, rows, j0, columns, w);
        if (has_slopes) {
          tiles.slopes(args, i0, rows, j0, columns, slopes);
          times(slopes, rows, columns, w);
        }
        const T* const x = p.form == Form::dot
                               ? origin.data()
                               : p.rows.data + i0 / kPanel * kPanel * dim + i0 % kPanel;
        add(w, rows, x, p.cols.data + j0 * dim, dim, columns, &sums[(i0 - range.first) * dim]);
      });
    });
    for (std::size_t at = 0; at < sums.size(); ++at)
      a.out[range.first * dim + at] = static_cast<T>(factor * sums[at]);
  });
}
template void pull<float>(const PullArgs<float>&, Exec&);
template void pull<double>(const PullArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
