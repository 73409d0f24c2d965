// Derivatives in epsilon and in the strengths of the marginals, and gradients in parts.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/tangents.hpp"

namespace monge {
namespace {
using testing::difference;
using testing::Moving;
using testing::random_clouds;

constexpr Wrt kStrengths = Wrt::epsilon | Wrt::penalty;

// As check_products of derivatives_hvp_test.cpp: differences at steps h err by 1e-14 / h and h^4.
TEST(StrengthProducts, MatchDifferencesOfGradients) {
  constexpr double kStep = 3e-4;
  Exec exec;
  for (const auto& mixture : testing::mixtures()) {
    SCOPED_TRACE(mixture.name);
    const Moving problem{random_clouds<double>(9, 7, 2, 2, mixture.mass_a, mixture.mass_b),
                         mixture.a, mixture.b, SquaredEuclidean{}, 0.3};
    const auto along = problem.direction(4);
    const auto solved = problem.at();
    const auto at = linearize(*solved.plan, exec);
    if (!(at.tv_margin() > 10 * kStep)) continue;
    const auto got = hvp(at, along.tangent(2), kStrengths, {.tolerance = 1e-13}, exec);
    const auto want = difference(
        [&](double t) {
          const auto s = problem.at(t, along);
          const auto g = gradient(*s.plan, exec);
          return std::vector<double>{g.depsilon, g.drho_a, g.drho_b};
        },
        kStep);
    EXPECT_NEAR(got.depsilon[0], want[0], 1e-8 * std::max(1.0, std::abs(want[0])));
    EXPECT_NEAR(got.drho_a[0], want[1], 1e-8 * std::max(1.0, std::abs(want[1])));
    EXPECT_NEAR(got.drho_b[0], want[2], 1e-8 * std::max(1.0, std::abs(want[2])));
    EXPECT_EQ(got.dx.size() + got.da.size(), 0);
  }
}

TEST(GradientParts, AreThoseOfTheWhole) {
  Exec exec;
  const Moving problem{random_clouds<double>(9, 7, 2, 2, 1.3, 0.9), KL{0.6}, KL{0.8}};
  const auto solved = problem.at();
  const auto all = gradient(*solved.plan, exec);
  const auto same = [](const Buffer<double>& got, const Buffer<double>& want) {
    ASSERT_EQ(got.size(), want.size());
    // Ratios come from a softmin or from the pass of the points.
    for (std::int64_t e = 0; e < want.size(); ++e) EXPECT_NEAR(got[e], want[e], 1e-12);
  };
  const auto part = [&](Wrt wrt) { return gradient(*solved.plan, wrt, exec); };
  same(part(Wrt::source).dx, all.dx);
  same(part(Wrt::target).dy, all.dy);
  same(part(Wrt::source_weights).da, all.da);
  same(part(Wrt::target_weights).db, all.db);
  EXPECT_EQ(part(Wrt::source).dy.size() + part(Wrt::source).da.size(), 0);
  EXPECT_NEAR(part(Wrt::epsilon).depsilon, all.depsilon, 1e-12);
  EXPECT_NEAR(part(Wrt::penalty).drho_a, all.drho_a, 1e-12);
  EXPECT_NEAR(part(Wrt::penalty).drho_b, all.drho_b, 1e-12);
  EXPECT_EQ(part(Wrt::penalty).depsilon, 0);
  EXPECT_THROW(part(Wrt::cost), NotAvailable);
}

// The derivative in the entries of a matrix is the plan.
TEST(GradientParts, OfCostsAreThePlan) {
  Exec exec;
  const auto clouds = random_clouds<double>(6, 5, 2, 3);
  auto costs = clouds.costs(SquaredEuclidean{});
  const auto solve = [&](const std::vector<double>& c) {
    const Problem<double> problem(CostMatrix<double>{{c.data(), 6, 5}}, {clouds.a.data(), 6},
                                  {clouds.b.data(), 5}, KL{1}, Balanced{});
    const auto result = sinkhorn(problem, testing::tight(0.2, 1e-15), exec);
    const Plan<double> plan(problem, result);
    return std::pair(plan.value(exec), gradient(plan, Wrt::cost, exec).dcost);
  };
  const auto got = solve(costs).second;
  ASSERT_EQ(got.size(), 30);
  for (const int e : {0, 7, 29}) {
    const auto want = difference(
        [&](double t) {
          auto moved = costs;
          moved[e] += t;
          return std::vector<double>{solve(moved).first};
        },
        1e-3);
    EXPECT_NEAR(got[e], want[0], 1e-10);
  }
}
}  // namespace
}  // namespace monge
