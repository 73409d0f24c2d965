#include "kernels/support.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "support/on_targets.hpp"
#include "support/problems.hpp"

namespace monge::kernels {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kColumns = 90;

/// Rows of every length from 0 to 40, repeated and longer ones, with one column removed.
struct SparseCase {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<double> costs, h, rest, scale;

  SparseCase() {
    for (int i = 0; i < 300; ++i) {
      const int length = i < 41 ? i : 7 * i % 88;
      for (int e = 0; e < length; ++e) {
        columns.push_back((e * 11 + i) % kColumns);
        costs.push_back(testing::random_vector<double>(1, 3, i, 0, 2)[0] + 0.01 * (e * 37 % 19));
      }
      offsets.push_back(static_cast<std::int64_t>(columns.size()));
    }
    h = testing::random_vector<double>(kColumns, 4, 0, -1, 1);
    h[5] = -kInfinity;
    rest = testing::random_vector<double>(300, 4, 1, 0, 2);
    rest[0] = rest[7] = kInfinity;  // row 0 has nothing at all
    scale = testing::random_vector<double>(300, 4, 2);
  }
  std::int64_t rows() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
  Sparse pairs(testing::Placed& on) const {
    return {on.in(offsets), on.in(columns), on.in(costs), rows(), offsets.back()};
  }
};

TEST(SparseSoftmin, AgreesWithTheDefinition) {
  const SparseCase in;
  for (const double eps : {1e-5, 0.01, 1.0, 100.0})
    testing::on_every_target([&] {
      std::vector<double> out(in.rows(), -7), shares(in.columns.size(), -7);
      testing::Placed on;
      Exec exec = on.exec();
      sparse_softmin({.pairs = in.pairs(on),
                      .h = on.in(in.h),
                      .rest = on.in(in.rest),
                      .eps = eps,
                      .out = on.out(out),
                      .shares = on.out(shares)},
                     exec);
      on.finish();
      for (std::int64_t i = 0; i < in.rows(); ++i) {
        long double top = -in.rest[i], sum = 0;
        const auto score = [&](std::int64_t e) -> long double {
          return static_cast<long double>(in.h[in.columns[e]]) - in.costs[e];
        };
        for (std::int64_t e = in.offsets[i]; e < in.offsets[i + 1]; ++e)
          top = std::max(top, score(e));
        if (std::isinf(static_cast<double>(top))) {
          EXPECT_EQ(out[i], kInfinity);
          continue;
        }
        for (std::int64_t e = in.offsets[i]; e < in.offsets[i + 1]; ++e)
          sum += std::exp((score(e) - top) / eps);
        sum += std::exp((-in.rest[i] - top) / eps);
        const auto want = static_cast<double>(-top - eps * std::log(sum));
        // Scores and the maximum are rounded at size 3, the logarithm at 5 eps.
        const double bound = 1.2e-16 * (8 * 3 + 16 * eps);
        ASSERT_NEAR(out[i], want, bound) << i;
        for (std::int64_t e = in.offsets[i]; e < in.offsets[i + 1]; ++e) {
          const auto share = static_cast<double>(std::exp((score(e) - top) / eps) / sum);
          ASSERT_NEAR(shares[e], share, share * (2 * bound / eps + 4e-15) + 1e-307) << i;
        }
      }
    });
}

TEST(SparseApply, AgreesWithTheDefinition) {
  const SparseCase in;
  const auto shares =
      testing::random_vector<double>(static_cast<std::int64_t>(in.columns.size()), 5, 0);
  const auto v = testing::random_vector<double>(kColumns, 5, 1, -1, 1);
  for (const bool ones : {false, true})
    for (const int power : {1, 2})
      testing::on_every_target([&] {
        std::vector<double> out(in.rows(), -7);
        testing::Placed on;
        Exec exec = on.exec();
        sparse_apply({.pairs = in.pairs(on),
                      .shares = ones ? nullptr : on.in(shares),
                      .scale = ones ? nullptr : on.in(in.scale),
                      .v = on.in(v),
                      .out = on.out(out),
                      .power = power},
                     exec);
        on.finish();
        for (std::int64_t i = 0; i < in.rows(); ++i) {
          long double want = 0;
          for (std::int64_t e = in.offsets[i]; e < in.offsets[i + 1]; ++e)
            want +=
                std::pow(ones ? 1.0L : static_cast<long double>(in.scale[i]) * shares[e], power) *
                v[in.columns[e]];
          ASSERT_NEAR(out[i], static_cast<double>(want), 1.2e-16 * 88 * 4) << i;
        }
      });
}

/// [rows, k]: a few distinct columns of each row, with gaps and one infinite cost.
struct ListedCase {
  std::int64_t rows, k;
  std::vector<std::int64_t> columns;
  std::vector<double> costs;

  ListedCase(std::int64_t rows, std::int64_t others, std::int64_t k, int seed) : rows(rows), k(k) {
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t e = 0; e < k; ++e) {
        const bool there = e < others && (i + e) % 7 != 0;
        // 31 has no factor with the numbers of points: no column comes twice.
        columns.push_back(there ? (i * 13 + e * 31 + seed) % others : -1);
        costs.push_back(i % 11 == 3 && e == 1 ? kInfinity : static_cast<double>(i * 1000 + e));
      }
  }
  SparseJoinArgs::Listed listed(testing::Placed& on) const {
    return {on.in(columns), on.in(costs), rows, k};
  }
};

TEST(SparseJoin, HoldsEveryPairOnceInBothOrders) {
  for (const auto& [n, m, k, l] : {std::array<std::int64_t, 4>{40, 30, 5, 3},
                                   {1, 1, 4, 4},
                                   {1, 50, 3, 1},
                                   {700, 3, 2, 33},
                                   {5, 5, 9, 9}}) {
    const ListedCase of_rows(n, m, k, 0), of_columns(m, n, l, 2);
    std::vector<std::map<std::int64_t, double>> want(n);
    for (const bool rows : {true, false}) {
      const ListedCase& list = rows ? of_rows : of_columns;
      for (std::size_t e = 0; e < list.columns.size(); ++e) {
        const std::int64_t own = static_cast<std::int64_t>(e) / list.k, partner = list.columns[e];
        if (partner >= 0 && std::isfinite(list.costs[e]))
          want[rows ? own : partner].try_emplace(rows ? partner : own, list.costs[e]);
      }
    }
    testing::on_every_device([&] {
      const std::size_t most = n * k + m * l;
      std::vector<std::int64_t> row_offsets(n + 1, -7), column_offsets(m + 1, -7);
      std::vector<std::int32_t> in_rows(most, -7), in_columns(most, -7);
      std::vector<double> row_costs(most, -7), column_costs(most, -7);
      testing::Placed on;
      Exec exec = on.exec();
      const std::int64_t entries = sparse_join(
          {.of_rows = of_rows.listed(on),
           .of_columns = of_columns.listed(on),
           .rows = {on.out(row_offsets), on.out(in_rows), on.out(row_costs)},
           .columns = {on.out(column_offsets), on.out(in_columns), on.out(column_costs)}},
          exec);
      on.finish();
      std::int64_t at = 0;
      std::vector<std::vector<std::pair<std::int64_t, double>>> turned(m);
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(row_offsets[i], at);
        for (const auto& [j, cost] : want[i]) {
          ASSERT_EQ(in_rows[at], j);
          ASSERT_EQ(row_costs[at++], cost);
          turned[j].emplace_back(i, cost);
        }
      }
      ASSERT_EQ(row_offsets[n], at);
      EXPECT_EQ(entries, at);
      at = 0;
      for (std::int64_t j = 0; j < m; ++j) {
        ASSERT_EQ(column_offsets[j], at);
        for (const auto& [i, cost] : turned[j]) {
          ASSERT_EQ(in_columns[at], i);
          ASSERT_EQ(column_costs[at++], cost);
        }
      }
      ASSERT_EQ(column_offsets[m], at);
    });
  }
}
}  // namespace
}  // namespace monge::kernels
