#include "monge/ot/divergence.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "ot/symmetric.hpp"
#include "support/exact_pair.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::in_double;
using testing::random_clouds;
using testing::refusal;
using testing::tight;
constexpr double kEpsilon = 0.1;

DivergenceOptions options(Marginal a, Marginal b, double epsilon = kEpsilon,
                          double tolerance = 1e-13) {
  DivergenceOptions out;
  static_cast<SinkhornOptions&>(out) = tight(epsilon, tolerance);
  out.marginal_a = a;
  out.marginal_b = b;
  return out;
}

template <class T>
Measure<T> source(const Clouds<T>& c) {
  return {c.source(), c.source_weights()};
}
template <class T>
Measure<T> target(const Clouds<T>& c) {
  return {c.target(), c.target_weights()};
}

Divergence<double> solve(const Clouds<double>& c, const DivergenceOptions& o) {
  Exec exec;
  return divergence(source(c), target(c), o, exec);
}

// The value of the transport from u to v by an ordinary solve.
double transport(const Measure<double>& u, const Measure<double>& v, const DivergenceOptions& o) {
  Exec exec;
  const Problem<double> problem(PointCloud<double>{u.points, v.points, o.cost}, u.weights,
                                v.weights, o.marginal_a, o.marginal_b);
  return Plan<double>(problem, sinkhorn(problem, o, exec)).value(exec);
}

double by_definition(const Clouds<double>& c, const DivergenceOptions& o) {
  const double ma = std::accumulate(c.a.begin(), c.a.end(), 0.0);
  const double mb = std::accumulate(c.b.begin(), c.b.end(), 0.0);
  const auto a = source(c), b = target(c);
  return transport(a, b, o) - transport(a, a, o) / 2 - transport(b, b, o) / 2 +
         o.epsilon / 2 * (ma - mb) * (ma - mb);
}

// B1: the value by its definition, every mixture of marginals.
TEST(Divergence, IsItsDefinition) {
  for (const auto& mix : testing::mixtures())
    for (const std::uint64_t seed : {2, 3, 4}) {
      const auto clouds = random_clouds<double>(30, 25, 2, seed, mix.mass_a, mix.mass_b);
      const auto o = options(mix.a, mix.b);
      const auto got = solve(clouds, o);
      ASSERT_TRUE(got.converged()) << mix.name;
      EXPECT_NEAR(got.value, by_definition(clouds, o), 1e-11 * std::max(std::abs(got.value), 1.0))
          << mix.name;
    }
}

// B1: the closed forms of docs/formulas.md, "Divergence".
TEST(Divergence, MatchesTheClosedForms) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const double rho = 0.7;
    const auto soft = random_clouds<double>(30, 25, 2, seed, 1.5, 1.1);
    const auto kl = solve(soft, options(KL{rho}, KL{rho}));
    const double m_aa = kl.aa.report.transported_mass, m_bb = kl.bb.report.transported_mass;
    const double by_mass =
        (2 * rho + kEpsilon) * (m_aa / 2 + m_bb / 2 - kl.ab.report.transported_mass);
    EXPECT_NEAR(kl.value, by_mass, 1e-11 * kl.value);

    const auto hard = random_clouds<double>(30, 25, 2, seed, 1.3, 1.3);
    const auto balanced = solve(hard, options(Balanced{}, Balanced{}));
    double want = 0;
    for (std::int64_t i = 0; i < 30; ++i) want += hard.a[i] * (balanced.ab.f[i] - balanced.aa.f[i]);
    for (std::int64_t j = 0; j < 25; ++j) want += hard.b[j] * (balanced.ab.g[j] - balanced.bb.f[j]);
    EXPECT_NEAR(balanced.value, want, 1e-11 * balanced.value);
    for (std::int64_t i = 0; i < 30; ++i)
      EXPECT_EQ(balanced.potential_a[i], balanced.ab.f[i] - balanced.aa.f[i]);
    for (std::int64_t j = 0; j < 25; ++j)
      EXPECT_EQ(balanced.potential_b[j], balanced.ab.g[j] - balanced.bb.g[j]);
  }
}

// The same measure twice, the second time in another order.
Clouds<double> twice(std::uint64_t seed) {
  auto clouds = random_clouds<double>(20, 20, 2, seed, 1.5, 1.5);
  for (std::int64_t i = 0; i < 20; ++i) {
    clouds.b[19 - i] = clouds.a[i];
    for (std::int64_t k = 0; k < 2; ++k) clouds.y[(19 - i) * 2 + k] = clouds.x[i * 2 + k];
  }
  return clouds;
}

// B1: a measure against itself.
TEST(Divergence, VanishesBetweenEqualMeasures) {
  for (const auto& mix : testing::mixtures())
    for (const std::uint64_t seed : {4, 5, 6})
      EXPECT_NEAR(solve(twice(seed), options(mix.a, mix.b)).value, 0, 1e-12 * 1.5) << mix.name;
}

// B2: with equal marginals that is a minimum.
// Seeds at which no potential of a TV side comes to its bound within a step of differences.
class SeededDivergence : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, SeededDivergence, ::testing::Values(3, 5, 6));
TEST_P(SeededDivergence, IsStationaryBetweenEqualMeasures) {
  for (const Marginal& marginal : std::vector<Marginal>{Balanced{}, KL{0.5}, TV{0.1}}) {
    auto o = options(marginal, marginal);
    o.gradients = true;
    const auto got = solve(twice(GetParam()), o);
    // Up to a constant where no potential is at a bound: the mass as such then is not moved freely.
    const bool hard = !std::holds_alternative<KL>(marginal);
    for (const double v : got.dx) EXPECT_NEAR(v, 0, 1e-11) << to_string(marginal);
    for (const double v : got.dy) EXPECT_NEAR(v, 0, 1e-11) << to_string(marginal);
    for (const double v : got.da)
      EXPECT_NEAR(v - (hard ? got.da[0] : 0), 0, 1e-11) << to_string(marginal);
    for (const double v : got.db)
      EXPECT_NEAR(v - (hard ? got.db[0] : 0), 0, 1e-11) << to_string(marginal);
  }
}

// B1: S >= 0 for equal marginals and the squared cost; the measures are close in a third of the
// cases, where S is small.
TEST(DivergenceSlow, IsNotNegative) {
  const std::vector<Marginal> marginals = {Balanced{}, KL{0.5}, TV{0.3}, KL{0.05}};
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Marginal& marginal = marginals[seed % 4];
    const bool balanced = seed % 4 == 0;
    const double mass = 0.5 + philox_uniform(seed, 9, 0);
    auto clouds = random_clouds<double>(8, 7, 2, seed, mass, balanced ? mass : 1.0);
    if (seed % 3 == 0)
      for (std::size_t e = 0; e < clouds.y.size(); ++e)
        clouds.y[e] = clouds.x[e] + 1e-5 * clouds.y[e];
    const double epsilon = seed % 2 ? 0.03 : 0.3;
    const auto got = solve(clouds, options(marginal, marginal, epsilon));
    EXPECT_GE(got.value, -1e-12 * mass) << seed << " " << to_string(marginal);
  }
}

// B1
TEST_P(SeededDivergence, TellsAMeasureFromItsTriple) {
  auto clouds = random_clouds<double>(12, 12, 2, GetParam(), 1, 3);
  clouds.y = clouds.x;
  for (std::size_t i = 0; i < 12; ++i) clouds.b[i] = 3 * clouds.a[i];
  for (const Marginal& marginal : std::vector<Marginal>{KL{0.5}, KL{20.0}, TV{0.3}})
    EXPECT_GT(solve(clouds, options(marginal, marginal)).value, 1e-3) << to_string(marginal);
}

// B2: symmetric problems to 1e-13, max C <= 1, at any epsilon.
TEST(Divergence, SelfTermsConvergeWithin45Passes) {
  for (const double epsilon : {1.0, 0.2, 0.05, 0.01, 1e-3, 1e-4})
    for (const Marginal& marginal : std::vector<Marginal>{Balanced{}, KL{0.3}, KL{30.0}, TV{0.2}})
      for (const std::uint64_t seed : {1, 2, 3}) {
        auto clouds = random_clouds<double>(60, 1, 2, seed, 1.2, 1.2);
        for (double& v : clouds.x) v /= std::sqrt(2.0);
        clouds.y = clouds.x;
        clouds.b = clouds.a;
        clouds.m = 60;
        Exec exec;
        const auto problem = clouds.problem(marginal, marginal);
        const auto got = symmetric_sinkhorn(problem, tight(epsilon), exec);
        EXPECT_EQ(got.report.status, Status::converged) << epsilon << " " << to_string(marginal);
        EXPECT_LE(got.report.iterations, 45) << epsilon << " " << to_string(marginal);
        EXPECT_EQ(got.report.passes, got.report.iterations);
        EXPECT_TRUE(std::equal(got.f.begin(), got.f.end(), got.g.begin()));
      }
}

// The residual that a self term reports is that of the pair it returns.
TEST(Divergence, SelfReportBelongsToTheReturnedPair) {
  for (const Marginal& marginal : std::vector<Marginal>{Balanced{}, KL{0.3}, TV{0.2}})
    for (const double tolerance : {1e-2, 1e-6}) {
      const auto clouds = random_clouds<double>(30, 25, 2, 2, 1.2, 1.2);
      auto o = options(marginal, marginal, kEpsilon, tolerance);
      const auto got = solve(clouds, o);
      Clouds<double> self{30, 30, 2, clouds.x, clouds.x, clouds.a, clouds.a};
      const reference::DensePair dense{self.costs(),
                                       clouds.a,
                                       clouds.a,
                                       testing::to_double(got.aa.f),
                                       testing::to_double(got.aa.g),
                                       kEpsilon,
                                       marginal,
                                       marginal};
      const auto& report = got.aa.report;
      EXPECT_EQ(report.status, Status::converged);
      EXPECT_NEAR(report.marginal_error, dense.marginal_error(), 1e-12);
      EXPECT_LE(dense.marginal_error(), tolerance * (1 + 1e-6));
      EXPECT_NEAR(report.dual_value, dense.dual(), 1e-12);
      EXPECT_NEAR(report.transported_mass, dense.sum(dense.plan()), 1e-12);
      EXPECT_EQ(report.trace.size(), static_cast<std::size_t>(report.iterations));
    }
}

// The error of the value is quadratic in the residual, far below the tolerance.
TEST(Divergence, LooseTolerancesLeaveASmallError) {
  const auto clouds = random_clouds<double>(30, 25, 2, 2, 1.5, 1.1);
  const double exact = solve(clouds, options(KL{0.7}, KL{0.7})).value;
  const double loose = solve(clouds, options(KL{0.7}, KL{0.7}, kEpsilon, 1e-4)).value;
  EXPECT_NE(loose, exact);
  EXPECT_NEAR(loose, exact, 1e-6 * exact);
}

// B2: gradients by central differences, every mixture.
TEST_P(SeededDivergence, GradientsByCentralDifferences) {
  for (const auto& mix : testing::mixtures()) {
    const auto clouds = random_clouds<double>(6, 5, 2, GetParam(), mix.mass_a, mix.mass_b);
    auto o = options(mix.a, mix.b, kEpsilon, 1e-14);
    o.gradients = true;
    const auto got = solve(clouds, o);
    const bool hard =
        std::holds_alternative<Balanced>(mix.a) && std::holds_alternative<Balanced>(mix.b);
    const auto check = [&](const Buffer<double>& d, std::vector<double> Clouds<double>::*member,
                           bool weights) {
      for (std::int64_t e = 0; e < d.size(); ++e) {
        const std::int64_t from = (e + 1) % d.size();
        const auto at = [&](double t) {
          auto moved = clouds;
          (moved.*member)[e] += t;
          if (weights && hard) (moved.*member)[from] -= t;
          return solve(moved, options(mix.a, mix.b, kEpsilon, 1e-14)).value;
        };
        const double h = 1e-3;
        const double fd = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
        EXPECT_NEAR(weights && hard ? d[e] - d[from] : d[e], fd, 1e-7 * std::max(1.0, std::abs(fd)))
            << mix.name << " " << e;
      }
    };
    check(got.dx, &Clouds<double>::x, false);
    check(got.dy, &Clouds<double>::y, false);
    check(got.da, &Clouds<double>::a, true);
    check(got.db, &Clouds<double>::b, true);
  }
}

TEST(Divergence, GradientsOfOneMeasureAreThoseOfBoth) {
  const auto clouds = random_clouds<double>(9, 12, 2, 4, 1, 1);
  auto o = options(KL{0.7}, Balanced{});
  o.gradients = true;
  const auto both = solve(clouds, o);
  const auto same = [](const Buffer<double>& u, const Buffer<double>& v) {
    EXPECT_GT(u.size(), 0);
    EXPECT_TRUE(std::equal(u.begin(), u.end(), v.begin(), v.end()));
  };
  o.gradients_of = Side::source;
  const auto source = solve(clouds, o);
  same(source.dx, both.dx);
  same(source.da, both.da);
  EXPECT_EQ(source.dy.size() + source.db.size(), 0);
  o.gradients_of = Side::target;
  const auto target = solve(clouds, o);
  same(target.dy, both.dy);
  same(target.db, both.db);
  EXPECT_EQ(target.dx.size() + target.da.size(), 0);
}

// Points of weight 0 change nothing, however far; their potentials and derivatives are finite.
TEST(Divergence, ZeroWeightsChangeNothing) {
  auto clouds = random_clouds<double>(20, 15, 2, 5, 1.5, 1.1);
  const double without = solve(clouds, options(KL{0.5}, KL{0.5})).value;
  clouds.n += 1;
  clouds.x.insert(clouds.x.end(), {30.0, -40.0});
  clouds.a.push_back(0);
  auto o = options(KL{0.5}, KL{0.5});
  o.gradients = true;
  const auto got = solve(clouds, o);
  EXPECT_NEAR(got.value, without, 1e-13);
  EXPECT_TRUE(std::isfinite(got.da[20]));
  EXPECT_EQ(got.dx[40], 0);
  // Its self potential is its half-step, not a value still on its way there.
  std::vector<double> scores;
  for (std::size_t j = 0; j < 20; ++j) {
    const double dx = clouds.x[2 * j] - 30, dy = clouds.x[2 * j + 1] + 40;
    scores.push_back((got.aa.f[j] - dx * dx - dy * dy) / kEpsilon + std::log(clouds.a[j]));
  }
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double z : scores) sum += std::exp(z - top);
  const double s = -kEpsilon * (top + std::log(sum));
  EXPECT_NEAR(got.aa.f[20], s * 0.5 / (0.5 + kEpsilon), 1e-9);
}

TEST(Divergence, EveryCost) {
  for (const Cost& cost : {Cost{HalfSquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}},
                           Cost{Power{3}}, Cost{Cosine{}}, Cost{Dot{}}}) {
    const auto clouds = random_clouds<double>(30, 25, 3, 2, 1.5, 1.1);
    auto o = options(KL{0.8}, KL{0.8});
    o.cost = cost;
    const auto got = solve(clouds, o);
    ASSERT_TRUE(got.converged()) << cost_name(cost);
    EXPECT_NEAR(got.value, by_definition(clouds, o), 1e-11) << cost_name(cost);
  }
}

// -x.y is the half squared distance but for potentials: also where exp(x.y / eps) overflows.
TEST(Divergence, DotIsHalfTheSquaredDistance) {
  const auto clouds = random_clouds<double>(30, 25, 2, 2, 1, 1);
  auto dot = options(Balanced{}, Balanced{}, 1e-3, 1e-10), half = dot;
  dot.cost = Dot{};
  half.cost = HalfSquaredEuclidean{};
  EXPECT_NEAR(solve(clouds, dot).value, solve(clouds, half).value, 1e-10);
}

TEST(Divergence, FloatAgreesWithDouble) {
  const auto clouds = random_clouds<float>(60, 50, 3, 5, 1.5, 1.1);
  const Clouds<double> same{60,
                            50,
                            3,
                            testing::to_double(clouds.x),
                            testing::to_double(clouds.y),
                            testing::to_double(clouds.a),
                            testing::to_double(clouds.b)};
  Exec exec;
  const auto got =
      divergence(source(clouds), target(clouds), options(KL{0.5}, KL{0.5}, kEpsilon, 1e-5), exec);
  const auto want = solve(same, options(KL{0.5}, KL{0.5}));
  EXPECT_TRUE(got.converged());
  EXPECT_NEAR(got.value, want.value, 10 * 0x1p-24 * 4 / kEpsilon);
}

// Uniform weights by default; the options reach all three solves.
TEST(Divergence, HonoursOptions) {
  Exec exec;
  auto clouds = random_clouds<double>(20, 15, 2, 5, 1.0, 1.0);
  const Measure<double> a{clouds.source(), {}}, b{clouds.target(), {}};
  auto o = options(Balanced{}, Balanced{}, kEpsilon, 1e-12);
  EXPECT_TRUE(divergence(a, b, o, exec).converged());

  o.max_iterations = 3;
  const auto three = divergence(a, b, o, exec);
  for (const auto* r : {&three.ab.report, &three.aa.report, &three.bb.report}) {
    EXPECT_EQ(r->status, Status::max_iterations);
    EXPECT_LE(r->iterations, 3);
  }

  o.max_iterations = 1000;
  int calls = 0;
  o.on_check = [&](const SinkhornReport&) { return ++calls != 1; };  // stop once
  const auto stopped = divergence(a, b, o, exec);
  for (const auto* r : {&stopped.ab.report, &stopped.aa.report, &stopped.bb.report})
    EXPECT_EQ(r->status, Status::stopped);
  EXPECT_TRUE(std::isfinite(stopped.value));

  o.on_check = {};
  o.tolerance = 1e-30;
  const auto floor = divergence(a, b, o, exec);
  EXPECT_NE(floor.aa.report.status, Status::converged);
  o.epsilon = 0;
  EXPECT_EQ(refusal([&] { divergence(a, b, o, exec); }).argument, "epsilon");
}

// Where float is at its floor all three terms go on in mixed, also self terms of unequal marginals,
// whose two potentials differ; but not where the precision is named.
TEST(Divergence, GoesOnWhereFloatIsAtItsFloor) {
  Exec exec;
  const auto clouds = random_clouds<float>(60, 50, 3, 5, 1.0, 1.0);
  const auto exact = in_double(clouds);
  for (const Marginal& other : {Marginal{KL{0.7}}, Marginal{KL{2.0}}}) {
    auto o = options(KL{0.7}, other, 1e-3, 1e-7);
    o.max_iterations = 100000;
    o.kernel_cache = 0;  // a kernel's floor is lower
    const auto found = divergence(source(clouds), target(clouds), o, exec);
    for (const auto* r : {&found.ab.report, &found.aa.report, &found.bb.report}) {
      EXPECT_EQ(r->status, Status::converged);
      EXPECT_EQ(r->trace.back().iterations, r->iterations);
    }
    // Half an ulp of each potential, and what potentials of float give their plan's mass.
    const double largest = 3, rounding = std::numeric_limits<float>::epsilon() * largest;
    EXPECT_NEAR(found.value, divergence(source(exact), target(exact), o, exec).value, 4 * rounding);
    o.precision = Precision::accurate;
    const auto stays = divergence(source(clouds), target(clouds), o, exec);
    EXPECT_EQ(stays.ab.report.status, Status::precision_floor);
    EXPECT_EQ(stays.aa.report.status, Status::precision_floor);
  }
}

// exec's stop flag ends a divergence in the middle.
TEST(Divergence, CanBeInterrupted) {
  std::atomic<bool> stop{true};
  Exec exec;
  exec.stop = &stop;
  const auto clouds = random_clouds<double>(20, 15, 2, 5, 1.0, 1.0);
  EXPECT_THROW(divergence(source(clouds), target(clouds), options(KL{1.0}, KL{1.0}), exec),
               Interrupted);
}
}  // namespace
}  // namespace monge
