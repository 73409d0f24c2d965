// How potentials, marginals, images and the transport cost move: against differences of solves, and
// the transpose against its own definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/costs.hpp"
#include "support/moves.hpp"

namespace monge {
namespace {
using testing::check_adjoint;
using testing::check_moves;
using testing::Direction;
using testing::kExact;
using testing::Moving;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

constexpr Wrt kEverything = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights |
                            Wrt::epsilon | Wrt::penalty;

Moving moving(const testing::Mixture& mix, const Cost& cost = SquaredEuclidean{}) {
  return {random_clouds<double>(6, 5, 2, 31, mix.mass_a, mix.mass_b), mix.a, mix.b, cost};
}

TEST(Jvp, MovesByDifferencesForEveryMarginal) {
  for (const auto& mix : testing::mixtures()) check_moves(moving(mix), mix.name);
}
TEST(Jvp, MovesByDifferencesForEveryCost) {
  for (const Cost& cost : testing::every_cost())
    for (const int mixture : {0, 4})
      check_moves(moving(testing::mixtures()[mixture], cost),
                  cost_name(cost) + ", " + testing::mixtures()[mixture].name);
}

TEST(Vjp, IsTheTransposeForEveryMarginal) {
  for (const auto& mix : testing::mixtures()) check_adjoint(moving(mix), mix.name);
}
TEST(Vjp, IsTheTransposeForEveryCost) {
  for (const Cost& cost : testing::every_cost())
    for (const int mixture : {0, 4})
      check_adjoint(moving(testing::mixtures()[mixture], cost), cost_name(cost));
}

// Of rows whose marginal is held, Hxx A = 2 s r A - the map's transpose of 2 s r A.
TEST(Vjp, OfTheMapIsTheHessianProduct) {
  Exec exec;
  const auto problem = moving(testing::mixtures()[1]);
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const auto r = solved.plan->marginal(Side::source, exec);
  const auto v = problem.direction(35).dx;
  std::vector<double> scaled;
  for (std::size_t e = 0; e < v.size(); ++e) scaled.push_back(2 * r[e / 2] * v[e]);
  const auto product = hvp(at, {.dx = {v.data(), 6, 2}}, Wrt::source, kExact, exec);
  const auto pulled = vjp(at, {.map = {scaled.data(), 6, 2}}, Wrt::source, kExact, exec);
  for (std::size_t e = 0; e < v.size(); ++e)
    EXPECT_NEAR(product.dx[e], scaled[e] - pulled.dx[e], 1e-12);
}

TEST(Vjp, ManyCotangentsEqualSingleOnes) {
  Exec exec;
  const auto problem = moving(testing::mixtures()[0]);
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const auto f = random_vector<double>(3 * 6, 36, 0, -1);
  const auto theta = random_vector<double>(3 * 12, 36, 1, -1);
  const auto all = vjp(at, {.count = 3, .f = {f.data(), 3, 6}, .map = {theta.data(), 18, 2}},
                       kEverything, kExact, exec);
  for (int r = 0; r < 3; ++r) {
    const auto one = vjp(at, {.f = {f.data() + 6 * r, 1, 6}, .map = {theta.data() + 12 * r, 6, 2}},
                         kEverything, kExact, exec);
    for (int e = 0; e < 12; ++e) EXPECT_NEAR(all.dx[12 * r + e], one.dx[e], 1e-11);
    for (int e = 0; e < 10; ++e) EXPECT_NEAR(all.dy[10 * r + e], one.dy[e], 1e-11);
    for (int e = 0; e < 6; ++e) EXPECT_NEAR(all.da[6 * r + e], one.da[e], 1e-11);
    EXPECT_NEAR(all.depsilon[r], one.depsilon[0], 1e-11);
  }
}

TEST(Vjp, CountsItsPassesAndRefusesShapes) {
  Exec exec;
  const auto problem = moving(testing::mixtures()[4]);
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const auto f = random_vector<double>(6, 37, 0, -1);
  const auto got =
      vjp(at, {.f = {f.data(), 1, 6}}, Wrt::source | Wrt::source_weights, kExact, exec);
  EXPECT_EQ(got.report.passes, 2 * got.report.iterations + 2);
  EXPECT_EQ(refusal([&] {
              vjp(at, {.f = {f.data(), 1, 5}}, Wrt::source, kExact, exec);
            }).argument,
            "f");
  EXPECT_EQ(refusal([&] {
              vjp(at, {.map = {f.data(), 3, 2}}, Wrt::source, kExact, exec);
            }).argument,
            "map");
  EXPECT_EQ(refusal([&] {
              vjp(at, {.transport_cost = {1, 2}}, Wrt::source, kExact, exec);
            }).argument,
            "transport_cost");
}

// On a cost matrix: everything but points.
TEST(Jvp, ACostMatrixHasAllButPoints) {
  Exec exec;
  const auto mix = testing::mixtures()[4];
  const auto problem = moving(mix);
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const auto values = problem.clouds.costs();
  const Problem<double> matrix(CostMatrix<double>{{values.data(), 6, 5}},
                               problem.clouds.source_weights(), problem.clouds.target_weights(),
                               mix.a, mix.b);
  const Plan<double> plan(matrix, problem.epsilon, solved.result.f.view(), solved.result.g.view());
  const auto on_matrix = linearize(plan, exec);
  Direction along = problem.direction(38);
  along.dx.clear(), along.dy.clear();
  const auto want = jvp(at, along.tangent(2), kExact, exec);
  const auto got = jvp(on_matrix, along.tangent(2), kExact, exec);
  for (int e = 0; e < 6; ++e) EXPECT_NEAR(got.df[e], want.df[e], 1e-11);
  for (int e = 0; e < 5; ++e) EXPECT_NEAR(got.target[e], want.target[e], 1e-11);
  EXPECT_NEAR(got.transport_cost[0], want.transport_cost[0], 1e-11);
  EXPECT_EQ(got.map.size(), 0);
  const auto f = random_vector<double>(6, 39, 0, -1);
  constexpr Wrt kScalars = Wrt::source_weights | Wrt::epsilon | Wrt::penalty;
  const auto a = vjp(at, {.f = {f.data(), 1, 6}}, kScalars, kExact, exec);
  const auto b = vjp(on_matrix, {.f = {f.data(), 1, 6}}, kScalars, kExact, exec);
  for (int e = 0; e < 6; ++e) EXPECT_NEAR(a.da[e], b.da[e], 1e-11);
  EXPECT_NEAR(a.depsilon[0], b.depsilon[0], 1e-11);
  EXPECT_THROW(vjp(on_matrix, {.f = {f.data(), 1, 6}}, Wrt::source, kExact, exec), NotAvailable);
}
}  // namespace
}  // namespace monge
