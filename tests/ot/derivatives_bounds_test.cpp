// Derivatives with lower bounds, of which some hold their entries.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/moves.hpp"

namespace monge {
namespace {
using testing::kExact;
using testing::Moving;
using testing::random_clouds;
using testing::refusal;

/// Bounds on some pairs, of which the plan itself would leave some nearly empty.
struct Bounded : Moving {
  std::vector<std::int64_t> rows{0, 1, 2, 4, 5, 3, 0}, columns{0, 3, 1, 4, 2, 0, 4};
  std::vector<double> values;

  // Of the seeds that leave room for differences.
  Bounded(const testing::Mixture& mix, Cost cost = SquaredEuclidean{})
      : Moving{
            random_clouds<double>(6, 5, 2, mix.name == "kl tv" ? 35 : 31, mix.mass_a, mix.mass_b),
            mix.a, mix.b, cost} {
    for (std::size_t e = 0; e < rows.size(); ++e)
      values.push_back(0.25 * std::min(clouds.a[rows[e]], clouds.b[columns[e]]));
    const auto size = static_cast<std::int64_t>(values.size());
    options.bounds = {{rows.data(), size}, {columns.data(), size}, {values.data(), size}};
  }
  Bounded(const Bounded&) = delete;
};

std::vector<Cost> costs() { return {Euclidean{}, Power{1.5}, Power{3}, Cosine{}, Dot{}}; }

TEST(BoundedDerivatives, ProductsMatchDifferences) {
  for (const auto& mix : testing::mixtures()) {
    const Bounded problem(mix);
    testing::check_products(problem, problem.direction(1), mix.name);
  }
  for (const Cost& cost : costs()) {
    const Bounded problem(testing::mixtures()[4], cost);
    testing::check_products(problem, problem.direction(1), cost_name(cost));
  }
}
TEST(BoundedDerivatives, MovesMatchDifferences) {
  for (const auto& mix : testing::mixtures()) testing::check_moves(Bounded(mix), mix.name);
}
TEST(BoundedDerivatives, TheAdjointIsTheTranspose) {
  for (const auto& mix : testing::mixtures()) testing::check_adjoint(Bounded(mix), mix.name);
  for (const Cost& cost : costs())
    testing::check_adjoint(Bounded(testing::mixtures()[4], cost), cost_name(cost));
}

TEST(BoundedDerivatives, TheHessianIsWhatProductsAre) {
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const Bounded problem(mix);
    const auto solved = problem.at();
    const auto at = linearize(*solved.plan, exec);
    const auto h = hessian(at, Side::source, {}, exec);
    const auto v = testing::random_vector<double>(12, 5, 0, -1);
    const auto want = hvp(at, {.dx = {v.data(), 6, 2}}, Wrt::source, kExact, exec);
    for (std::int64_t e = 0; e < 12; ++e) {
      double got = 0;
      for (std::int64_t t = 0; t < 12; ++t) got += h.value[e * 12 + t] * v[t];
      EXPECT_NEAR(got, want.dx[e], 1e-12 * testing::norm(want.dx)) << mix.name << e;
    }
  }
}

// Costs given as a matrix have all but points.
TEST(BoundedDerivatives, OfACostMatrix) {
  Exec exec;
  const Bounded problem(testing::mixtures()[4]);
  const auto solved = problem.at();
  auto along = problem.direction(3);
  along.dx.clear(), along.dy.clear();
  const auto values = problem.clouds.costs();
  const Problem<double> matrix(CostMatrix<double>{{values.data(), 6, 5}},
                               problem.clouds.source_weights(), problem.clouds.target_weights(),
                               problem.a, problem.b, problem.options);
  const Plan<double> plan(matrix, problem.epsilon, solved.result.f.view(), solved.result.g.view());
  const auto want = jvp(linearize(*solved.plan, exec), along.tangent(2), kExact, exec),
             got = jvp(linearize(plan, exec), along.tangent(2), kExact, exec);
  for (int e = 0; e < 6; ++e) EXPECT_NEAR(got.df[e], want.df[e], 1e-11);
  EXPECT_NEAR(got.transport_cost[0], want.transport_cost[0], 1e-11);
}

// A bound equal to what the plan carries anyway is a kink; bounds on all of a point leave nothing.
TEST(BoundedDerivatives, RefusesKinks) {
  Exec exec;
  const Moving free{random_clouds<double>(6, 5, 2, 31, 1, 1), Balanced{}, Balanced{}};
  const auto solved = free.at();
  const double carried = solved.plan->dense(exec)[2 * 5 + 1];
  const std::int64_t row = 2, column = 1;
  Moving bound = free;
  bound.options.bounds = {{&row, 1}, {&column, 1}, {&carried, 1}};
  const auto held = bound.at();
  const auto said = refusal([&] { linearize(*held.plan, exec); });
  EXPECT_EQ(said.index, 2);
  EXPECT_TRUE(said.says("lower bound")) << said.message;

  Moving all{random_clouds<double>(3, 1, 2, 31, 1, 1), KL{1}, KL{1}};
  const double most = 2 * all.clouds.a[1];
  const std::int64_t first = 1, only = 0;
  all.options.bounds = {{&first, 1}, {&only, 1}, {&most, 1}};
  const auto whole = all.at();
  EXPECT_TRUE(refusal([&] { linearize(*whole.plan, exec); }).says("not determined"));
}
}  // namespace
}  // namespace monge
