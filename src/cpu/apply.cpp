// apply: each tile of weights, still in L1, meets the same columns of V. V is packed once into
// rows of padded(m), so that both operands are vectors along the columns j and nothing is strided.
#include "kernels/apply.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/apply.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/products-inl.hpp"

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
  Values<T> at(std::int64_t j0) const {
    return {data.data() + (ones ? 0 : j0), stride, kernels::kPanel};
  }
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
        add(w, rows, v.at(j0), a.k, columns, &sums[(i0 - range.first) * a.k], a.k);
      });
    });
    std::copy(sums.begin(), sums.end(), a.out + range.first * a.k);
  });
}
template void apply<float>(const ApplyArgs<float>&, Exec&);
template void apply<double>(const ApplyArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
