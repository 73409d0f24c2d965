// hard: the largest score of a row over the tiles, and the first column that has it. Only a tile
// that raises the row's best is searched for where.
#include "kernels/hard.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/hard.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>

#include "cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
void raise_best(const T* scores, int rows, int columns, std::int64_t j0, T* best,
                std::int64_t* best_columns) {
  const hn::CappedTag<T, kernels::kPanel> d;
  for (int r = 0; r < rows; ++r) {
    const T* const row = scores + r * kernels::kColumnBlock;
    auto largest = hn::Set(d, best[r]);
    for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d)))
      largest = hn::Max(largest, hn::Load(d, row + t));
    const T most = hn::GetLane(hn::MaxOfLanes(d, largest));
    if (!(most > best[r])) continue;
    best[r] = most;
    best_columns[r] = j0 + (std::find(row, row + columns, most) - row);
  }
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <limits>

#include "cpu/parallel.hpp"
#include "cpu/sweep.hpp"

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class T>
void hard(const HardArgs<T>& a, Exec& exec) {
  const auto tiles = tile_functions<T>();
  const auto raise = MONGE_PICK(raise_best<T>);
  const TileArgs<T> args{a.pairs, a.h};
  parallel_for(row_blocks(a.pairs), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(a.pairs, block);
    T best[kRowBlock];
    std::int64_t columns_of[kRowBlock];
    std::fill_n(best, kRowBlock, -std::numeric_limits<T>::infinity());
    std::fill_n(columns_of, kRowBlock, -1);
    alignas(64) T scores[kTileRows * kColumnBlock];
    for_each_column_block(a.pairs, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        tiles.scores(args, i0, rows, j0, columns, scores);
        const std::int64_t at = i0 - range.first;
        raise(scores, rows, columns, j0, best + at, columns_of + at);
      });
    });
    for (std::int64_t i = range.first; i < range.last; ++i) {
      a.out[i] = -best[i - range.first];
      a.columns[i] = columns_of[i - range.first];
    }
  });
}
template void hard<float>(const HardArgs<float>&, Exec&);
template void hard<double>(const HardArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
