// Hessian products of the debiased divergence: the golden table, and differences of its gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "monge/ot/divergence_derivatives.hpp"
#include "support/golden.hpp"
#include "support/tangents.hpp"

namespace monge {
namespace {
using testing::difference;
using testing::Direction;
using testing::dot;
using testing::golden_clouds;
using testing::golden_dx;
using testing::kGoldenEpsilon;
using testing::Moving;
using testing::norm;
using testing::random_clouds;
using testing::refusal;

constexpr Wrt kAll = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights |
                     Wrt::epsilon | Wrt::penalty;
const SolveOptions kExact{.tolerance = 1e-13};

/// Measures that move along a direction, with their divergence.
struct MovingDivergence {
  Moving problem;

  struct At {
    testing::Clouds<double> clouds;
    DivergenceOptions options;
    Divergence<double> result;
    Measure<double> source() const { return {clouds.source(), clouds.source_weights()}; }
    Measure<double> target() const { return {clouds.target(), clouds.target_weights()}; }
  };
  At at(double t = 0, const Direction& along = {}) const {
    At out{problem.clouds, {}, {}};
    const auto add = [&](std::vector<double>& to, const std::vector<double>& by) {
      for (std::size_t e = 0; e < by.size(); ++e) to[e] += t * by[e];
    };
    add(out.clouds.x, along.dx);
    add(out.clouds.y, along.dy);
    add(out.clouds.a, along.da);
    add(out.clouds.b, along.db);
    static_cast<SinkhornOptions&>(out.options) =
        testing::tight(problem.epsilon + t * along.depsilon, 1e-15);
    out.options.cost = problem.cost;
    out.options.marginal_a = Moving::stronger(problem.a, t * along.drho_a);
    out.options.marginal_b = Moving::stronger(problem.b, t * along.drho_b);
    out.options.gradients = true;
    Exec exec;
    out.result = divergence(out.source(), out.target(), out.options, exec);
    return out;
  }
};

struct Row {
  std::string name;
  Cost cost;
  Marginal marginal;
  double factor_a, factor_b;
  double value, a_h_a, h_a, h_a_norm, depsilon, mass;
};

TEST(DerivativesGolden, DebiasedDivergence) {
  const Row rows[] = {
      {"1, H/H", SquaredEuclidean{}, Balanced{}, 1, 1, 0.802392674047, 2.06833417541,
       0.256260123158, 1.00096602044, -0.450385645757, 1},
      {"1/2, H/H", HalfSquaredEuclidean{}, Balanced{}, 1, 1, 0.340573942432, 0.905532329941,
       0.088754371318, 0.457434435763, -0.360343475617, 1},
      {"1, .5/.5", SquaredEuclidean{}, KL{0.5}, 1.3, 0.7, 0.342099957607, 0.67187345358,
       0.227749979474, 0.412980873911, -0.187811548652, 0.487883736711}};
  const auto dx = golden_dx();
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const MovingDivergence moving{{golden_clouds(row.factor_a, row.factor_b), row.marginal,
                                   row.marginal, row.cost, kGoldenEpsilon}};
    const auto s = moving.at();
    Exec exec;
    const auto close = [](double got, double want, const char* what) {
      EXPECT_NEAR(got, want, 1e-10 * std::max(1.0, std::abs(want))) << what;
    };
    close(s.result.value, row.value, "value");
    close(s.result.ab.report.transported_mass, row.mass, "mass");
    const auto at = linearize(s.source(), s.target(), s.result, s.options, exec);
    const auto got = hvp(at, {.dx = {dx.data(), 5, 2}}, Wrt::source, kExact, exec);
    close(dot(got.dx, dx), row.a_h_a, "A H A");
    close(got.dx[0], row.h_a, "H A [0, 0]");
    close(norm(got.dx), row.h_a_norm, "|H A|");
    const auto strengths = strength_gradient(s.source(), s.target(), s.result, s.options, exec);
    close(strengths.depsilon, row.depsilon, "derivative in epsilon");
  }
}

void check(const Moving& problem, const Direction& along, const std::string& name) {
  constexpr double kStep = 3e-4;  // see derivatives_hvp_test.cpp
  const MovingDivergence moving{problem};
  const auto s = moving.at();
  Exec exec;
  const auto at = linearize(s.source(), s.target(), s.result, s.options, exec);
  const auto got = hvp(at, along.tangent(problem.clouds.d), kAll, kExact, exec);
  EXPECT_TRUE(got.report.converged) << name;
  ASSERT_GT(got.report.tv_margin, 10 * kStep) << name;
  const auto expect = [&](const Buffer<double>& values, auto Divergence<double>::*part,
                          const char* what) {
    const auto want =
        difference([&](double t) { return (moving.at(t, along).result.*part).copy(); }, kStep);
    for (std::size_t e = 0; e < want.size(); ++e)
      EXPECT_NEAR(values[e], want[e], 1e-8 * std::max(1.0, norm(want))) << name << " " << what << e;
  };
  expect(got.dx, &Divergence<double>::dx, "dx");
  expect(got.dy, &Divergence<double>::dy, "dy");
  expect(got.da, &Divergence<double>::da, "da");
  expect(got.db, &Divergence<double>::db, "db");
  const auto strengths = difference(
      [&](double t) {
        const auto moved = moving.at(t, along);
        const auto g =
            strength_gradient(moved.source(), moved.target(), moved.result, moved.options, exec);
        return std::vector<double>{g.depsilon, g.drho_a, g.drho_b};
      },
      kStep);
  const double found[] = {got.depsilon[0], got.drho_a[0], got.drho_b[0]};
  for (int e = 0; e < 3; ++e)
    EXPECT_NEAR(found[e], strengths[e], 1e-8 * std::max(1.0, norm(strengths))) << name << e;
}

// The same penalty on both sides (symmetric self terms), and different ones.
TEST(DivergenceHvp, ByDifferencesForEveryMarginal) {
  struct Pair {
    Marginal a, b;
    double mass_a, mass_b;
  };
  for (const auto& [a, b, mass_a, mass_b] :
       {Pair{Balanced{}, Balanced{}, 1.3, 1.3}, Pair{KL{0.5}, KL{0.5}, 1.5, 1.1},
        Pair{KL{1.2}, KL{0.3}, 1.5, 1.1}, Pair{TV{0.4}, TV{0.4}, 1.5, 1.1}}) {
    const Moving problem{random_clouds<double>(6, 5, 2, 61, mass_a, mass_b), a, b};
    auto along = problem.direction(62);
    along.drho_b = along.drho_a;
    check(problem, along, to_string(a) + " " + to_string(b));
  }
  // One side's strength alone: its self terms part from symmetry.
  const Moving problem{random_clouds<double>(6, 5, 2, 61), KL{0.5}, KL{0.5}};
  check(problem, problem.direction(62), "strengths that part");
}

TEST(DivergenceHvp, ByDifferencesForEveryCost) {
  for (const Cost& cost : {Cost{HalfSquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}},
                           Cost{Power{3}}, Cost{Cosine{}}, Cost{Dot{}}}) {
    const Moving problem{random_clouds<double>(6, 5, 2, 63), KL{0.7}, KL{0.7}, cost};
    check(problem, problem.direction(64, true, false), cost_name(cost));
  }
}

// At most 25 iterations whatever epsilon is: the self system has condition at most 2.
TEST(DivergenceHvp, SelfTermsConvergeAtAnyEpsilon) {
  for (const double eps : {1.0, 1e-2, 1e-4}) {
    auto clouds = random_clouds<double>(60, 60, 2, 65, 1, 1);
    clouds.y = clouds.x, clouds.b = clouds.a;
    const Moving problem{clouds, Balanced{}, Balanced{}, SquaredEuclidean{}, eps};
    const MovingDivergence moving{problem};
    const auto s = moving.at();
    Exec exec;
    const auto at = linearize(s.source(), s.target(), s.result, s.options, exec);
    const auto v = problem.direction(66).dx;
    const SolveOptions options{.tolerance = 1e-10};
    const auto whole = hvp(at, {.dx = {v.data(), 60, 2}}, Wrt::source, options, exec);
    const Problem<double> ab(PointCloud<double>{s.clouds.source(), s.clouds.target()},
                             s.clouds.source_weights(), s.clouds.target_weights(), Balanced{},
                             Balanced{});
    const auto cross = hvp(linearize(Plan<double>(ab, s.result.ab), exec),
                           {.dx = {v.data(), 60, 2}}, Wrt::source, options, exec);
    EXPECT_EQ(whole.report.converged, cross.report.converged);  // the plan is a permutation at last
    EXPECT_LE(whole.report.iterations - cross.report.iterations, 25) << eps;
    EXPECT_EQ(whole.report.passes - cross.report.passes,
              whole.report.iterations - cross.report.iterations + 2);
  }
}

TEST(DivergenceHvp, CoincidentPointsOfAMeasureAreRefused) {
  auto clouds = random_clouds<double>(6, 5, 2, 67);
  std::copy_n(clouds.x.begin(), 2, clouds.x.begin() + 8);
  const MovingDivergence moving{{clouds, KL{1}, KL{1}, Euclidean{}}};
  const auto s = moving.at();
  Exec exec;
  const auto at = linearize(s.source(), s.target(), s.result, s.options, exec);
  const auto v = testing::random_vector<double>(12, 68, 0, -1);
  const auto said = refusal([&] { hvp(at, {.dx = {v.data(), 6, 2}}, Wrt::source, kExact, exec); });
  EXPECT_EQ(said.argument, "x");
}
}  // namespace
}  // namespace monge
