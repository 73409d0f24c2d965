// Derivatives with a total mass, whose level moves with all else.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/moves.hpp"

namespace monge {
namespace {
using testing::Direction;
using testing::kExact;
using testing::Moving;
using testing::random_clouds;
using testing::refusal;

const Marginal kCapped = TV{std::numeric_limits<double>::infinity()};

Moving partial(std::int64_t n, std::int64_t m, Cost cost = SquaredEuclidean{}, double mass = 0.7) {
  return {random_clouds<double>(n, m, 2, 7, 1.2, 1), kCapped, kCapped, cost, 0.2,
          {.total_mass = mass, .mass_tolerance = 0}};
}

TEST(TotalMass, ProductsMatchDifferences) {
  for (const Cost& cost : {Cost{SquaredEuclidean{}}, Cost{Cosine{}}}) {
    const auto problem = partial(10, 8, cost);
    testing::check_products(problem, problem.direction(1), cost_name(cost));
  }
}
TEST(TotalMass, MovesMatchDifferences) {
  testing::check_moves(partial(10, 8), "more rows");
  testing::check_moves(partial(6, 9), "more columns");
}
TEST(TotalMass, TheAdjointIsTheTranspose) {
  testing::check_adjoint(partial(10, 8), "more rows");
  testing::check_adjoint(partial(6, 9), "more columns");
}

// The dense Hessian has the level's share, as products do.
TEST(TotalMass, TheHessianIsWhatProductsAre) {
  Exec exec;
  for (const Cost& cost : {Cost{SquaredEuclidean{}}, Cost{Power{3}}, Cost{Cosine{}}}) {
    const auto problem = partial(10, 8, cost);
    const auto solved = problem.at();
    const auto at = linearize(*solved.plan, exec);
    for (const Side side : {Side::source, Side::target}) {
      const bool source = side == Side::source;
      const std::int64_t n = source ? 10 : 8;
      const auto h = hessian(at, side, {}, exec);
      EXPECT_EQ(h.dropped_modes, 0);
      const auto v = testing::random_vector<double>(2 * n, 5, 0, -1);
      Tangent<double> along;
      (source ? along.dx : along.dy) = {v.data(), n, 2};
      const auto want = hvp(at, along, source ? Wrt::source : Wrt::target, kExact, exec);
      const Buffer<double>& products = source ? want.dx : want.dy;
      for (std::int64_t e = 0; e < 2 * n; ++e) {
        double got = 0;
        for (std::int64_t t = 0; t < 2 * n; ++t) got += h.value[e * 2 * n + t] * v[t];
        EXPECT_NEAR(got, products[e], 1e-12 * testing::norm(products)) << cost_name(cost) << e;
      }
    }
  }
}

// A side that gives all it has sets the mass by itself: nothing is left to the level.
TEST(TotalMass, OfAllThatASideHas) {
  auto problem = partial(10, 8, SquaredEuclidean{}, 1);
  Direction along = problem.direction(2, false);
  along.dmass = 0;
  testing::check_products(problem, along, "all of b");
  Exec exec;
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  EXPECT_TRUE(jvp(at, along.tangent(2), kExact, exec).dlevel.empty());
  Tangent<double> more;
  more.dmass = {1};
  EXPECT_EQ(refusal([&] { jvp(at, more, {}, exec); }).argument, "dmass");
}

TEST(TotalMass, RefusesWhatItHasNot) {
  Exec exec;
  const auto problem = partial(10, 8);
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  Tangent<double> along;
  along.dmass = {1, 2};
  EXPECT_EQ(refusal([&] { hvp(at, along, Wrt::source, {}, exec); }).argument, "dmass");
  EXPECT_EQ(refusal([&] { jvp(at, along, {}, exec); }).argument, "dmass");

  const Moving balanced{random_clouds<double>(5, 5, 2, 7, 1, 1), Balanced{}, Balanced{}};
  const auto free = balanced.at();
  along.dmass = {1};
  EXPECT_EQ(
      refusal([&] { hvp(linearize(*free.plan, exec), along, Wrt::source, {}, exec); }).argument,
      "dmass");
}
}  // namespace
}  // namespace monge
