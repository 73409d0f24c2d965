// The rows of the derivatives' acceptance table whose tolerance or size no other test has; which
// test has the others stands in docs/numerics.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "monge/ot/divergence_derivatives.hpp"
#include "support/costs.hpp"
#include "support/moves.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::Direction;
using testing::dot;
using testing::kExact;
using testing::Moving;
using testing::norm;
using testing::random_clouds;
using testing::random_vector;

// Row 2. A value is exact to about 1e-15 of the costs, the square of what a solve leaves, so that a
// difference at steps h errs by 1e-15 / h and h^4 / 30 times fifth derivatives, of the order of
// 1 / epsilon^4: at h = 1e-4 both are below 1e-10.
constexpr double kValueStep = 1e-4;

template <class Slope, class Value>
void expect_slope(const Slope& slope, const Value& value, const std::string& name) {
  const double want =
      testing::difference([&](double t) { return std::vector<double>{value(t)}; }, kValueStep)[0];
  EXPECT_NEAR(slope, want, 1e-9 * std::max(1.0, std::abs(want))) << name;
}

double along(const Gradient<double>& g, const Direction& v) {
  return dot(g.dx, v.dx) + dot(g.dy, v.dy) + dot(g.da, v.da) + dot(g.db, v.db) +
         g.depsilon * v.depsilon + g.drho_a * v.drho_a + g.drho_b * v.drho_b;
}

// Along a direction in everything, and in the points alone, whose share would be lost in it.
void check_value(const Moving& problem, const std::string& name, std::uint64_t seed) {
  Exec exec;
  const auto at = problem.at();
  const auto g = gradient(*at.plan, exec);
  Direction all = problem.direction(seed), points;
  points.dx = all.dx, points.dy = all.dy;
  for (const Direction& v : {all, points})
    expect_slope(
        along(g, v) + 2 * at.plan->mass_level() * v.dmass,
        [&](double t) { return problem.at(t, v).plan->value(exec); }, name);
}

TEST(DerivativesAcceptance, Row2ValuesForEveryMarginalAndCost) {
  for (const Cost& cost : testing::every_cost())
    for (const auto& mix : testing::mixtures())
      check_value(
          {random_clouds<double>(6, 5, 2, 3, mix.mass_a, mix.mass_b), mix.a, mix.b, cost, 0.2},
          cost_name(cost) + ", " + mix.name, 71);
}

TEST(DerivativesAcceptance, Row2ValuesOfAFixedMass) {
  const Marginal cap = TV{std::numeric_limits<double>::infinity()};
  for (const Cost& cost : testing::every_cost())
    check_value({random_clouds<double>(6, 5, 2, 3, 1.5, 1.1),
                 cap,
                 cap,
                 cost,
                 0.2,
                 {.total_mass = 0.7, .mass_tolerance = 0}},
                cost_name(cost), 72);
}

TEST(DerivativesAcceptance, Row2ValuesOfTheDivergence) {
  Exec exec;
  for (const Cost& cost : testing::every_cost())
    for (const auto& mix : testing::mixtures()) {
      const Moving problem{random_clouds<double>(6, 5, 2, 3, mix.mass_a, mix.mass_b), mix.a, mix.b,
                           cost, 0.2};
      const auto v = problem.direction(73);
      const auto at = [&](double t, const auto& use) {
        const auto clouds = testing::moved(problem.clouds, t, v);
        DivergenceOptions options;
        static_cast<SinkhornOptions&>(options) =
            testing::tight(problem.epsilon + t * v.depsilon, 1e-15);
        options.cost = cost;
        options.marginal_a = Moving::stronger(mix.a, t * v.drho_a);
        options.marginal_b = Moving::stronger(mix.b, t * v.drho_b);
        options.gradients = t == 0;
        const Measure<double> source{clouds.source(), clouds.source_weights()},
            target{clouds.target(), clouds.target_weights()};
        const auto found = divergence(source, target, options, exec);
        return use(source, target, found, options);
      };
      const double slope =
          at(0, [&](const auto& source, const auto& target, const auto& found, const auto& how) {
            const auto s = strength_gradient(source, target, found, how, exec);
            return dot(found.dx, v.dx) + dot(found.dy, v.dy) + dot(found.da, v.da) +
                   dot(found.db, v.db) + s.depsilon * v.depsilon + s.drho_a * v.drho_a +
                   s.drho_b * v.drho_b;
          });
      expect_slope(
          slope,
          [&](double t) {
            return at(t, [](const auto&, const auto&, const auto& found, const auto&) {
              return found.value;
            });
          },
          cost_name(cost) + ", " + mix.name);
    }
}

// Row 4: the bilinear form of all blocks is symmetric.
TEST(DerivativesAcceptance, Row4Symmetry) {
  constexpr Wrt kAll = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights |
                       Wrt::epsilon | Wrt::penalty;
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const Moving problem{random_clouds<double>(15, 12, 2, 6, mix.mass_a, mix.mass_b), mix.a, mix.b};
    const auto solved = problem.at();
    const auto at = linearize(*solved.plan, exec);
    const Direction u = problem.direction(1), v = problem.direction(2);
    const auto pair = [&](const Direction& from, const Direction& to) {
      const auto h = hvp(at, from.tangent(2), kAll, {.tolerance = 1e-14}, exec);
      const double size = norm(h.dx) * norm(to.dx) + norm(h.da) * norm(to.da) +
                          std::abs(h.depsilon[0] * to.depsilon);
      return std::pair(dot(h.dx, to.dx) + dot(h.dy, to.dy) + dot(h.da, to.da) + dot(h.db, to.db) +
                           h.depsilon[0] * to.depsilon + h.drho_a[0] * to.drho_a +
                           h.drho_b[0] * to.drho_b,
                       size);
    };
    const auto [one, size] = pair(u, v);
    EXPECT_NEAR(one, pair(v, u).first, 1e-12 * size) << mix.name;
  }
}

/// Of the definition, on a matrix: K [df; dg] = [p; q] with everything formed, by elimination.
std::vector<double> joint_product(const testing::Solved<double>& s, const std::vector<double>& v) {
  const std::int64_t n = s.clouds.n, m = s.clouds.m, d = s.clouds.d, size = n + m;
  Exec exec;
  const auto plan = s.plan->dense(exec);
  const auto difference = [&](std::int64_t i, std::int64_t j, std::int64_t k) {
    return s.clouds.x[i * d + k] - s.clouds.y[j * d + k];
  };
  std::vector<long double> k(size * (size + 1), 0), r(n, 0), c(m, 0);
  const auto at = [&](std::int64_t i, std::int64_t j) -> long double& {
    return k[i * (size + 1) + j];
  };
  std::vector<long double> dc(n * m, 0);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j) {
      for (std::int64_t t = 0; t < d; ++t) dc[i * m + j] += 2 * difference(i, j, t) * v[i * d + t];
      const long double p = plan[i * m + j];
      r[i] += p, c[j] += p;
      at(i, n + j) = at(n + j, i) = p;
      at(i, size) += p * dc[i * m + j];
      at(n + j, size) += p * dc[i * m + j];
    }
  const auto tau = [&](const Marginal& marginal) -> long double {
    const auto* const kl = std::get_if<KL>(&marginal);
    return kl ? kl->rho / (kl->rho + s.epsilon) : 1;
  };
  for (std::int64_t i = 0; i < n; ++i) at(i, i) = r[i] / tau(s.dense.A);
  for (std::int64_t j = 0; j < m; ++j) at(n + j, n + j) = c[j] / tau(s.dense.B);
  for (std::int64_t e = 0; e < size; ++e)  // regular: one side is relaxed
    for (std::int64_t i = e + 1; i < size; ++i) {
      const long double by = at(i, e) / at(e, e);
      for (std::int64_t j = e; j <= size; ++j) at(i, j) -= by * at(e, j);
    }
  std::vector<long double> z(size);
  for (std::int64_t e = size - 1; e >= 0; --e) {
    z[e] = at(e, size);
    for (std::int64_t j = e + 1; j < size; ++j) z[e] -= at(e, j) * z[j];
    z[e] /= at(e, e);
  }
  std::vector<double> out(n * d);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t t = 0; t < d; ++t) {
      long double sum = 2 * r[i] * v[i * d + t];
      for (std::int64_t j = 0; j < m; ++j)
        sum += plan[i * m + j] * (z[i] + z[n + j] - dc[i * m + j]) / s.epsilon * 2 *
               difference(i, j, t);
      out[i * d + t] = static_cast<double>(sum);
    }
  return out;
}

// Row 5: the row-centred, streamed product is that of the definition; many directions are single
// ones.
TEST(DerivativesAcceptance, Row5TheJointFormula) {
  Exec exec;
  for (const int mixture : {1, 3, 4}) {
    const auto mix = testing::mixtures()[mixture];
    const Moving problem{random_clouds<double>(20, 17, 3, 9, mix.mass_a, mix.mass_b), mix.a, mix.b};
    const auto solved = problem.at();
    const auto at = linearize(*solved.plan, exec);
    const auto v = random_vector<double>(3 * 60, 74, 0, -1);
    const auto all =
        hvp(at, {.count = 3, .dx = {v.data(), 60, 3}}, Wrt::source, {.tolerance = 1e-14}, exec);
    for (int r = 0; r < 3; ++r) {
      const std::vector<double> one(v.begin() + 60 * r, v.begin() + 60 * (r + 1));
      const auto want = joint_product(solved, one);
      const auto single =
          hvp(at, {.dx = {one.data(), 20, 3}}, Wrt::source, {.tolerance = 1e-14}, exec);
      for (int e = 0; e < 60; ++e) {
        EXPECT_NEAR(single.dx[e], want[e], 1e-12 * norm(want)) << mix.name;
        EXPECT_NEAR(all.dx[60 * r + e], single.dx[e], 1e-12 * norm(want)) << mix.name;
      }
    }
  }
}

// Row 6: Newton feeds gradients, whose products a tolerance that is not relative loses.
TEST(DerivativesAcceptanceSlow, Row6AGradientOfManyPoints) {
  constexpr std::int64_t kN = 4000;
  Exec exec;
  const auto clouds = testing::cubes<double>(kN, kN, 1);
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  const Plan<double> plan(problem, sinkhorn(problem, testing::tight(0.05, 1e-12), exec));
  const auto at = linearize(plan, exec);
  const auto g = gradient(plan, Wrt::source, exec);
  const auto got = hvp(at, {.dx = {g.dx.data(), kN, 1}}, Wrt::source, {}, exec);
  const auto h = hessian(at, Side::source, {}, exec);
  double off = 0;
  std::vector<double> want(kN, 0.0);
  for (std::int64_t i = 0; i < kN; ++i) {
    for (std::int64_t k = 0; k < kN; ++k) want[i] += h.value[i * kN + k] * g.dx[k];
    off += std::pow(got.dx[i] - want[i], 2);
  }
  EXPECT_LE(std::sqrt(off), 1e-8 * norm(want));
}

// Row 15: 600 uniform points moved by 0.003 each, epsilon 0.05: the predicted pair saves a quarter
// of a plain solve's iterations, on average over directions.
TEST(DerivativesAcceptance, Row15TheTangentPredictor) {
  constexpr std::int64_t kN = 600;
  constexpr double kEps = 0.05, kStep = 0.003;
  Exec exec;
  const auto clouds = testing::cubes<double>(kN, kN, 2);
  const testing::Solved<double> start(clouds, Balanced{}, Balanced{}, testing::tight(kEps, 1e-12));
  const auto at = linearize(*start.plan, exec);
  auto options = testing::tight(kEps, 1e-9);
  options.acceleration = Acceleration::none;
  options.annealing = Annealing::off;
  double predicted = 0, before = 0;
  for (const std::uint64_t seed : {40, 41, 42}) {
    auto v = random_vector<double>(2 * kN, seed, 0, -1);
    const double rms = norm(v) / std::sqrt(kN);
    for (double& e : v) e *= kStep / rms;
    const auto move = jvp(at, {.dx = {v.data(), kN, 2}}, {}, exec);
    Direction along;
    along.dx = v;
    const auto there = testing::moved(clouds, 1, along);
    const auto problem = there.problem(Balanced{}, Balanced{});
    for (const double by : {0.0, 1.0}) {
      std::vector<double> f(start.result.f.begin(), start.result.f.end()),
          g(start.result.g.begin(), start.result.g.end());
      for (std::int64_t i = 0; i < kN; ++i) f[i] += by * move.df[i], g[i] += by * move.dg[i];
      const Start<double> from{.f = {f.data(), kN}, .g = {g.data(), kN}};
      (by == 0 ? before : predicted) += sinkhorn(problem, options, exec, from).report.iterations;
    }
  }
  EXPECT_LE(predicted, 0.75 * before);
}
}  // namespace
}  // namespace monge
