#include "kernels/draw.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "reference/draw.hpp"
#include "support/kernel_case.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
using kernels::DrawArgs;
using testing::CaseOptions;
using testing::KernelCase;
using Integers = std::vector<std::int64_t>;

template <class T>
class Draw : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Draw, Scalars);

struct Requests {
  Integers rows, counts, offsets;
  std::int64_t total() const {
    return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  }
};

Requests requests(Integers rows, Integers counts) {
  Requests out{std::move(rows), std::move(counts), {}};
  std::int64_t offset = 0;
  for (const auto count : out.counts) {
    out.offsets.push_back(offset);
    offset += count;
  }
  return out;
}

/// `count` draws from every row.
Requests from_all_rows(std::int64_t n, std::int64_t count) {
  Integers rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  return requests(rows, Integers(n, count));
}

template <class T>
DrawArgs<T> arguments(const KernelCase<T>& in, const Requests& wanted, std::uint64_t seed) {
  return {in.pairs(),
          in.h.data(),
          in.shift.data(),
          wanted.rows.data(),
          wanted.counts.data(),
          wanted.offsets.data(),
          static_cast<std::int64_t>(wanted.rows.size()),
          seed,
          nullptr,
          in.eps};
}

template <class T>
Integers run(const KernelCase<T>& in, const Requests& wanted, int threads, std::uint64_t seed = 1) {
  Integers out(wanted.total(), testing::poison<std::int64_t>());
  auto a = arguments(in, wanted, seed);
  testing::Placed on;
  a.h = on.in(in.h);
  a.shift = on.in(in.shift);
  a.rows = on.in(wanted.rows);
  a.counts = on.in(wanted.counts);
  a.offsets = on.in(wanted.offsets);
  a.pairs = on.pairs(a.pairs);
  a.out = on.out(out);
  Exec exec = on.exec(threads);
  kernels::draw(a, exec);
  on.finish();
  return out;
}

template <class T>
void expect_inversion(const KernelCase<T>& in, std::int64_t count) {
  SCOPED_TRACE(in.name());
  const auto wanted = from_all_rows(in.options().n, count);
  testing::on_every_target([&] {
    const auto got = run(in, wanted, 1);
    const auto a = arguments(in, wanted, 1);
    for (std::int64_t i = 0; i < in.options().n; ++i) {
      const reference::DrawRow<T> row(a, i);
      for (std::int64_t t = 0; t < count; ++t)
        ASSERT_TRUE(row.allows(got[i * count + t], t))
            << i << " " << t << ": " << got[i * count + t];
    }
  });
  testing::expect_same_on_any_threads([&](int threads) { return run(in, wanted, threads); });
}

TYPED_TEST(Draw, InvertsTheCumulativeSumOnAwkwardShapes) {
  for (CaseOptions options : testing::all_forms())
    for (const auto& shape : testing::awkward_shapes())
      for (const double eps : {1e-3, 1e2}) {
        options.n = shape.n, options.m = shape.m, options.dim = shape.dim, options.eps = eps;
        expect_inversion(KernelCase<TypeParam>(options), 3);
      }
}

TYPED_TEST(Draw, SweepsListsOnly) {
  for (const int width : testing::list_widths())
    expect_inversion(
        KernelCase<TypeParam>({.n = 130, .m = 900, .dim = 2, .lists = true, .list_width = width}),
        20);
}

// Draw t of row i is the same however the requests are cut and ordered.
TYPED_TEST(Draw, DoesNotDependOnTheGroupingOfRequests) {
  using T = TypeParam;
  const KernelCase<T> in({.n = 100, .m = 700, .dim = 3});
  testing::on_every_target([&] {
    const auto all = run(in, from_all_rows(100, 4), 1);
    const auto some = requests({99, 64, 3, 7, 8, 9, 10, 63, 65, 7}, {4, 3, 2, 4, 1, 0, 4, 4, 4, 2});
    const auto got = run(in, some, 2);
    for (std::size_t r = 0; r < some.rows.size(); ++r)
      for (std::int64_t t = 0; t < some.counts[r]; ++t)
        EXPECT_EQ(got[some.offsets[r] + t], all[some.rows[r] * 4 + t]);
    EXPECT_NE(all, run(in, from_all_rows(100, 4), 1, /*seed=*/2));
  });
}

// 10^6 draws of one row against its probabilities. Chi-square with cells merged to an expectation
// of 10 at least; by Wilson and Hilferty ((X/k)^(1/3) - 1 + 2/(9k)) / sqrt(2/(9k)) is a standard
// normal variable, which exceeds 3.72 with probability 1e-4.
TYPED_TEST(Draw, ChiSquareOfAMillionDraws) {
  using T = TypeParam;
  const KernelCase<T> in({.n = 1, .m = 1000, .dim = 2, .eps = 0.3});
  const std::int64_t count = 1000000;
  const auto wanted = requests({0}, {count});
  const auto got = run(in, wanted, 2, /*seed=*/42);
  std::vector<double> seen(1000, 0);
  for (const auto column : got) {
    ASSERT_TRUE(column >= 0 && column < 1000);
    ++seen[column];
  }
  const reference::DrawRow<T> row(arguments(in, wanted, 42), 0);
  double statistic = 0, expected = 0, observed = 0;
  int cells = 0;
  for (std::int64_t j = 0; j < 1000; ++j) {
    const double p = static_cast<double>(row.probability(j));
    if (p == 0) {
      EXPECT_EQ(seen[j], 0) << j;
    }
    expected += count * p;
    observed += seen[j];
    if (expected < 10) continue;
    statistic += (observed - expected) * (observed - expected) / expected;
    ++cells;
    expected = observed = 0;
  }
  ASSERT_GT(cells, 100);
  const double k = cells - 1;
  const double z = (std::cbrt(statistic / k) - 1 + 2 / (9 * k)) / std::sqrt(2 / (9 * k));
  EXPECT_LT(z, 3.72);
  EXPECT_GT(z, -3.72);  // nor suspiciously good
}

// Streams of different rows are independent: one draw from each of 10^5 equal rows has the same
// law. Two columns of equal weight; the count of the first lies within 5 standard deviations.
TYPED_TEST(Draw, RowsAreIndependent) {
  using T = TypeParam;
  const std::int64_t n = 100000;
  KernelCase<T> in({.n = n, .m = 2, .dim = 1, .eps = 1, .zero_weights = false, .bad_shift = false});
  std::fill(in.x.begin(), in.x.end(), T(0));
  in.y[0] = T(0.5), in.y[1] = T(-0.5), in.h[0] = in.h[1] = 0;
  in.pack_points();
  const auto got = run(in, from_all_rows(n, 1), 2);
  const auto first = std::count(got.begin(), got.end(), 0);
  EXPECT_NEAR(static_cast<double>(first), n / 2.0, 5 * std::sqrt(n / 4.0));
}

// Columns without weight are never drawn, wherever the uniform number falls: weight only on every
// 97th column, none in the last block.
TYPED_TEST(Draw, ZeroWeightsAreNeverDrawn) {
  using T = TypeParam;
  KernelCase<T> in({.n = 8, .m = 1100, .dim = 2, .bad_shift = false});
  for (std::int64_t j = 0; j < 1100; ++j)
    if (j % 97 != 5 || j > 800) in.h[j] = -std::numeric_limits<T>::infinity();
  in.set_shift();
  testing::on_every_target([&] {
    for (const auto column : run(in, from_all_rows(8, 5000), 2))
      ASSERT_TRUE(column % 97 == 5 && column <= 800) << column;
  });
}

TYPED_TEST(Draw, RowsWithoutWeightGiveMinusOne) {
  using T = TypeParam;
  const KernelCase<T> in({.n = 20, .m = 40, .dim = 2}), none({.n = 3, .m = 0, .dim = 2});
  testing::on_every_target([&] {
    const auto got = run(in, from_all_rows(20, 2), 1);
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(got[i * 2] == -1, i % 11 == 3 || i % 11 == 5 || i % 11 == 6) << i;
    EXPECT_EQ(run(none, from_all_rows(3, 1), 1), Integers(3, -1));
  });
}
}  // namespace
}  // namespace monge
