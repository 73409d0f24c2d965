// draw: one pass over a row's tiles leaves the cumulative mass before each column block; a draw
// then looks up its block, whose weights alone are computed again.
#include "kernels/draw.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/draw.cpp"
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

// masses[r] = sum_t w[r][t], every addition in double: with float sums the odds of a column would
// depend on its block.
template <class T>
void masses_of(const T* w, int rows, int columns, double* masses) {
  for (int r = 0; r < rows; ++r) {
    const T* const row = w + r * kColumnBlock;
    const hn::CappedTag<double, kPanel / 2> d;
    const int lanes = static_cast<int>(hn::Lanes(d));
    auto low = hn::Zero(d), high = hn::Zero(d);
    for (int t = 0; t < columns; t += 2 * lanes) {
      if constexpr (sizeof(T) == sizeof(double)) {
        low = hn::Add(low, hn::Load(d, row + t));
        high = hn::Add(high, hn::Load(d, row + t + lanes));
      } else {
        const hn::Rebind<float, decltype(d)> narrow;
        low = hn::Add(low, hn::PromoteTo(d, hn::Load(narrow, row + t)));
        high = hn::Add(high, hn::PromoteTo(d, hn::Load(narrow, row + t + lanes)));
      }
    }
    masses[r] = hn::GetLane(hn::SumOfLanes(d, hn::Add(low, high)));
  }
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <utility>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/sweep.hpp"
#include "monge/core/random.hpp"

namespace monge::cpu {
namespace {
/// The first entry of a rising cumulative sum that exceeds `at`: never one that adds nothing.
/// Where rounding has put `at` at the total, the last that adds something.
std::int64_t invert(const double* cumulative, std::int64_t count, double at) {
  const double* const end = cumulative + count;
  const double* const found = std::upper_bound(cumulative, end, at);
  return (found == end ? std::lower_bound(cumulative, end, end[-1]) : found) - cumulative;
}

/// Cumulative masses of one row over the column blocks that it sweeps.
struct RowMasses {
  std::vector<double> cumulative;
  std::vector<std::int64_t> starts;  // first column of each block
  std::vector<int> widths;
};

/// Finds the columns of all draws of one request.
template <class T>
void locate(const kernels::DrawArgs<T>& a, const TileFunctions<T>& tiles, const TileArgs<T>& args,
            std::int64_t request, const RowMasses& masses) {
  const std::int64_t row = a.rows[request], count = a.counts[request];
  const std::int64_t blocks = static_cast<std::int64_t>(masses.cumulative.size());
  std::int64_t* const out = a.out + a.offsets[request];
  const double total = blocks > 0 ? masses.cumulative.back() : 0;
  if (!(total > 0)) {
    std::fill_n(out, count, std::int64_t{-1});
    return;
  }
  const auto target = [&](std::int64_t t) { return philox_uniform(a.seed, row, t) * total; };
  std::vector<std::pair<std::int64_t, std::int64_t>> order(count);  // (block, draw)
  for (std::int64_t t = 0; t < count; ++t)
    order[t] = {invert(masses.cumulative.data(), blocks, target(t)), t};
  std::sort(order.begin(), order.end());  // so that a block is computed once

  alignas(64) T w[kernels::kColumnBlock];
  double cumulative[kernels::kColumnBlock];
  std::int64_t current = -1;
  int columns = 0;
  for (const auto& [block, t] : order) {
    const std::int64_t j0 = masses.starts[block];
    const double before = block > 0 ? masses.cumulative[block - 1] : 0;
    if (block != current) {
      current = block;
      columns = masses.widths[block];
      tiles.weights(args, row, 1, j0, columns, w);
      double sum = 0;
      for (int c = 0; c < columns; ++c) cumulative[c] = sum += w[c];
    }
    out[t] = j0 + invert(cumulative, columns, target(t) - before);
  }
}
}  // namespace
}  // namespace monge::cpu

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class T>
void draw(const DrawArgs<T>& a, Exec& exec) {
  const auto tiles = tile_functions<T>();
  const auto masses_in = MONGE_PICK(masses_of<T>);
  const TileArgs<T> args{a.pairs, a.h, a.shift, a.eps};

  // Requests of consecutive rows share tiles, which are twice as fast as single rows.
  const std::int64_t groups = (a.requests + kTileRows - 1) / kTileRows;
  parallel_for(groups, exec, [&](std::int64_t group, int) {
    alignas(64) T w[kTileRows * kColumnBlock];
    const std::int64_t last = std::min(a.requests, (group + 1) * kTileRows);
    for (std::int64_t first = group * kTileRows, next; first < last; first = next) {
      const std::int64_t i0 = a.rows[first], row_block = i0 / kRowBlock;
      next = first + 1;
      while (next < last && a.rows[next] == i0 + next - first &&
             a.rows[next] / kRowBlock == row_block)
        ++next;
      const int rows = static_cast<int>(next - first);
      RowMasses masses[kTileRows];
      double sums[kTileRows] = {};
      for_each_column_block(a.pairs, row_block, [&](std::int64_t j0, int columns) {
        double block_masses[kTileRows];
        tiles.weights(args, i0, rows, j0, columns, w);
        masses_in(w, rows, columns, block_masses);
        for (int r = 0; r < rows; ++r) {
          masses[r].cumulative.push_back(sums[r] += block_masses[r]);
          masses[r].starts.push_back(j0);
          masses[r].widths.push_back(columns);
        }
      });
      for (int r = 0; r < rows; ++r) locate(a, tiles, args, first + r, masses[r]);
    }
  });
}
template void draw<float>(const DrawArgs<float>&, Exec&);
template void draw<double>(const DrawArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
