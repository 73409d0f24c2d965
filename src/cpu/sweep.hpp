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

/// body(j0, columns) for the runs of adjacent columns that the row block sweeps within [from, to),
/// ascending, cut at multiples of `longest`. `from` and `longest` are multiples of kColumnBlock;
/// `columns` includes the padding of the last panel.
template <class T, class Body>
void for_each_run(const kernels::Pairs<T>& p, std::int64_t row_block, std::int64_t longest,
                  std::int64_t from, std::int64_t to, const Body& body) {
  to = std::min(to, kernels::padded(p.m));
  const auto visit = [&](std::int64_t j0, std::int64_t end) {
    while (j0 < end) {
      const std::int64_t next = std::min(end, (j0 / longest + 1) * longest);
      body(j0, static_cast<int>(next - j0));
      j0 = next;
    }
  };
  if (!p.list) return visit(from, to);
  const std::int64_t width = p.list->width;
  const std::int32_t* const last = p.list->blocks + p.list->offsets[row_block + 1];
  const std::int32_t* at =
      std::lower_bound(p.list->blocks + p.list->offsets[row_block], last, from / width);
  while (at != last && *at * width < to) {
    const std::int64_t j0 = *at++ * width;
    std::int64_t end = j0 + width;
    while (at != last && *at * width == end) end += width, ++at;
    visit(j0, std::min(end, to));
  }
}

/// The same over all columns, a tile at most.
template <class T, class Body>
void for_each_column_block(const kernels::Pairs<T>& p, std::int64_t row_block, const Body& body) {
  for_each_run(p, row_block, kernels::kColumnBlock, 0, kernels::padded(p.m), body);
}

/// body(i0, rows) for the tiles of rows of [first, last).
template <class Body>
void for_each_row_tile(RowRange range, const Body& body) {
  for (std::int64_t i0 = range.first; i0 < range.last; i0 += kTileRows)
    body(i0, static_cast<int>(std::min<std::int64_t>(kTileRows, range.last - i0)));
}
}  // namespace monge::cpu
