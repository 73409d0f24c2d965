// The loops around tiles: which column blocks a row block sweeps, and its tiles of rows.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/tile.hpp"
#include "kernels/pairs.hpp"

namespace monge::cpu {
template <class T>
std::int64_t row_blocks(const kernels::Pairs<T>& p) {
  return (p.n + kernels::kRowBlock - 1) / kernels::kRowBlock;
}

/// Rows [first, last) of row block `block`.
struct RowRange {
  std::int64_t first, last;
};
template <class T>
RowRange rows_of(const kernels::Pairs<T>& p, std::int64_t block) {
  return {block * kernels::kRowBlock, std::min(p.n, (block + 1) * kernels::kRowBlock)};
}

/// Rows of values along columns: v_c[t] stands at data + c * row + t / kPanel * panel + t % kPanel.
template <class T>
struct Values {
  const T* data;
  std::int64_t row, panel;
  Values from(int c) const { return {data + c * row, row, panel}; }
};

/// body(j0, columns) for every column block that the row block sweeps, ascending. `columns`
/// includes the padding of the last panel.
template <class T, class Body>
void for_each_column_block(const kernels::Pairs<T>& p, std::int64_t row_block, const Body& body) {
  const std::int64_t all = (p.m + kernels::kColumnBlock - 1) / kernels::kColumnBlock;
  const std::int64_t first = p.list ? p.list->offsets[row_block] : 0;
  const std::int64_t last = p.list ? p.list->offsets[row_block + 1] : all;
  for (std::int64_t entry = first; entry < last; ++entry) {
    const std::int64_t j0 = (p.list ? p.list->blocks[entry] : entry) * kernels::kColumnBlock;
    const std::int64_t rest = kernels::padded(p.m) - j0;
    body(j0, static_cast<int>(std::min<std::int64_t>(kernels::kColumnBlock, rest)));
  }
}

/// body(i0, rows) for the tiles of rows of [first, last).
template <class Body>
void for_each_row_tile(RowRange range, const Body& body) {
  for (std::int64_t i0 = range.first; i0 < range.last; i0 += kTileRows)
    body(i0, static_cast<int>(std::min<std::int64_t>(kTileRows, range.last - i0)));
}
}  // namespace monge::cpu
