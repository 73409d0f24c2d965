// axis: chunks of lines are gathered once, prepared, and swept by groups of rows.
#include "kernels/axis.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/axis.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/axis_group-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
// Where line `line` begins in an array whose axis has `length` entries.
template <class T>
std::int64_t line_start(const AxisArgs<T>& a, std::int64_t length, std::int64_t line) {
  return line / a.after * length * a.after + line % a.after;
}

// h in units of the scale, clean, and v, of the chunk's lines; with the largest h of each block.
template <class T>
void gather_lines(const AxisArgs<T>& a, const AxisScratch<T>& sizes, T unit, T low,
                  std::int64_t first, int lines, T* scratch) {
  std::int64_t start[kAxisLines<T>];
  for (int l = 0; l < lines; ++l) start[l] = line_start(a, a.m, first + l);
  const auto gather = [&](const T* from, std::int64_t row, T* to, T padding) {
    const auto copy = [&](int l, std::int64_t j) {
      to[l * sizes.line() + j] = from[(start[l] + j * a.after) * row];
    };
    if (a.after == 1) {  // in the order of memory
      for (int l = 0; l < lines; ++l)
        for (std::int64_t j = 0; j < a.m; ++j) copy(l, j);
    } else {
      for (std::int64_t j = 0; j < a.m; ++j)
        for (int l = 0; l < lines; ++l) copy(l, j);
    }
    for (int l = 0; l < lines; ++l)
      std::fill_n(to + l * sizes.line() + a.m, sizes.padded - a.m, padding);
  };
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  gather(a.h, 1, scratch, kNone);
  for (int c = 0; c < a.columns; ++c)
    gather(a.v + c * a.v_col, a.v_row, scratch + (1 + c) * sizes.padded, T(0));

  constexpr Tag<T> d;
  const auto inverse = hn::Set(d, 1 / unit), floor = hn::Set(d, low);
  for (int l = 0; l < lines; ++l) {
    T* const h = scratch + l * sizes.line();
    T* const high = scratch + sizes.maxima() + l * sizes.blocks;
    std::fill_n(high, sizes.blocks, kNone);
    for (std::int64_t b = 0; b < sizes.padded / kAxisBlock; ++b) {
      auto best = hn::Set(d, kNone);
      for (std::int64_t j = b * kAxisBlock; j < (b + 1) * kAxisBlock; j += kLanes<T>) {
        const auto value = hn::Mul(hn::Load(d, h + j), inverse);
        best = hn::Max(best, value);
        hn::Store(hn::Max(value, floor), d, h + j);
      }
      high[b] = hn::GetLane(hn::MaxOfLanes(d, best));
    }
  }
}

template <class E, class Scores, class T>
void sweep_axis(const AxisArgs<T>& a, const AxisTask& task, T* scratch) {
  const AxisScratch<T> sizes(a);
  const Exponent<T> exponent(a.eps, a.scale);
  const int lines =
      static_cast<int>(std::min<std::int64_t>(sizes.lines, a.before * a.after - task.first_line));
  gather_lines(a, sizes, exponent.unit, far_below(exponent.k), task.first_line, lines, scratch);
  constexpr int kTile = kAxisLines<T> * kAxisRows;
  HWY_ALIGN double sums[kTile], totals[kernels::kMostOutputs * kAxisRows];
  HWY_ALIGN T tops[kTile];
  const T depth = axis_depth<E>(a, exponent.k);
  std::int64_t start[kAxisLines<T>];
  for (int l = 0; l < lines; ++l) start[l] = line_start(a, a.n, task.first_line + l);
  for (std::int64_t i = task.first_row; i < task.last_row; i += kAxisRows) {
    const int rows = static_cast<int>(std::min<std::int64_t>(kAxisRows, task.last_row - i));
    AxisGroup<E, Scores, T> group(a, sizes, exponent.k, depth, i, scratch);
    const auto at = [&](int l, int r) { return start[l] + (i + r) * a.after; };
    for (int l = 0; l < lines; ++l) {
      const T* const line = scratch + l * sizes.line();
      double* const sum = sums + l * kAxisRows;
      T* const top = tops + l * kAxisRows;
      const AxisLine<T> of{line, line + sizes.padded, scratch + sizes.maxima() + l * sizes.blocks};
      const bool some = group.maxima(of, top);
      if (!some) {
        std::fill_n(sum, kAxisRows, 1.0);
        std::fill_n(top, kAxisRows, -std::numeric_limits<T>::infinity());
        std::fill_n(totals, a.outputs * kAxisRows, 0.0);
      } else if constexpr (std::is_same_v<E, MixedSum>) {
        group.sum(of, sum);
      } else {
        a.outputs ? group.weigh(of, sum, totals) : group.sum(of, sum);
      }
      for (int q = 0; q < a.outputs; ++q)
        for (int r = 0; r < rows; ++r)
          a.averages[at(l, r) * a.a_row + q * a.a_col] =
              static_cast<T>(totals[q * kAxisRows + r] / sum[r]);
    }
    log2_in_place(sums, lines * kAxisRows);
    const auto finished = [&](int l, int r) {
      const int e = l * kAxisRows + r;
      return (tops[e] + sums[e] / exponent.k) * static_cast<double>(exponent.unit);
    };
    for (int r = 0; r < rows; ++r)
      for (int l = 0; l < lines; ++l) {
        if (a.softmin)
          a.softmin[at(l, r)] = -finished(l, r);
        else
          a.log_sum[at(l, r)] = static_cast<T>(finished(l, r));
      }
  }
}

template <class E, Form FORM, class T>
void sweep_form(const AxisArgs<T>& a, const AxisTask& task, T* scratch) {
  if (a.period > 0)
    sweep_axis<E, AxisScores<FORM, true, T>>(a, task, scratch);
  else
    sweep_axis<E, AxisScores<FORM, false, T>>(a, task, scratch);
}

template <class T>
void sweep_axes(const AxisArgs<T>& a, const AxisTask& task, T* scratch) {
  const bool mixed = a.precision == kernels::Precision::mixed && !a.outputs;
  if constexpr (sizeof(T) == 8)
    if (mixed && a.form == Form::squared)
      return sweep_form<MixedSum, Form::squared>(a, task, scratch);
  if (a.form == Form::squared) return sweep_form<ExpSum<T>, Form::squared>(a, task, scratch);
  if (a.form == Form::distance) return sweep_form<ExpSum<T>, Form::distance>(a, task, scratch);
  sweep_form<ExpSum<T>, Form::power>(a, task, scratch);
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
template <class T>
void axis(const AxisArgs<T>& a, Exec& exec) {
  using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers
  constexpr std::int64_t kEnoughTasks = 32, kLeastRows = 64;
  constexpr double kLongest = 5e8;  // terms: a fraction of a second until a thread is asked to stop
  const std::int64_t lines = a.before * a.after;
  if (lines == 0 || a.n == 0) return;
  const AxisScratch<T> sizes(a);
  const std::int64_t chunks = (lines + sizes.lines - 1) / sizes.lines;
  const double terms = static_cast<double>(sizes.lines) * static_cast<double>(a.n * a.m);
  const std::int64_t wanted =
      std::min(std::max((kEnoughTasks + chunks - 1) / chunks,
                        static_cast<std::int64_t>(std::ceil(terms / kLongest))),
               (a.n + kLeastRows - 1) / kLeastRows);
  const std::int64_t rows = (a.n + wanted * kAxisRows - 1) / (wanted * kAxisRows) * kAxisRows;
  const std::int64_t parts = (a.n + rows - 1) / rows;
  const std::int64_t stride = (sizes.size() + 15) / 16 * 16;
  Buffer<T> scratch(thread_count(exec) * stride);
  const auto sweep = MONGE_PICK(sweep_axes<T>);
  const double work = static_cast<double>(lines) * static_cast<double>(a.n * a.m) * 8;
  parallel_for(
      chunks * parts, exec,
      [&](std::int64_t task, int thread) {
        const std::int64_t first = task % parts * rows;
        sweep(a, {task / parts * sizes.lines, first, std::min(a.n, first + rows)},
              scratch.data() + thread * stride);
      },
      work);
}
template void axis<float>(const AxisArgs<float>&, Exec&);
template void axis<double>(const AxisArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
