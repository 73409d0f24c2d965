// The parts of softmin that exist once per target: sums over columns for a block of rows. The
// driver (softmin.cpp) spreads them over threads, checks and combines them.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/sweep.hpp"
#include "cpu/tile.hpp"
#include "kernels/softmin.hpp"

namespace monge::cpu {
inline constexpr int kChunk = 1024;  // columns summed in T before they are added in double

/// A range of blocks of kColumnBlock columns, of which a row block sweeps those on its list.
struct ColumnRange {
  std::int64_t first = 0, last = 0;  // column blocks
};

/// body(j0, columns) for the chunks that row block `row_block` sweeps within `range`: runs of
/// adjacent columns, cut at multiples of kChunk; columns is a multiple of kPanel.
template <class T, class Body>
void for_each_chunk(const kernels::Pairs<T>& p, std::int64_t row_block, ColumnRange range,
                    const Body& body) {
  for_each_run(p, row_block, kChunk, range.first * kernels::kColumnBlock,
               range.last * kernels::kColumnBlock, body);
}

/// How the sweeps with a shift measure scores. The loops that compute costs themselves leave their
/// factor out, as coordinates are never scaled.
template <class T>
Exponent<T> shifted_exponent(const kernels::SoftminArgs<T>& args) {
  const auto& p = args.pairs;
  return {args.eps, is_product(p) || is_direct(p) ? p.scale : T(1)};
}

/// sum_j 2^((h_j - c_ij - top) k), top the largest score; -inf for a row without columns.
struct RobustSum {
  double top, sum;
};

template <class T>
struct SoftminSweep {
  using Args = kernels::SoftminArgs<T>;
  /// sums[r] += sum_j 2^(N_r + (h_j - c_ij) k / unit) for `rows` <= kRowBlock rows from i0, a
  /// multiple of it; exponent = shifted_exponent(args). whole_shift holds the N_r, integers of size
  /// at most largest_shift. Sums are meaningless, perhaps not finite, where N_r does not fit the
  /// row. `scratch`: scratch_size values, aligned to 64 bytes.
  void (*shifted)(const Args& args, std::int64_t i0, int rows, ColumnRange range,
                  const T* whole_shift, T* scratch, double* sums);
  /// The same without a shift, by a running maximum, for rows <= 8 from i0, a multiple of 8;
  /// exponent = Exponent(eps, 1).
  void (*robust)(const Args& args, std::int64_t i0, int rows, ColumnRange range, RobustSum* out);
  /// In place.
  void (*log2)(double* values, int count);
  std::int64_t (*scratch_size)(const Args& args);
  double largest_shift;
};

/// For the current target.
template <class T>
SoftminSweep<T> softmin_sweep();
}  // namespace monge::cpu

namespace monge::kernels::cpu {
/// The rows whose bit in good [row blocks] is not set, by the robust sweep.
template <class T>
void redo_softmin(const SoftminArgs<T>& args, const std::uint64_t* good, Exec& exec);
}  // namespace monge::kernels::cpu
