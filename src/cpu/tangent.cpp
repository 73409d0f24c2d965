// tangent: of each row of a tile, t over the columns first, then one sum after the other. Arrays of
// the columns are packed into rows along them, once.
#include "kernels/tangent.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/tangent.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/products-inl.hpp"

#ifndef MONGE_CPU_TANGENT_ROW
#define MONGE_CPU_TANGENT_ROW
namespace monge::cpu {
/// One row and one direction against one column block; null: not there, or not wanted.
template <class T>
struct TangentRow {
  kernels::Form form;
  int dim, width;
  bool curved;
  const T *w, *costs, *slopes;  // of the tile; slopes r: dc/dx = r (x - y), null: `factor`
  T factor, bend;               // bend: d r / d s = bend r / (2 s), s = |x - y|^2
  const T *x, *y;               // coordinate k at x[k * kPanel]; panels
  T row, cost, slope;
  const T* col;
  const T *a, *b;  // coordinate k at a[k] and b + k * stride
  const T *p, *q;
  const T* center;
  std::int64_t stride;
  double *sum, *cost_sum, *gradient, *mean;
};
}  // namespace monge::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
template <class T>
void add_tangent(const TangentRow<T>& in, int columns) {
  const hn::CappedTag<T, kPanel> d;
  using V = hn::Vec<decltype(d)>;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const bool dot = in.form == kernels::Form::dot;
  const V zero = hn::Zero(d), bend = hn::Set(d, in.bend);
  const auto total = [&](V v) MONGE_LAMBDA {
    return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, v)));
  };
  // dc/dx = r u with u = x - y, or r y of a product; dc.(a, b) = r along.
  const auto u_of = [&](int k, int t) MONGE_LAMBDA {
    const V y = hn::Load(d, in.y + (std::int64_t{t / kPanel} * in.dim + k) * kPanel + t % kPanel);
    return dot ? y : hn::Sub(hn::Set(d, in.x[k * kPanel]), y);
  };
  const auto b_of = [&](int k, int t) MONGE_LAMBDA {
    return in.b ? hn::Load(d, in.b + k * in.stride + t) : zero;
  };
  const auto a_of = [&](int k) MONGE_LAMBDA { return in.a ? hn::Set(d, in.a[k]) : zero; };
  alignas(64) T wt[kColumnBlock], r[kColumnBlock], wr[kColumnBlock], twisted[kColumnBlock];
  V sum = zero, cost_sum = zero;
  for (int t = 0; t < columns; t += lanes) {
    const V w = hn::Load(d, in.w + t);
    const auto some = hn::Gt(w, zero);
    const V slope = in.slopes ? hn::Load(d, in.slopes + t) : hn::Set(d, in.factor);
    V tangent = hn::Set(d, in.row), along = zero, square = zero;
    if (in.a || in.b)
      for (int k = 0; k < in.dim; ++k) {
        const V u = u_of(k, t), b = b_of(k, t);
        if (dot) {
          along = hn::MulAdd(a_of(k), u, hn::MulAdd(hn::Set(d, in.x[k * kPanel]), b, along));
        } else {
          along = hn::MulAdd(u, hn::Sub(a_of(k), b), along);
          square = hn::MulAdd(u, u, square);
        }
      }
    if (in.col) tangent = hn::Add(tangent, hn::Load(d, in.col + t));
    const V cost = in.costs ? hn::IfThenElseZero(some, hn::Load(d, in.costs + t)) : zero;
    tangent = hn::MulAdd(hn::Set(d, in.cost), cost, tangent);
    tangent = hn::NegMulAdd(hn::Set(d, in.slope), hn::Mul(slope, along), tangent);
    if (in.p)
      for (int k = 0; k < in.width; ++k)
        tangent = hn::MulAdd(hn::Set(d, in.p[k]), hn::Load(d, in.q + k * in.stride + t), tangent);
    const V weighted = hn::IfThenElseZero(some, hn::Mul(w, tangent));
    sum = hn::Add(sum, weighted);
    cost_sum = hn::MulAdd(weighted, cost, cost_sum);
    hn::Store(weighted, d, wt + t);
    if (!in.gradient) continue;
    hn::Store(slope, d, r + t);
    if (!in.curved) continue;
    const V weighted_slope = hn::IfThenElseZero(some, hn::Mul(w, slope));
    hn::Store(weighted_slope, d, wr + t);
    const V twist = hn::Div(hn::Mul(bend, hn::Mul(weighted_slope, along)), square);
    hn::Store(hn::IfThenElseZero(hn::Gt(square, zero), twist), d, twisted + t);
  }
  if (in.sum) *in.sum += total(sum);
  if (in.cost_sum) *in.cost_sum += total(cost_sum);
  if (in.gradient)
    for (int k = 0; k < in.dim; ++k) {
      V out = zero;
      const V center = in.center ? hn::Set(d, in.center[k]) : zero, a = a_of(k);
      for (int t = 0; t < columns; t += lanes) {
        const V u = u_of(k, t);
        out = hn::MulAdd(hn::Load(d, wt + t), hn::MulSub(hn::Load(d, r + t), u, center), out);
        if (!in.curved) continue;
        const V b = b_of(k, t);
        out = hn::MulAdd(hn::Load(d, wr + t), dot ? b : hn::Sub(a, b), out);
        if (in.bend != 0) out = hn::MulAdd(hn::Load(d, twisted + t), u, out);
      }
      in.gradient[k] += total(out);
    }
  if (in.mean)
    for (int k = 0; k < in.width; ++k) {
      V out = zero;
      for (int t = 0; t < columns; t += lanes)
        out = hn::MulAdd(hn::Load(d, wt + t), hn::Load(d, in.q + k * in.stride + t), out);
      in.mean[k] += total(out);
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
/// From [m, rows] to `rows` rows of `stride` values along the columns, zeros behind m.
template <class T>
Buffer<T> along_columns(const T* from, std::int64_t m, std::int64_t rows, std::int64_t stride,
                        Exec& exec) {
  if (!from) return {};
  Buffer<T> out(rows * stride);
  parallel_for(
      stride / kernels::kPanel, exec,
      [&](std::int64_t panel, int) {
        for (std::int64_t j = panel * kernels::kPanel; j < (panel + 1) * kernels::kPanel; ++j)
          for (std::int64_t r = 0; r < rows; ++r)
            out[r * stride + j] = j < m ? from[j * rows + r] : T(0);
      },
      static_cast<double>(out.size()));
  return out;
}
}  // namespace
}  // namespace monge::cpu

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class T>
void tangent(const TangentArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const int dim = p.rows.dim, count = a.count;
  const std::int64_t stride = padded(p.m);
  const auto tiles = tile_functions<T>();
  const auto add = MONGE_PICK(add_tangent<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  const auto col = along_columns(a.col, p.m, count, stride, exec),
             b = along_columns(a.b, p.m, std::int64_t{count} * dim, stride, exec),
             q = along_columns(a.q, p.m, a.width * (a.q_each ? count : 1), stride, exec);
  const bool distances = p.form == Form::distance || p.form == Form::power;
  const bool steep = distances && (a.gradient || a.a || a.b);
  const bool dear = a.cost || a.costs;
  const int values = (a.sum ? 1 : 0) + (a.costs ? 1 : 0) + (a.gradient ? dim : 0) +
                     (a.mean ? a.width : 0);  // of a row and a direction
  TangentRow<T> shared{};
  shared.form = p.form;
  shared.dim = dim;
  shared.width = a.width;
  shared.curved = a.curved;
  shared.factor = p.form == Form::dot ? -p.scale : p.form == Form::squared ? 2 * p.scale : T(0);
  shared.bend = p.form == Form::distance ? T(-1) : p.form == Form::power ? p.power - 2 : T(0);
  shared.slope = a.slope;
  shared.stride = stride;
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(p, block);
    std::vector<double> sums((range.last - range.first) * count * values, 0.0);
    alignas(64) T w[kTileRows * kColumnBlock], slopes[kTileRows * kColumnBlock],
        costs[kTileRows * kColumnBlock];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        tiles.weights(args, i0, rows, j0, columns, w);
        if (steep) tiles.slopes(args, i0, rows, j0, columns, slopes);
        if (dear) tiles.costs(args, i0, rows, j0, columns, costs);
        TangentRow<T> in = shared;
        in.y = p.cols.data + j0 * dim;
        for (std::int64_t i = i0; i < i0 + rows; ++i) {
          const std::int64_t at = (i - i0) * kColumnBlock;
          in.w = w + at;
          in.slopes = steep ? slopes + at : nullptr;
          in.costs = dear ? costs + at : nullptr;
          in.x = p.rows.data + i / kPanel * kPanel * dim + i % kPanel;
          in.center = a.center ? a.center + i * dim : nullptr;
          for (int r = 0; r < count; ++r) {
            const std::int64_t ir = i * count + r;
            in.row = a.row ? a.row[ir] : T(0);
            in.cost = a.cost ? a.cost[r] : T(0);
            in.col = a.col ? col.data() + r * stride + j0 : nullptr;
            in.a = a.a ? a.a + ir * dim : nullptr;
            in.b = a.b ? b.data() + std::int64_t{r} * dim * stride + j0 : nullptr;
            in.p = a.p ? a.p + (a.p_each ? ir : i) * a.width : nullptr;
            in.q = a.q ? q.data() + (a.q_each ? std::int64_t{r} * a.width * stride : 0) + j0
                       : nullptr;
            double* to = &sums[((i - range.first) * count + r) * values];
            in.sum = a.sum ? to++ : nullptr;
            in.cost_sum = a.costs ? to++ : nullptr;
            in.gradient = a.gradient ? to : nullptr;
            if (a.gradient) to += dim;
            in.mean = a.mean ? to : nullptr;
            add(in, columns);
          }
        }
      });
    });
    const double* from = sums.data();
    for (std::int64_t ir = range.first * count; ir < range.last * count; ++ir) {
      const auto take = [&](T* out, int length) {
        if (!out) return;
        std::copy(from, from + length, out + ir * length);
        from += length;
      };
      take(a.sum, 1);
      take(a.costs, 1);
      take(a.gradient, dim);
      take(a.mean, a.width);
    }
  });
}
template void tangent<float>(const TangentArgs<float>&, Exec&);
template void tangent<double>(const TangentArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
