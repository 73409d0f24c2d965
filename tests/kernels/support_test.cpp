#include "kernels/support.hpp"

#include <gtest/gtest.h>

#include <cmath>
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
}  // namespace
}  // namespace monge::kernels
