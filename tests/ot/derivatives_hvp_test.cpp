// Hessian products against differences of gradients, and the identities that they obey.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "ot/derivatives/linear.hpp"
#include "support/moves.hpp"

namespace monge {
namespace {
using testing::check_products;
using testing::difference;
using testing::Direction;
using testing::dot;
using testing::kExact;
using testing::Moving;
using testing::norm;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;
using testing::Solved;

constexpr Wrt kAll = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights;

TEST(Hvp, JointDirectionsByDifferencesForEveryMarginal) {
  for (const auto& mix : testing::mixtures()) {
    const Moving problem{random_clouds<double>(6, 5, 2, 3, mix.mass_a, mix.mass_b), mix.a, mix.b};
    check_products(problem, problem.direction(21), mix.name);
  }
}

TEST(Hvp, JointDirectionsByDifferencesForEveryCost) {
  for (const Cost& cost : {Cost{HalfSquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}},
                           Cost{Power{3}}, Cost{Cosine{}}, Cost{Dot{}}})
    for (const int mixture : {0, 1, 4}) {
      const auto mix = testing::mixtures()[mixture];
      const Moving problem{random_clouds<double>(6, 5, 2, 4, mix.mass_a, mix.mass_b), mix.a, mix.b,
                           cost};
      check_products(problem, problem.direction(22), cost_name(cost) + ", " + mix.name);
    }
}

// One kind of parameter at a time takes other ways: which side is eliminated, what is known.
TEST(Hvp, SingleKindsOfDirections) {
  const auto mix = testing::mixtures()[4];
  const Moving problem{random_clouds<double>(4, 7, 3, 5, mix.mass_a, mix.mass_b), mix.a, mix.b};
  const Direction all = problem.direction(23);
  Direction x, y, a, b, epsilon;
  x.dx = all.dx, y.dy = all.dy, a.da = all.da, b.db = all.db, epsilon.depsilon = all.depsilon;
  check_products(problem, x, "x");
  check_products(problem, y, "y");
  check_products(problem, a, "a");
  check_products(problem, b, "b");
  check_products(problem, epsilon, "epsilon");
}

/// A plan of some size with its linearization.
struct Case {
  Solved<double> solved;
  Exec exec;
  Linearization<double> at;
  Case(testing::Clouds<double> clouds, Marginal a, Marginal b, double epsilon,
       Cost cost = SquaredEuclidean{})
      : solved(std::move(clouds), a, b, testing::tight(epsilon, 1e-14), cost),
        at(linearize(*solved.plan, exec)) {}
  HvpResult<double> operator()(const Tangent<double>& along, Wrt wrt = kAll) {
    return hvp(at, along, wrt, kExact, exec);
  }
  std::vector<double> values(std::int64_t count, std::uint64_t seed) const {
    return random_vector<double>(count, seed, 7, -1);
  }
};

// <U, H V> = <H U, V> over all blocks at once.
TEST(Hvp, IsSymmetric) {
  for (const auto& mix : testing::mixtures()) {
    const Moving problem{random_clouds<double>(30, 20, 2, 6, mix.mass_a, mix.mass_b), mix.a, mix.b};
    Exec exec;
    const auto solved = problem.at();
    const auto at = linearize(*solved.plan, exec);
    const Direction u = problem.direction(1, true, false), v = problem.direction(2, true, false);
    const auto hu = hvp(at, u.tangent(2), kAll, kExact, exec);
    const auto hv = hvp(at, v.tangent(2), kAll, kExact, exec);
    const auto pair = [](const HvpResult<double>& h, const Direction& w) {
      return dot(h.dx, w.dx) + dot(h.dy, w.dy) + dot(h.da, w.da) + dot(h.db, w.db);
    };
    const double one = pair(hu, v), other = pair(hv, u);
    EXPECT_NEAR(one, other, 1e-11 * norm(hu.dx)) << mix.name;
  }
}

// A common translation changes nothing; sum_k Hxx[i, s, k, t] = 2 s r_i delta_st, balanced.
TEST(Hvp, TranslationsAndRowIdentity) {
  for (const double s : {1.0, 0.5}) {
    const Cost cost = s == 1 ? Cost{SquaredEuclidean{}} : Cost{HalfSquaredEuclidean{}};
    Case c(random_clouds<double>(40, 30, 2, 8, 1, 1), Balanced{}, Balanced{}, 0.05, cost);
    std::vector<double> x, y;
    for (int i = 0; i < 40; ++i) x.push_back(1), x.push_back(0);
    for (int j = 0; j < 30; ++j) y.push_back(1), y.push_back(0);
    const auto both = c({.dx = {x.data(), 40, 2}, .dy = {y.data(), 30, 2}});
    for (const double v : both.dx) EXPECT_NEAR(v, 0, 1e-12);
    for (const double v : both.dy) EXPECT_NEAR(v, 0, 1e-12);
    const auto own = c({.dx = {x.data(), 40, 2}}, Wrt::source);
    const auto r = c.solved.plan->marginal(Side::source, c.exec);
    for (int i = 0; i < 40; ++i) {
      EXPECT_NEAR(own.dx[2 * i], 2 * s * r[i], 1e-12);
      EXPECT_NEAR(own.dx[2 * i + 1], 0, 1e-12);
    }
  }
}

// H_s(eps, rho) = s H_1(eps / s, rho / s).
TEST(Hvp, ScalesWithTheCost) {
  const auto clouds = random_clouds<double>(20, 25, 3, 9);
  Case half(clouds, KL{0.3}, KL{0.7}, 0.1, HalfSquaredEuclidean{}),
      full(clouds, KL{0.6}, KL{1.4}, 0.2);
  const auto v = half.values(60, 3);
  const auto a = half({.dx = {v.data(), 20, 3}}), b = full({.dx = {v.data(), 20, 3}});
  for (int e = 0; e < 60; ++e) EXPECT_NEAR(a.dx[e], b.dx[e] / 2, 1e-12);
}

TEST(Hvp, IsLinearDownToSmallDirections) {
  Case c(random_clouds<double>(50, 40, 2, 10, 1, 1), Balanced{}, Balanced{}, 0.02);
  const auto v = c.values(100, 4);
  std::vector<double> tiny;
  for (const double e : v) tiny.push_back(1e-8 * e);
  const SolveOptions usual;
  const auto one = hvp(c.at, {.dx = {v.data(), 50, 2}}, Wrt::source, usual, c.exec);
  const auto small = hvp(c.at, {.dx = {tiny.data(), 50, 2}}, Wrt::source, usual, c.exec);
  for (int e = 0; e < 100; ++e) EXPECT_NEAR(small.dx[e], 1e-8 * one.dx[e], 1e-18 * norm(one.dx));
}

TEST(Hvp, ManyDirectionsEqualSingleCalls) {
  constexpr int kCount = 5, kN = 60, kM = 45;
  Case c(random_clouds<double>(kN, kM, 2, 11, 1, 1), Balanced{}, Balanced{}, 0.02);
  auto v = c.values(kCount * kN * 2, 5);
  for (int e = 0; e < kN * 2; ++e) v[4 * kN * 2 + e] = v[e] - 2 * v[kN * 2 + e];  // dependent
  const auto all = c({.count = kCount, .dx = {v.data(), kCount * kN, 2}});
  EXPECT_TRUE(all.report.converged);
  int single = 0;
  for (int r = 0; r < kCount; ++r) {
    const auto one = c({.dx = {v.data() + r * kN * 2, kN, 2}});
    single += one.report.iterations;
    for (int e = 0; e < kN * 2; ++e)
      EXPECT_NEAR(all.dx[r * kN * 2 + e], one.dx[e], 1e-11 * norm(one.dx));
    for (int e = 0; e < kM * 2; ++e)
      EXPECT_NEAR(all.dy[r * kM * 2 + e], one.dy[e], 1e-11 * norm(one.dy));
  }
  EXPECT_LT(3 * all.report.iterations, single);
}

// Iterations that read a kernel round otherwise and answer the same, of either side; within the
// bytes that are granted alone, and to the bit on any number of threads.
TEST(Hvp, AKeptKernelChangesNothing) {
  constexpr std::int64_t kN = 180, kM = 140;
  Case c(random_clouds<double>(kN, kM, 2, 16, 1, 1), KL{0.6}, Balanced{}, 0.02);
  const std::int64_t bytes[] = {kM * kernels::padded(kN) * 8, kN * kernels::padded(kM) * 8};
  const auto x = c.values(kN * 2, 4), y = c.values(kM * 2, 5);
  for (const Side unknown : {Side::source, Side::target}) {
    const bool target = unknown == Side::target;
    Tangent<double> along;
    (target ? along.dx : along.dy) = {(target ? x : y).data(), target ? kN : kM, 2};
    const auto product = [&](const Linearization<double>& at, int threads = 1) {
      Exec exec;
      exec.threads = threads;
      const auto got = hvp(at, along, kAll, kExact, exec);
      EXPECT_TRUE(got.report.converged);
      const Buffer<double>& moved = target ? got.dx : got.dy;
      return std::vector<double>(moved.begin(), moved.end());
    };
    const auto kept = linearize(*c.solved.plan, c.exec, bytes[target]),
               streamed = linearize(*c.solved.plan, c.exec, bytes[target] - 1);
    const auto want = product(streamed), got = product(kept);
    EXPECT_EQ(kept.linear().kernel(unknown, c.exec).size() * 8, bytes[target]);
    EXPECT_EQ(streamed.linear().kernel(unknown, c.exec).size(), 0);
    EXPECT_EQ(kept.linear().kernel(other(unknown), c.exec).size() > 0, !target);
    for (std::size_t e = 0; e < want.size(); ++e) EXPECT_NEAR(got[e], want[e], 1e-11 * norm(want));
    EXPECT_EQ(product(kept, 3), got);
  }
}

// 2 k + 2 passes where points of one side move, 2 k + 4 where both sides' products are wanted.
TEST(Hvp, CountsItsPasses) {
  Case c(random_clouds<double>(30, 40, 2, 12, 1, 1), Balanced{}, Balanced{}, 0.05);
  const auto x = c.values(60, 6), y = c.values(80, 7);
  const auto own = c({.dx = {x.data(), 30, 2}}, Wrt::source);
  EXPECT_EQ(own.report.passes, 2 * own.report.iterations + 2);
  const auto opposite = c({.dy = {y.data(), 40, 2}}, Wrt::target);
  EXPECT_EQ(opposite.report.passes, 2 * opposite.report.iterations + 2);
  const auto crossed = c({.dx = {x.data(), 30, 2}}, Wrt::source | Wrt::target);
  EXPECT_EQ(crossed.report.passes, 2 * crossed.report.iterations + 3);
  const auto both = c({.dx = {x.data(), 30, 2}, .dy = {y.data(), 40, 2}});
  EXPECT_EQ(both.report.passes, 2 * both.report.iterations + 4);
}

// k <= 8 / sqrt(gap) + 10 in the unit square, with the gap that the report estimates.
TEST(Hvp, IterationsFollowTheGap) {
  for (const double eps : {0.1, 0.01}) {
    Case c(testing::cubes<double>(120, 120, 2), Balanced{}, Balanced{}, eps);
    const auto v = c.values(240, 8);
    const auto got =
        hvp(c.at, {.dx = {v.data(), 120, 2}}, Wrt::source, {.tolerance = 1e-10}, c.exec);
    EXPECT_TRUE(got.report.converged);
    EXPECT_GT(got.report.gap, 2 * eps);  // about 4.5 eps
    EXPECT_LT(got.report.gap, 10 * eps);
    EXPECT_LE(got.report.iterations, 8 / std::sqrt(got.report.gap) + 10);
    EXPECT_LE(got.report.residual, 1e-10);
  }
}

// A guess changes the work alone: its own answer takes none, that of a direction nearby less.
TEST(Hvp, StartsFromAGuess) {
  Case c(testing::cubes<double>(120, 130, 2), Balanced{}, Balanced{}, 0.01);
  auto v = c.values(240, 8);
  const auto first = c({.dx = {v.data(), 120, 2}});
  for (int e = 0; e < 240; ++e) v[e] *= 1 + 1e-5 * std::cos(e);
  const SolveOptions usual;
  const auto product = [&](const Tangent<double>& along) {
    return hvp(c.at, along, Wrt::source, usual, c.exec);
  };
  Tangent<double> along{.dx = {v.data(), 120, 2}};
  const auto cold = product(along);
  along.df = {first.df.data(), 1, 120}, along.dg = {first.dg.data(), 1, 130};
  const auto warm = product(along);
  EXPECT_LE(warm.report.iterations, 0.75 * cold.report.iterations);
  EXPECT_LE(warm.report.residual, usual.tolerance);
  for (int e = 0; e < 240; ++e) EXPECT_NEAR(warm.dx[e], cold.dx[e], 1e-7 * norm(cold.dx));
  along.df = {cold.df.data(), 1, 120}, along.dg = {cold.dg.data(), 1, 130};
  EXPECT_EQ(product(along).report.iterations, 0);
  along.dg.cols = 129;
  EXPECT_EQ(refusal([&] { product(along); }).argument, "dg");
}

TEST(Hvp, DoesNotDependOnWhereTheCloudsAre) {
  auto clouds = random_clouds<double>(40, 30, 3, 13, 1, 1);
  Case here(clouds, Balanced{}, Balanced{}, 0.02);
  for (double& v : clouds.x) v += 100;
  for (double& v : clouds.y) v += 100;
  Case there(clouds, Balanced{}, Balanced{}, 0.02);
  const auto v = here.values(120, 9);
  const auto one = here({.dx = {v.data(), 40, 3}}), other = there({.dx = {v.data(), 40, 3}});
  for (int e = 0; e < 120; ++e) EXPECT_NEAR(one.dx[e], other.dx[e], 1e-10 * norm(one.dx));
}

// float32 from the same potentials.
TEST(Hvp, FloatIsCloseToDouble) {
  struct Setting {
    std::int64_t d;
    double eps, offset, tolerance;
  };
  for (const auto& [d, eps, offset, tolerance] :
       {Setting{3, 0.02, 0, 2e-6}, Setting{3, 0.02, 100, 5e-6}, Setting{64, 2, 0, 5e-6}}) {
    constexpr std::int64_t kN = 100, kM = 90;
    auto clouds = random_clouds<double>(kN, kM, d, 14, 1, 1);
    for (double& v : clouds.x) v = static_cast<float>(v + offset);
    for (double& v : clouds.y) v = static_cast<float>(v + offset);
    Case wide(clouds, Balanced{}, Balanced{}, eps);
    testing::Clouds<float> narrow{kN, kM, d, {}, {}, {}, {}};
    narrow.x.assign(clouds.x.begin(), clouds.x.end());
    narrow.y.assign(clouds.y.begin(), clouds.y.end());
    narrow.a.assign(clouds.a.begin(), clouds.a.end());
    narrow.b.assign(clouds.b.begin(), clouds.b.end());
    const auto problem = narrow.problem(Balanced{}, Balanced{});
    std::vector<float> f(wide.solved.result.f.begin(), wide.solved.result.f.end()),
        g(wide.solved.result.g.begin(), wide.solved.result.g.end());
    const Plan<float> plan(problem, eps, {f.data(), kN}, {g.data(), kM});
    const auto v = wide.values(kN * d, 10);
    const std::vector<float> v32(v.begin(), v.end());
    const auto want = wide({.dx = {v.data(), kN, d}}, Wrt::source);
    const auto got =
        hvp(linearize(plan, wide.exec), {.dx = {v32.data(), kN, d}}, Wrt::source, {}, wide.exec);
    EXPECT_TRUE(got.report.converged);
    double off = 0;
    for (std::int64_t e = 0; e < kN * d; ++e) off += std::pow(got.dx[e] - want.dx[e], 2);
    EXPECT_LE(std::sqrt(off), tolerance * norm(want.dx)) << d << " at " << offset;
  }
}

// Points of weight 0 change nothing, and have the derivative in their own weight.
TEST(Hvp, PointsOfWeightZeroAreAsGood) {
  const auto clouds = random_clouds<double>(12, 10, 2, 15);
  auto more = clouds;
  more.n = 13, more.m = 11;
  more.x.insert(more.x.end(), {0.3, 0.4});
  more.y.insert(more.y.end(), {0.5, 0.6});
  more.a.push_back(0), more.b.push_back(0);
  for (const auto& [a, b] : {std::pair<Marginal, Marginal>{KL{0.5}, KL{1}}, {KL{0.5}, TV{0.1}}}) {
    Case without(clouds, a, b, 0.1), with(more, a, b, 0.1);
    const auto x = with.values(26, 11), y = with.values(22, 12);
    const auto want = without({.dx = {x.data(), 12, 2}, .dy = {y.data(), 10, 2}});
    const auto got = with({.dx = {x.data(), 13, 2}, .dy = {y.data(), 11, 2}});
    for (int e = 0; e < 24; ++e) EXPECT_NEAR(got.dx[e], want.dx[e], 1e-12);
    for (int e = 0; e < 20; ++e) EXPECT_NEAR(got.dy[e], want.dy[e], 1e-12);
    EXPECT_EQ(got.dx[24], 0);
    EXPECT_EQ(got.dy[20], 0);
    const Moving moving{more, a, b};
    Direction along;
    along.dx = x, along.dy = y;
    const auto moved = difference(
        [&](double t) {
          const auto s = moving.at(t, along);
          return gradient(*s.plan, with.exec).db;
        },
        3e-4);
    EXPECT_NEAR(got.db[10], moved[10], 1e-8);
  }
}

// Three clusters that no mass links: K has three null vectors, all of them harmless.
TEST(Hvp, SeparatedClusters) {
  auto clouds = random_clouds<double>(30, 30, 2, 16, 1, 1);
  for (int i = 0; i < 30; ++i) clouds.x[2 * i] += 100 * (i / 10), clouds.y[2 * i] += 100 * (i / 10);
  for (double& w : clouds.a) w = 1.0 / 30;
  for (double& w : clouds.b) w = 1.0 / 30;
  Case c(clouds, Balanced{}, Balanced{}, 0.1);
  const auto v = c.values(60, 13);
  const auto all = c({.dx = {v.data(), 30, 2}}, Wrt::source);
  for (int cluster = 0; cluster < 3; ++cluster) {
    testing::Clouds<double> part{
        10, 10, 2, {}, {}, std::vector<double>(10, 1.0 / 30), std::vector<double>(10, 1.0 / 30)};
    part.x.assign(clouds.x.begin() + 20 * cluster, clouds.x.begin() + 20 * (cluster + 1));
    part.y.assign(clouds.y.begin() + 20 * cluster, clouds.y.begin() + 20 * (cluster + 1));
    // Entropy is relative to a b^T of a smaller mass: the same plan, as mass is held.
    Case own(part, Balanced{}, Balanced{}, 0.1);
    const auto want = own({.dx = {v.data() + 20 * cluster, 10, 2}}, Wrt::source);
    for (int e = 0; e < 20; ++e)
      EXPECT_NEAR(all.dx[20 * cluster + e], want.dx[e], 1e-8 * norm(want.dx)) << cluster;
  }
}

TEST(Hvp, WeakPenaltiesAreLimits) {
  const auto clouds = random_clouds<double>(20, 15, 2, 17, 1, 1);
  Case hard(clouds, Balanced{}, Balanced{}, 0.1), kl(clouds, KL{1e8}, KL{1e8}, 0.1),
      tv(clouds, TV{50}, TV{50}, 0.1);
  const auto v = hard.values(40, 14);
  const Tangent<double> along{.dx = {v.data(), 20, 2}};
  const auto want = hard(along), soft = kl(along), clipped = tv(along);
  for (int e = 0; e < 40; ++e) {
    EXPECT_NEAR(soft.dx[e], want.dx[e], 1e-6 * norm(want.dx));
    EXPECT_NEAR(clipped.dx[e], want.dx[e], 1e-10 * norm(want.dx));
  }
  EXPECT_GT(tv.at.tv_margin(), 40);
  EXPECT_TRUE(std::isinf(hard.at.tv_margin()));
}

// A potential that is exactly where its bound begins: |softmin| = lambda of one pair.
TEST(Hvp, AKinkIsRefused) {
  const testing::Clouds<double> clouds{1, 1, 1, {0}, {0.5}, {1}, {1}};
  Exec exec;
  // One pair, TV against Balanced: f = min(lambda, C - g) with g = softmin(f): the softmin of f is
  // C - g = f wherever that is, so any lambda that equals it is a kink.
  const auto problem = clouds.problem(TV{0.25}, TV{1});
  const std::vector<double> f{0.25}, g{0};
  const Plan<double> plan(problem, 0.1, {f.data(), 1}, {g.data(), 1});
  const auto said = refusal([&] { linearize(plan, exec); });
  EXPECT_EQ(said.argument, "plan");
  EXPECT_EQ(said.index, 0);
  EXPECT_TRUE(said.says("kink")) << said.message;
}

TEST(Hvp, RefusesWhatItCannotAnswer) {
  Case c(random_clouds<double>(6, 5, 2, 18, 1, 1), Balanced{}, Balanced{}, 0.1);
  const auto v = c.values(12, 15);
  EXPECT_EQ(refusal([&] { c({.dx = {v.data(), 5, 2}}); }).argument, "dx");
  EXPECT_EQ(refusal([&] { c({.dy = {v.data(), 5, 1}}); }).argument, "dy");
  EXPECT_EQ(refusal([&] { c({.count = 2, .dx = {v.data(), 6, 2}}); }).argument, "dx");
  EXPECT_EQ(refusal([&] { c({.da = {v.data(), 1, 6}}); }).argument, "da");  // mass alone
  EXPECT_EQ(refusal([&] { c({.drho_a = {1}}); }).argument, "drho_a");
  EXPECT_EQ(refusal([&] { c({.count = 0}); }).argument, "count");
  EXPECT_THROW(c({.dx = {v.data(), 6, 2}}, Wrt::cost), NotAvailable);
  SolveOptions strict{.tolerance = 1e-8, .max_iterations = 1, .strict = true};
  const auto said = refusal([&] {
    hvp(c.at, {.dx = {v.data(), 6, 2}}, Wrt::source, strict, c.exec);
  });
  EXPECT_EQ(said.argument, "strict");
  EXPECT_EQ(refusal([&] { linearize(*c.solved.plan, c.exec, -2); }).argument, "kernel_cache");

  auto coincident = random_clouds<double>(6, 5, 2, 18, 1, 1);
  std::copy_n(coincident.x.begin() + 4, 2, coincident.y.begin());
  Case euclidean(coincident, Balanced{}, Balanced{}, 0.1, Euclidean{});
  const auto met = refusal([&] { euclidean({.dx = {v.data(), 6, 2}}); });
  EXPECT_EQ(met.argument, "x");
  EXPECT_EQ(met.index, 2);
}

// Potentials that were stopped early: the report says what error they put on the product.
TEST(Hvp, TheReportCoversUnconvergedPotentials) {
  const auto clouds = testing::cubes<double>(100, 100, 2);
  for (const double eps : {0.1, 0.01}) {
    Case exact(clouds, Balanced{}, Balanced{}, eps);
    const Solved<double> stopped(clouds, Balanced{}, Balanced{}, testing::tight(eps, 1e-3));
    const auto at = linearize(*stopped.plan, exact.exec);
    const auto v = exact.values(200, 16);
    const auto want = exact({.dx = {v.data(), 100, 2}}, Wrt::source);
    const auto got = hvp(at, {.dx = {v.data(), 100, 2}}, Wrt::source, kExact, exact.exec);
    double off = 0;
    for (int e = 0; e < 200; ++e) off += std::pow(got.dx[e] - want.dx[e], 2);
    const double error = std::sqrt(off) / norm(want.dx);
    EXPECT_LE(error, 15 * at.marginal_error());
    EXPECT_LE(error, got.report.error_estimate);
    EXPECT_THROW(hvp(at, {.dx = {v.data(), 100, 2}}, Wrt::source, {.strict = true}, exact.exec),
                 InvalidArgument);
  }
}

TEST(HvpSlow, TenDirectionsShareTheirIterations) {
  constexpr std::int64_t kN = 800;
  Case c(testing::cubes<double>(kN, kN, 2), Balanced{}, Balanced{}, 0.003);
  const auto v = c.values(10 * kN * 2, 17);
  const auto got = hvp(c.at, {.count = 10, .dx = {v.data(), 10 * kN, 2}}, Wrt::source, {}, c.exec);
  EXPECT_TRUE(got.report.converged);
  EXPECT_LE(got.report.iterations, 25);
}
}  // namespace
}  // namespace monge
