#include "kernels/sparse_newton.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/on_targets.hpp"
#include "support/problems.hpp"

namespace monge::kernels {
namespace {
/// A sparse plan P, and S = diag(q (1 + more)) - P^T diag(p)^-1 P of its marginals.
struct SchurCase {
  std::int64_t n, m;
  std::vector<std::int64_t> row_offsets{0}, column_offsets{0};
  std::vector<std::int32_t> in_rows, in_columns;
  std::vector<double> row_shares, column_shares, q, ones, inverse, curvature, right;

  SchurCase(std::int64_t n, std::int64_t m, double more) : n(n), m(m), q(m), ones(n, 1.0) {
    std::vector<std::vector<std::pair<std::int32_t, double>>> columns(m);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t count = std::min<std::int64_t>(m, 1 + i % 40);
      const auto w = testing::random_vector<double>(count, 3, i, 0.1, 1);
      double p = 0;
      for (const double x : w) p += x;
      for (std::int64_t e = 0; e < count; ++e) {
        const auto j = static_cast<std::int32_t>((i + e * 7) % m);
        if (e > 0 && std::find(in_rows.begin() + row_offsets[i], in_rows.end(), j) != in_rows.end())
          continue;
        in_rows.push_back(j);
        row_shares.push_back(w[e] / p);
        columns[j].emplace_back(i, w[e] / static_cast<double>(n));
      }
      double share = 0;  // of what stayed: rows of shares add up to 1
      for (auto e = row_offsets[i]; e < std::ssize(in_rows); ++e) share += row_shares[e];
      for (auto e = row_offsets[i]; e < std::ssize(in_rows); ++e) row_shares[e] /= share;
      inverse.push_back(static_cast<double>(n) / (p * share));
      row_offsets.push_back(std::ssize(in_rows));
    }
    for (std::int64_t j = 0; j < m; ++j) {
      for (const auto& [i, mass] : columns[j]) q[j] += mass;
      for (const auto& [i, mass] : columns[j]) {
        in_columns.push_back(i);
        column_shares.push_back(mass / q[j]);
      }
      column_offsets.push_back(std::ssize(in_columns));
      curvature.push_back(q[j] * (1 + more));
    }
    if (m > 20) curvature[4] = 0;  // frozen
    right = testing::random_vector<double>(m, 3, 1000000, -1, 1);
    for (std::int64_t j = 0; j < m; ++j) right[j] = curvature[j] > 0 ? right[j] * curvature[j] : 0;
  }

  /// A v
  std::vector<double> product(const std::vector<double>& v) const {
    std::vector<double> between(n), out(m);
    for (std::int64_t i = 0; i < n; ++i)
      for (auto e = row_offsets[i]; e < row_offsets[i + 1]; ++e)
        between[i] += row_shares[e] * v[in_rows[e]];
    for (std::int64_t j = 0; j < m; ++j)
      for (auto e = column_offsets[j]; e < column_offsets[j + 1]; ++e)
        out[j] += q[j] * column_shares[e] * between[in_columns[e]];
    return out;
  }

  struct Run {
    std::vector<double> x;
    Cg state;
  };
  Run run(CgArgs how) const {
    Run out{std::vector<double>(m), {}};
    std::vector<Cg> state(1);
    std::vector<double> diagonal(m), r(m), z(m), p(m), w(m), between(n);
    std::vector<std::int64_t> room(kStepRoom, 0);
    testing::Placed on;
    Exec exec = on.exec();
    how.n = m;
    how.curvature = on.in(curvature);
    double* const on_diagonal = on.out(diagonal);
    how.diagonal = on_diagonal;
    how.r = on.out(r), how.x = on.out(out.x), how.z = on.out(z), how.p = on.out(p);
    how.w = on.out(w), how.state = on.out(state);
    double* const on_rows = on.out(between);
    const Sparse rows{on.in(row_offsets), on.in(in_rows), nullptr, n, std::ssize(in_rows)};
    const Sparse columns{on.in(column_offsets), on.in(in_columns), nullptr, m,
                         std::ssize(in_columns)};
    const auto of_columns = [&](const double* v, double* to, int power) -> SparseApplyArgs {
      return {columns, on.in(column_shares), on.in(q), v, to, power};
    };
    sparse_step({.squares = of_columns(on.in(inverse), on_diagonal, 2),
                 .rows = {rows, on.in(row_shares), on.in(ones), how.p, on_rows},
                 .columns = of_columns(on_rows, how.w, 1),
                 .step = {.diagonal = {how.curvature, on_diagonal, 1e-13, on_diagonal},
                          .right = {on.in(right), how.curvature, 0, how.r},
                          .cg = how,
                          .room = on.out(room)}},
                exec);
    on.finish();
    out.state = state[0];
    return out;
  }
};

double largest(const std::vector<double>& v) {
  double out = 0;
  for (const double x : v) out = std::max(out, std::abs(x));
  return out;
}

CgArgs tight(bool projects = false) {
  CgArgs out{};
  out.forcing = 1e-13;
  out.radius = 1e9;
  out.most = 2000;
  out.projects = projects;
  return out;
}

// Sizes on both sides of a warp, a block and, on a GPU, of what is under way at once.
TEST(SparseStep, SolvesTheSystem) {
  for (const auto& [n, m] : {std::pair<std::int64_t, std::int64_t>{1, 1},
                             {30, 33},
                             {400, 90},
                             {100, 4000},
                             {21000, 19000}}) {
    const SchurCase in(n, m, 0.2);
    testing::on_every_device([&] {
      const auto got = in.run(tight());
      const auto product = in.product(got.x);
      // r.z, |r|^2 in the norm of the diagonal's inverse, has fallen by 1e-26.
      for (std::int64_t j = 0; j < m; ++j) {
        const double left =
            in.curvature[j] > 0 ? in.curvature[j] * got.x[j] - product[j] - in.right[j] : got.x[j];
        ASSERT_NEAR(left, 0, 1e-11 * largest(in.right)) << n << " " << m << " " << j;
      }
      EXPECT_TRUE(got.state.over);
      EXPECT_FALSE(got.state.boundary);
      EXPECT_LT(got.state.products, 300);
    });
  }
}

// Nearly an assignment: a path through all rows and columns, which diagonals walk a step a product,
// and a forest solves at once. Every diagonal holds 1e-6 more than its entries.
TEST(SparseStep, APathIsSolvedAtOnce) {
  constexpr std::int64_t kRows = 3000;
  SchurCase in(1, 1, 0);
  in.n = in.m = kRows;
  in.row_offsets = in.column_offsets = {0};
  in.in_rows.clear(), in.in_columns.clear(), in.row_shares.clear(), in.column_shares.clear();
  const auto weight = [](std::int64_t i, std::int64_t j) {
    return i == j ? 0.9 : j == i + 1 ? 0.1 : 0;
  };
  for (std::int64_t i = 0; i < kRows; ++i) {
    for (std::int64_t j = i; j < std::min(i + 2, kRows); ++j) {
      in.in_rows.push_back(static_cast<std::int32_t>(j));
      in.row_shares.push_back(weight(i, j));
    }
    in.row_offsets.push_back(std::ssize(in.in_rows));
    for (std::int64_t k = std::max(i - 1, std::int64_t{0}); k <= i; ++k) {
      in.in_columns.push_back(static_cast<std::int32_t>(k));
      in.column_shares.push_back(weight(k, i));
    }
    in.column_offsets.push_back(std::ssize(in.in_columns));
  }
  const double held = 1 + 1e-6;
  in.q.assign(kRows, 1);
  in.ones.assign(kRows, 1 / held);
  in.inverse.assign(kRows, 1 / held);
  in.curvature.assign(kRows, held);
  in.right = testing::random_vector<double>(kRows, 3, 1000000, -1, 1);
  const auto got = in.run(tight());
  EXPECT_LE(got.state.products, 35);
  auto product = in.product(got.x);
  for (std::int64_t j = 0; j < kRows; ++j)
    ASSERT_NEAR(held * got.x[j] - product[j] / held - in.right[j], 0, 1e-10 * largest(got.x)) << j;
}

// S of two exact marginals does not see constants.
TEST(SparseStep, LeavesOutConstants) {
  SchurCase in(50, 15, 0);
  in.q.assign(15, 0);  // q = P^T 1 for rows of mass 1 / n
  for (std::int64_t i = 0; i < in.n; ++i)
    for (auto e = in.row_offsets[i]; e < in.row_offsets[i + 1]; ++e)
      in.q[in.in_rows[e]] += in.row_shares[e] / static_cast<double>(in.n);
  in.column_shares.clear();
  for (std::int64_t j = 0; j < in.m; ++j)
    for (auto e = in.column_offsets[j]; e < in.column_offsets[j + 1]; ++e) {
      const std::int64_t i = in.in_columns[e];
      const auto row = std::find(in.in_rows.begin() + in.row_offsets[i],
                                 in.in_rows.begin() + in.row_offsets[i + 1], j);
      in.column_shares.push_back(in.row_shares[row - in.in_rows.begin()] /
                                 static_cast<double>(in.n) / in.q[j]);
    }
  in.curvature = in.q;
  in.inverse.assign(in.n, static_cast<double>(in.n));
  double mean = 0;
  for (const double r : in.right) mean += r / static_cast<double>(in.m);
  testing::on_every_device([&] {
    const auto got = in.run(tight(true));
    const auto product = in.product(got.x);
    for (std::int64_t j = 0; j < in.m; ++j)
      ASSERT_NEAR(in.curvature[j] * got.x[j] - product[j], in.right[j] - mean,
                  1e-11 * largest(in.right));
    EXPECT_FALSE(got.state.boundary);
  });
}

TEST(SparseStep, StopsAtTheBoundaryAndWhenProductsAreSpent) {
  const SchurCase in(400, 90, 0.01);
  testing::on_every_device([&] {
    const double whole = largest(in.run(tight()).x);
    CgArgs how = tight();
    how.radius = whole / 3;
    auto got = in.run(how);
    EXPECT_TRUE(got.state.boundary);
    EXPECT_NEAR(largest(got.x), how.radius, 1e-14 * whole);
    how = tight();
    how.most = 2;
    got = in.run(how);
    EXPECT_EQ(got.state.products, 2);
    how.most = 0;
    EXPECT_EQ(largest(in.run(how).x), 0);
  });
}

TEST(SparseStep, RepeatsBitForBit) {
  const SchurCase in(3000, 2500, 0.05);
  testing::on_every_device([&] { EXPECT_EQ(in.run(tight()).x, in.run(tight()).x); });
}
}  // namespace
}  // namespace monge::kernels
