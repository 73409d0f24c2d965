// apply: each tile of weights, still in L1, meets the same columns of V. V is packed once into
// rows of padded(m), so that both operands are vectors along the columns j and nothing is strided.
#include "kernels/apply.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/apply.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
using kernels::kColumnBlock;
using kernels::kPanel;

// sums[r * k + c] += sum_t w[r][t] v[c][t]: R C sums in registers, one column block long in T.
template <int R, int C, class T>
HWY_INLINE void add_products_block(const T* HWY_RESTRICT w, const T* HWY_RESTRICT v,
                                   std::int64_t v_stride, int columns, int k, double* sums) {
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
    for (int c = 0; c < C; ++c)
      sums[r * k + c] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum[r][c])));
}

// R rows at once for the whole tile, the rest one by one.
template <int R, int C, class T>
void add_products_columns(const T* w, int rows, const T* v, std::int64_t v_stride, int columns,
                          int k, double* sums) {
  int r = 0;
  for (; r + R <= rows; r += R)
    add_products_block<R, C>(w + r * kColumnBlock, v, v_stride, columns, k, sums + r * k);
  for (; r < rows; ++r)
    add_products_block<1, C>(w + r * kColumnBlock, v, v_stride, columns, k, sums + r * k);
}

// sums [rows, k] += w [rows, columns] v^T. 12 sums fill 16 registers; 8 hide the FMA's latency.
template <class T>
void add_products(const T* w, int rows, const T* v, std::int64_t v_stride, int columns, int k,
                  double* sums) {
  int c = 0;
  for (; c + 3 <= k; c += 3)
    add_products_columns<4, 3>(w, rows, v + c * v_stride, v_stride, columns, k, sums + c);
  if (k - c == 2)
    add_products_columns<4, 2>(w, rows, v + c * v_stride, v_stride, columns, k, sums + c);
  if (k - c == 1)
    add_products_columns<8, 1>(w, rows, v + c * v_stride, v_stride, columns, k, sums + c);
}

// w = w factor where w > 0: a factor may be +inf where the weight is 0. `factor` may be w.
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

#if HWY_ONCE
#include <algorithm>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/sweep.hpp"

namespace monge::cpu {
namespace {
/// V^T, rows of `stride` values, zeros behind m. Ones are a single block, read again and again.
template <class T>
struct PackedValues {
  Buffer<T> data;
  std::int64_t stride;
  bool ones;
  const T* at(std::int64_t j0) const { return data.data() + (ones ? 0 : j0); }
};

template <class T>
PackedValues<T> pack(const kernels::ApplyArgs<T>& a) {
  if (!a.v) return {Buffer<T>(kernels::kColumnBlock, T(1)), 0, true};
  const std::int64_t stride = kernels::padded(a.pairs.m);
  PackedValues<T> out{Buffer<T>(stride * a.k), stride, false};
  for (int c = 0; c < a.k; ++c) {
    T* const row = out.data.data() + c * stride;
    for (std::int64_t j = 0; j < a.pairs.m; ++j) row[j] = a.v[j * a.v_row + c * a.v_col];
    std::fill(row + a.pairs.m, row + stride, T(0));
  }
  return out;
}
}  // namespace
}  // namespace monge::cpu

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class T>
void apply(const ApplyArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const auto tiles = tile_functions<T>();
  const auto add = MONGE_PICK(add_products<T>);
  const auto times = MONGE_PICK(multiply<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  const auto v = pack(a);
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(p, block);
    std::vector<double> sums((range.last - range.first) * a.k, 0.0);
    alignas(64) T w[kTileRows * kColumnBlock], costs[kTileRows * kColumnBlock];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        if (a.weighting == Weighting::cost) {
          tiles.costs(args, i0, rows, j0, columns, costs);
          tiles.weights_of_costs(args, i0, rows, j0, columns, costs, w);
          times(costs, rows, columns, w);
        } else {
          tiles.weights(args, i0, rows, j0, columns, w);
          if (a.weighting == Weighting::squared) times(w, rows, columns, w);
        }
        add(w, rows, v.at(j0), v.stride, columns, a.k, &sums[(i0 - range.first) * a.k]);
      });
    });
    std::copy(sums.begin(), sums.end(), a.out + range.first * a.k);
  });
}
template void apply<float>(const ApplyArgs<float>&, Exec&);
template void apply<double>(const ApplyArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
