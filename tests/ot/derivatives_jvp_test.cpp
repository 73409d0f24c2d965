// How potentials, marginals, images and the transport cost move: against differences of solves, and
// the transpose against its own definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/golden.hpp"
#include "support/tangents.hpp"

namespace monge {
namespace {
using testing::difference;
using testing::Direction;
using testing::dot;
using testing::Moving;
using testing::norm;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

const SolveOptions kExact{.tolerance = 1e-13};
constexpr Wrt kEverything = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights |
                            Wrt::epsilon | Wrt::penalty;

std::vector<Cost> costs() {
  return {SquaredEuclidean{},
          HalfSquaredEuclidean{},
          Euclidean{},
          Power{1.5},
          Power{3},
          Cosine{},
          Dot{}};
}

Moving moving(const testing::Mixture& mix, const Cost& cost = SquaredEuclidean{}) {
  return {random_clouds<double>(6, 5, 2, 31, mix.mass_a, mix.mass_b), mix.a, mix.b, cost};
}

/// All that jvp() moves, at t along a direction.
struct Moved {
  std::vector<double> f, g, source, target, map, cost;
};
Moved moved(const Moving& problem, double t, const Direction& along) {
  Exec exec;
  const auto s = problem.at(t, along);
  const auto values = [](const Buffer<double>& v) {
    return std::vector<double>(v.begin(), v.end());
  };
  return {values(s.result.f),
          values(s.result.g),
          values(s.plan->marginal(Side::source, exec)),
          values(s.plan->marginal(Side::target, exec)),
          values(s.plan->barycentric(Side::source, exec)),
          {s.plan->terms(exec).linear}};
}

void check_moves(const Moving& problem, const std::string& name) {
  constexpr double kStep = 3e-4;  // see derivatives_hvp_test.cpp
  Exec exec;
  const Direction along = problem.direction(32);
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  ASSERT_GT(at.tv_margin(), 10 * kStep) << name;
  const auto got = jvp(at, along.tangent(2), kExact, exec);
  const auto check = [&](const auto& values, std::vector<double> Moved::*part, const char* what) {
    const auto want = difference([&](double t) { return moved(problem, t, along).*part; }, kStep);
    ASSERT_EQ(static_cast<std::size_t>(values.size()), want.size());
    for (std::size_t e = 0; e < want.size(); ++e)
      EXPECT_NEAR(values[e], want[e], 1e-8 * std::max(1.0, norm(want))) << name << " " << what << e;
  };
  check(got.df, &Moved::f, "f");
  check(got.dg, &Moved::g, "g");
  check(got.source, &Moved::source, "source");
  check(got.target, &Moved::target, "target");
  check(got.map, &Moved::map, "map");
  check(got.transport_cost, &Moved::cost, "cost");
}

TEST(Jvp, MovesByDifferencesForEveryMarginal) {
  for (const auto& mix : testing::mixtures()) check_moves(moving(mix), mix.name);
}
TEST(Jvp, MovesByDifferencesForEveryCost) {
  for (const Cost& cost : costs())
    for (const int mixture : {0, 4})
      check_moves(moving(testing::mixtures()[mixture], cost),
                  cost_name(cost) + ", " + testing::mixtures()[mixture].name);
}

// <cotangent, jvp(tangent)> = <vjp(cotangent), tangent> for every part of either.
void check_adjoint(const Moving& problem, const std::string& name) {
  Exec exec;
  const auto n = problem.clouds.n, m = problem.clouds.m;
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const Direction along = problem.direction(33);
  const auto pushed = jvp(at, along.tangent(2), kExact, exec);
  const auto u = [](std::int64_t size, std::uint64_t stream) {
    return random_vector<double>(size, 34, stream, -1);
  };
  const auto f = u(n, 0), g = u(m, 1), p = u(n, 2), q = u(m, 3), theta = u(2 * n, 4);
  const Cotangent<double> cotangents[] = {{.f = {f.data(), 1, n}},
                                          {.g = {g.data(), 1, m}},
                                          {.source = {p.data(), 1, n}},
                                          {.target = {q.data(), 1, m}},
                                          {.map = {theta.data(), n, 2}},
                                          {.transport_cost = {0.7}},
                                          {.f = {f.data(), 1, n},
                                           .g = {g.data(), 1, m},
                                           .source = {p.data(), 1, n},
                                           .target = {q.data(), 1, m},
                                           .map = {theta.data(), n, 2},
                                           .transport_cost = {0.7}}};
  for (const auto& c : cotangents) {
    double want = 0;
    if (c.f.data) want += dot(pushed.df, f);
    if (c.g.data) want += dot(pushed.dg, g);
    if (c.source.data) want += dot(pushed.source, p);
    if (c.target.data) want += dot(pushed.target, q);
    if (c.map.data) want += dot(pushed.map, theta);
    if (!c.transport_cost.empty()) want += 0.7 * pushed.transport_cost[0];
    const auto pulled = vjp(at, c, kEverything, kExact, exec);
    EXPECT_TRUE(pulled.report.converged);
    const double got = dot(pulled.dx, along.dx) + dot(pulled.dy, along.dy) +
                       dot(pulled.da, along.da) + dot(pulled.db, along.db) +
                       pulled.depsilon[0] * along.depsilon + pulled.drho_a[0] * along.drho_a +
                       pulled.drho_b[0] * along.drho_b;
    EXPECT_NEAR(got, want, 1e-11 * std::max(1.0, norm(pulled.dx) + norm(pulled.da)))
        << name << " cotangent " << &c - cotangents;
  }
}

TEST(Vjp, IsTheTransposeForEveryMarginal) {
  for (const auto& mix : testing::mixtures()) check_adjoint(moving(mix), mix.name);
}
TEST(Vjp, IsTheTransposeForEveryCost) {
  for (const Cost& cost : costs())
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

// The tangent predictor saves iterations of the next solve.
TEST(Jvp, PredictsTheNextSolve) {
  Exec exec;
  auto clouds = testing::cubes<double>(200, 200, 2);
  const auto v = random_vector<double>(400, 40, 0, -1);
  constexpr double kEps = 0.05, kStep = 0.003;
  const testing::Solved<double> start(clouds, Balanced{}, Balanced{}, testing::tight(kEps));
  const auto move = jvp(linearize(*start.plan, exec), {.dx = {v.data(), 200, 2}}, {}, exec);
  for (int e = 0; e < 400; ++e) clouds.x[e] += kStep * v[e];
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  auto options = testing::tight(kEps, 1e-9);
  options.acceleration = Acceleration::none;
  const auto iterations = [&](double by) {
    std::vector<double> f(start.result.f.begin(), start.result.f.end()),
        g(start.result.g.begin(), start.result.g.end());
    for (int i = 0; i < 200; ++i) f[i] += by * move.df[i], g[i] += by * move.dg[i];
    const Start<double> from{.f = {f.data(), 200}, .g = {g.data(), 200}};
    return sinkhorn(problem, options, exec, from).report.iterations;
  };
  EXPECT_LE(iterations(kStep), 0.75 * iterations(0));
}
}  // namespace
}  // namespace monge
