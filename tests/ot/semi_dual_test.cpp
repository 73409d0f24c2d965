#include "monge/ot/semi_dual.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/devices.hpp"
#include "support/grids.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::cost_of;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Sides {
  Marginal a, b;
  double mass_a, mass_b;
};
const std::vector<Sides> kSides{{Balanced{}, Balanced{}, 1.3, 1.3},
                                {KL{0.7}, KL{0.4}, 1.5, 1.1},
                                {Balanced{}, KL{0.5}, 1.2, 0.9},
                                {KL{0.6}, Balanced{}, 1.2, 0.9}};

double kl_dual(const Marginal& marginal, double f) {
  const auto* kl = std::get_if<KL>(&marginal);
  return kl ? -kl->rho * std::expm1(-f / kl->rho) : f;
}

// By its definition, on the dense matrix.
double dense(const testing::Clouds<double>& c, const Cost& cost, const Sides& sides, double eps,
             const std::vector<double>& g) {
  const auto C = c.costs(cost);
  double value = 0, mass = 0;
  for (std::int64_t i = 0; i < c.n; ++i) {
    double top = -kInfinity, sum = 0;
    for (std::int64_t j = 0; j < c.m; ++j) top = std::max(top, g[j] - C[i * c.m + j]);
    double s = -top;
    if (eps > 0) {
      for (std::int64_t j = 0; j < c.m; ++j)
        sum += c.b[j] * std::exp((g[j] - C[i * c.m + j] - top) / eps);
      s -= eps * std::log(sum);
    }
    const auto* kl = std::get_if<KL>(&sides.a);
    const double f = kl ? kl->rho / (kl->rho + eps) * s : s;
    value += c.a[i] * kl_dual(sides.a, f);
    if (eps > 0) mass += c.a[i] * std::exp((f - s) / eps);
  }
  for (std::int64_t j = 0; j < c.m; ++j) value += c.b[j] * kl_dual(sides.b, g[j]);
  double mass_a = 0, mass_b = 0;
  for (const double w : c.a) mass_a += w;
  for (const double w : c.b) mass_b += w;
  return value + eps * (mass_a * mass_b - mass);
}

TEST(SemiDual, ValueAndGradientsMatchTheDefinition) {
  Exec exec;
  const std::vector<Cost> costs{
      SquaredEuclidean{}, HalfSquaredEuclidean{}, Euclidean{}, Power{1.5}, Cosine{}, Dot{}};
  for (const Cost& cost : costs)
    for (const auto& sides : kSides)
      for (const double eps : {0.0, 0.05}) {
        SCOPED_TRACE(cost_name(cost) + " " + to_string(sides.a) + " " + to_string(sides.b));
        auto c = random_clouds<double>(60, 7, 3, 5, sides.mass_a, sides.mass_b);
        auto g = random_vector<double>(c.m, 6, 0, -0.2, 0.2);
        const auto problem = c.problem(sides.a, sides.b, cost);
        const auto got = semi_dual<double>(problem, eps, {g.data(), c.m}, exec);
        const double want = dense(c, cost, sides, eps, g);
        EXPECT_NEAR(got.value, want, 1e-13 * (1 + std::abs(want)));
        // Central differences; of the hard problem nothing switches within the step.
        const double h = eps > 0 ? 1e-5 : 1e-7;
        const double tolerance = eps > 0 ? 2e-8 : 2e-7;
        for (std::int64_t j = 0; j < c.m; ++j) {
          const double at = g[j];
          g[j] = at + h;
          const double more = dense(c, cost, sides, eps, g);
          g[j] = at - h;
          const double less = dense(c, cost, sides, eps, g);
          g[j] = at;
          EXPECT_NEAR(got.dg[j], (more - less) / (2 * h), tolerance) << j;
        }
        for (std::int64_t e = 0; e < c.m * c.d; ++e) {
          const double at = c.y[e];
          c.y[e] = at + h;
          const double more = dense(c, cost, sides, eps, g);
          c.y[e] = at - h;
          const double less = dense(c, cost, sides, eps, g);
          c.y[e] = at;
          EXPECT_NEAR(got.dy[e], (more - less) / (2 * h), tolerance) << e;
        }
      }
}

// At the solution nothing is left to gain, and the semi-dual is the value of the solve.
TEST(SemiDual, IsFlatAndTightAtTheSolution) {
  Exec exec;
  for (const auto& sides : kSides) {
    testing::Solved<double> s(random_clouds<double>(40, 30, 2, 1, sides.mass_a, sides.mass_b),
                              sides.a, sides.b, testing::tight(0.05));
    const auto got = semi_dual<double>(*s.problem, 0.05, s.result.g.view(), exec);
    EXPECT_NEAR(got.value, s.result.report.dual_value, 1e-12);
    for (std::int64_t j = 0; j < got.dg.size(); ++j) EXPECT_NEAR(got.dg[j], 0, 1e-12);
  }
}

TEST(SemiDual, AMatrixGivesTheSameWithoutPoints) {
  Exec exec;
  const auto c = random_clouds<double>(50, 9, 3, 2);
  const auto C = c.costs();
  const auto g = random_vector<double>(c.m, 6, 0, -0.2, 0.2);
  const Problem<double> matrix(CostMatrix<double>{{C.data(), c.n, c.m}}, c.source_weights(),
                               c.target_weights(), KL{0.5}, KL{0.5});
  const auto points = c.problem(KL{0.5}, KL{0.5});
  for (const double eps : {0.0, 0.1}) {
    const auto want = semi_dual<double>(points, eps, {g.data(), c.m}, exec);
    const auto got = semi_dual<double>(matrix, eps, {g.data(), c.m}, exec);
    EXPECT_NEAR(got.value, want.value, 1e-13);
    testing::expect_near(got.f, testing::to_double(want.f), 1e-14, "f");
    testing::expect_near(got.dg, testing::to_double(want.dg), 1e-13, "dg");
    EXPECT_EQ(got.dy.size(), 0);
  }
}

// Round an axis a target pulls the shorter way: against differences of a grid that moves as a
// whole, of which costs between fixed pairs are squares.
TEST(SemiDual, HardPullsGoTheShorterWay) {
  Exec exec;
  const auto value = [&](double t, std::vector<double>* dy) {
    const Grid source = testing::grid_of({9, 5}, {0.1, 0.2}, {0, 0}),
               target = testing::grid_of({3, 4}, {0.3, 0.2}, {0.04 + t, 0.03 + t});
    const Problem<double> problem(
        Lattice<double>{source, target, SquaredEuclidean{}, {true, false}}, {}, {}, Balanced{},
        Balanced{});
    const auto g = random_vector<double>(12, 6, 0, -0.02, 0.02);
    const auto got = semi_dual<double>(problem, 0, {g.data(), 12}, exec);
    if (dy) *dy = testing::to_double(got.dy);
    return got.value;
  };
  std::vector<double> dy;
  value(0, &dy);
  double sum = 0;
  for (const double one : dy) sum += one;
  constexpr double kStep = 1e-4;  // no source changes its target on the way
  EXPECT_NEAR(sum, (value(kStep, nullptr) - value(-kStep, nullptr)) / (2 * kStep), 1e-11);
}

TEST(CTransform, IsTheLimitOfSoftmin) {
  Exec exec;
  const auto c = random_clouds<double>(90, 70, 2, 3);
  const auto g = random_vector<double>(c.m, 7, 0, -0.3, 0.3);
  const auto problem = c.problem(KL{1}, KL{1});
  const auto got = c_transform<double>(problem, Side::source, {g.data(), c.m}, exec);
  const auto C = c.costs();
  for (std::int64_t i = 0; i < c.n; ++i) {
    std::int64_t best = 0;
    for (std::int64_t j = 1; j < c.m; ++j)
      if (C[i * c.m + j] - g[j] < C[i * c.m + best] - g[best]) best = j;
    EXPECT_EQ(got.column[i], best) << i;
    EXPECT_NEAR(got.values[i], C[i * c.m + best] - g[best], 1e-15) << i;
  }
  // Twice the transform of a transform is no less than the potential: g^cc >= g.
  const auto back = c_transform<double>(problem, Side::target, got.values.view(), exec);
  for (std::int64_t j = 0; j < c.m; ++j) EXPECT_GE(back.values[j], g[j] - 1e-15);
}

TEST(CTransform, RemovedPointsAreNoPartners) {
  Exec exec;
  auto c = random_clouds<float>(5, 3, 2, 3);
  c.b[1] = 0;
  const auto problem = c.problem(KL{1}, KL{1});
  const std::vector<float> g{-std::numeric_limits<float>::infinity(), 5, 0};
  const auto got = c_transform<float>(problem, Side::source, {g.data(), 3}, exec);
  for (const auto column : got.column) EXPECT_EQ(column, 2);
  const std::vector<float> none{g[0], 5, g[0]};
  const auto nothing = c_transform<float>(problem, Side::source, {none.data(), 3}, exec);
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(nothing.column[i], -1);
    EXPECT_EQ(nothing.values[i], std::numeric_limits<float>::infinity());
  }
}

TEST(SemiDual, RefusesWhatIsMalformed) {
  Exec exec;
  const auto c = random_clouds<double>(5, 3, 2, 3);
  const auto problem = c.problem(KL{1}, KL{1});
  const std::vector<double> g{0, 1, 2}, bad{0, kInfinity, 2}, removed{0, -kInfinity, 2};
  EXPECT_EQ(refusal([&] {
              c_transform<double>(problem, Side::source, {g.data(), 2}, exec);
            }).argument,
            "potential");
  const auto at = refusal([&] {
    c_transform<double>(problem, Side::source, {bad.data(), 3}, exec);
  });
  EXPECT_EQ(at.index, 1);
  EXPECT_EQ(refusal([&] { semi_dual<double>(problem, 0, {removed.data(), 3}, exec); }).index, 1);
  EXPECT_EQ(refusal([&] {
              semi_dual<double>(problem, -1, {g.data(), 3}, exec);
            }).argument,
            "epsilon");
  const auto tv = c.problem(TV{1}, KL{1});
  EXPECT_THROW(semi_dual<double>(tv, 0, {g.data(), 3}, exec), NotAvailable);
}
}  // namespace
}  // namespace monge
