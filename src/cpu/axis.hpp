// What the sweeps along an axis share whatever the instruction set is.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/axis.hpp"

namespace monge::cpu {
inline constexpr int kAxisRows = 8;  // a group: they share loads, maxima and the choice of blocks
inline constexpr int kAxisHeld = 8;  // blocks whose weights are held for the terms
/// Lines of a chunk: a line of cache of results.
template <class T>
inline constexpr int kAxisLines = 64 / sizeof(T);

/// What a thread needs for a chunk: h and v of its lines, the blocks' largest h, then of a group of
/// rows their least costs, bounds and weights.
template <class T>
struct AxisScratch {
  std::int64_t padded, blocks, lines, columns;  // blocks: padded to kPanel
  explicit AxisScratch(const kernels::AxisArgs<T>& a)
      : padded(kernels::padded_axis(a.m)),
        blocks(kernels::padded(padded / kernels::kAxisBlock)),
        lines(std::min<std::int64_t>(kAxisLines<T>, a.before * a.after)),
        columns(a.columns) {}
  std::int64_t line() const { return padded * (1 + columns); }
  std::int64_t maxima() const { return lines * line(); }
  std::int64_t least() const { return maxima() + lines * blocks; }
  std::int64_t bounds() const { return least() + blocks; }
  std::int64_t weights() const { return bounds() + blocks; }
  std::int64_t size() const { return weights() + kAxisRows * kAxisHeld * kernels::kAxisBlock; }
};

struct AxisTask {
  std::int64_t first_line, first_row, last_row;
};
}  // namespace monge::cpu
