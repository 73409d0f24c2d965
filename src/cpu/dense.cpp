// add_product by tiles of rows and vectors of columns whose sums stay in registers.
#include "kernels/dense.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/dense.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/exp-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
using Args = kernels::AddProductArgs;

// R rows by V vectors from (i, j) on.
template <int R, int V>
HWY_INLINE void add_tile(const Args& p, std::int64_t i, std::int64_t j) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[R * V];
  unrolled<R * V>([&](int s) MONGE_LAMBDA { sum[s] = hn::Zero(d); });
  const double *a = p.a + i, *b = p.b + j;
  for (std::int64_t l = 0; l < p.depth; ++l, a += p.a_stride, b += p.b_stride) {
    hn::Vec<decltype(d)> column[V];
    unrolled<V>([&](int v) MONGE_LAMBDA { column[v] = hn::LoadU(d, b + v * lanes); });
    unrolled<R>([&](int r) MONGE_LAMBDA {
      const auto row = hn::Set(d, a[r]);
      unrolled<V>(
          [&](int v) MONGE_LAMBDA { sum[r * V + v] = hn::MulAdd(row, column[v], sum[r * V + v]); });
    });
  }
  const auto factor = hn::Set(d, p.factor);
  unrolled<R * V>([&](int s) MONGE_LAMBDA {
    double* const to = p.c + (i + s / V) * p.c_stride + j + s % V * lanes;
    hn::StoreU(hn::MulAdd(factor, sum[s], hn::LoadU(d, to)), d, to);
  });
}

// R rows by the columns [j, end).
template <int R>
void add_rows(const Args& p, std::int64_t i, std::int64_t j, std::int64_t end) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<double>()));
  for (; j + 3 * lanes <= end; j += 3 * lanes) add_tile<R, 3>(p, i, j);
  for (; j + lanes <= end; j += lanes) add_tile<R, 1>(p, i, j);
  for (; j < end; ++j)
    for (int r = 0; r < R; ++r) {
      double sum = 0;
      for (std::int64_t l = 0; l < p.depth; ++l)
        sum += p.a[l * p.a_stride + i + r] * p.b[l * p.b_stride + j];
      p.c[(i + r) * p.c_stride + j] += p.factor * sum;
    }
}

void add_block(const Args& p, std::int64_t i, std::int64_t i_end, std::int64_t j,
               std::int64_t j_end) {
  constexpr int kRows = HWY_TARGET == HWY_AVX3 ? 8 : 4;
  for (; i + kRows <= i_end; i += kRows) add_rows<kRows>(p, i, j, j_end);
  for (; i < i_end; ++i) add_rows<1>(p, i, j, j_end);
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

void add_product(const AddProductArgs& p, Exec& exec) {
  constexpr std::int64_t kRows = 64, kCols = 192;
  const auto add = MONGE_PICK(add_block);
  const std::int64_t across = (p.cols + kCols - 1) / kCols, down = (p.rows + kRows - 1) / kRows;
  parallel_for(
      down * across, exec,
      [&](std::int64_t block, int) {
        const std::int64_t i = block / across * kRows, j = block % across * kCols;
        const std::int64_t j_end = std::min(p.cols, j + kCols);
        if (p.upper && j_end <= i) return;
        add(p, i, std::min(p.rows, i + kRows), j, j_end);
      },
      2.0 * static_cast<double>(p.rows) * static_cast<double>(p.cols) *
          static_cast<double>(p.depth));
}
}  // namespace monge::kernels::cpu
#endif
