#include "monge/ot/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "support/solved.hpp"

namespace monge {
namespace {
using reference::Vector;
using testing::expect_near;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;
using testing::Solved;
using testing::tight;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr double kEpsilon = 0.05;

Solved<double> solved(const testing::Mixture& mix, std::uint64_t seed = 1) {
  return {random_clouds<double>(23, 37, 2, seed, mix.mass_a, mix.mass_b), mix.a, mix.b,
          tight(kEpsilon)};
}

/// Every mixture with three seeds.
std::vector<std::pair<testing::Mixture, std::uint64_t>> seeded() {
  std::vector<std::pair<testing::Mixture, std::uint64_t>> out;
  for (const auto& mix : testing::mixtures())
    for (const std::uint64_t seed : {1, 2, 3}) out.emplace_back(mix, seed);
  return out;
}

Vector product(const Vector& P, std::int64_t n, std::int64_t m, const std::vector<double>& v,
               std::int64_t k, bool transposed, int power = 1) {
  Vector out((transposed ? m : n) * k);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j)
      for (std::int64_t c = 0; c < k; ++c) {
        const std::int64_t row = transposed ? j : i, column = transposed ? i : j;
        out[row * k + c] += std::pow(P[i * m + j], power) * v[column * k + c];
      }
  return out;
}

double largest(const Vector& v) {
  double most = 0;
  for (const double x : v) most = std::max(most, std::abs(x));
  return most;
}

// L1, n != m: products, marginals, mass, adjointness.
TEST(Plan, ProductsMatchTheDensePlan) {
  Exec exec;
  for (const auto& [mix, seed] : seeded()) {
    const auto s = solved(mix, seed);
    const std::int64_t n = s.clouds.n, m = s.clouds.m, k = 3;
    const Vector P = s.dense.plan();
    const auto v = random_vector<double>(m * k, 4, 0, -1, 1),
               u = random_vector<double>(n * k, 4, 1, -1, 1);
    const auto check = [&](const Buffer<double>& got, const Vector& want, const char* what) {
      expect_near(got, want, 1e-12 * largest(want), mix.name + " " + what);
    };
    const auto forward = s.plan->apply(Side::source, {v.data(), m, k}, exec);
    const auto back = s.plan->apply(Side::target, {u.data(), n, k}, exec);
    check(forward, product(P, n, m, v, k, false), "P V");
    check(back, product(P, n, m, u, k, true), "P^T U");
    check(s.plan->apply_squared(Side::source, {v.data(), m, k}, exec),
          product(P, n, m, v, k, false, 2), "P^2 V");
    check(s.plan->apply_squared(Side::target, {u.data(), n, k}, exec),
          product(P, n, m, u, k, true, 2), "P^2 transposed");
    check(s.plan->marginal(Side::source, exec), s.dense.rows(P), "p");
    check(s.plan->marginal(Side::target, exec), s.dense.columns(P), "q");
    check(s.plan->dense(exec), P, "dense");
    EXPECT_NEAR(s.plan->mass(exec), s.dense.sum(P), 1e-12 * s.dense.sum(P));
    const double uPv = std::inner_product(u.begin(), u.end(), forward.begin(), 0.0);
    const double vPu = std::inner_product(v.begin(), v.end(), back.begin(), 0.0);
    EXPECT_NEAR(uPv, vPu, 1e-12 * largest(P) * static_cast<double>(n * m)) << mix.name;
  }
}

TEST(Plan, StridedValuesAreRead) {
  Exec exec;
  const auto s = solved(testing::mixtures()[4]);
  const std::int64_t m = s.clouds.m;
  const auto v = random_vector<double>(2 * m, 4, 0);  // [2, m]: columns are far apart
  const auto got =
      s.plan->apply(Side::source, MatrixView<const double>(v.data(), 2, m).transposed(), exec);
  std::vector<double> packed;
  for (std::int64_t j = 0; j < m; ++j) packed.insert(packed.end(), {v[j], v[m + j]});
  const auto want = s.plan->apply(Side::source, {packed.data(), m, 2}, exec);
  expect_near(got, testing::to_double(want), 0, "P V");
}

// I1: at a converged pair the dual value is the primal, by the definition of the objective.
TEST(Plan, ValueIsThePrimalAtConvergedPairs) {
  Exec exec;
  for (const auto& [mix, seed] : seeded()) {
    const auto s = solved(mix, seed);
    ASSERT_LE(s.result.report.marginal_error, 1e-13) << mix.name;
    const double value = s.plan->value(exec), primal = s.dense.primal();
    EXPECT_NEAR(value, primal, 1e-12 * std::abs(primal)) << mix.name;
    EXPECT_NEAR(value, s.result.report.dual_value, 1e-12 * std::abs(primal)) << mix.name;
  }
}

// I1: the closed forms of docs/formulas.md, "Values".
TEST(Plan, ValueMatchesTheFormulasOfEachMixture) {
  Exec exec;
  const auto dot = [](const Vector& w, const Vector& u) {
    return std::inner_product(w.begin(), w.end(), u.begin(), 0.0);
  };
  for (const auto& [mix, seed] : seeded()) {
    const auto s = solved(mix, seed);
    const double ma = s.problem->mass_a(), mb = s.problem->mass_b(), eps = kEpsilon;
    const double moved = s.plan->mass(exec), value = s.plan->value(exec);
    const auto* ka = std::get_if<KL>(&mix.a);
    const auto* kb = std::get_if<KL>(&mix.b);
    const bool balanced_a = std::holds_alternative<Balanced>(mix.a);
    const bool balanced_b = std::holds_alternative<Balanced>(mix.b);
    double want = value;
    if (ka && kb)
      want = ka->rho * ma + kb->rho * mb + eps * ma * mb - (ka->rho + kb->rho + eps) * moved;
    if (ka && balanced_b)
      want = ka->rho * (ma - moved) + dot(s.dense.b, s.dense.g) + eps * (ma * mb - moved);
    if (balanced_a && kb)
      want = kb->rho * (mb - moved) + dot(s.dense.a, s.dense.f) + eps * (ma * mb - moved);
    if (balanced_a && balanced_b)
      want = dot(s.dense.a, s.dense.f) + dot(s.dense.b, s.dense.g) + eps * (ma * ma - ma);
    EXPECT_NEAR(value, want, 1e-12 * std::abs(value)) << mix.name;
  }
}

TEST(Plan, TermsAreThoseOfTheObjective) {
  Exec exec;
  for (const auto& [mix, seed] : seeded()) {
    const auto s = solved(mix, seed);
    const Vector P = s.dense.plan();
    double linear = 0, entropy = 0;
    for (std::size_t e = 0; e < P.size(); ++e) {
      const double ab = s.dense.a[e / s.dense.m()] * s.dense.b[e % s.dense.m()];
      linear += P[e] * s.dense.C[e];
      entropy += (P[e] > 0 ? P[e] * std::log(P[e] / ab) : 0) - P[e] + ab;
    }
    const PlanTerms terms = s.plan->terms(exec);
    EXPECT_NEAR(terms.linear, linear, 1e-12 * linear) << mix.name;
    EXPECT_NEAR(terms.entropy, entropy, 1e-12 * linear / kEpsilon) << mix.name;
    EXPECT_NEAR(terms.penalty_a, s.dense.penalty(s.dense.rows(P), s.dense.a, mix.a), 1e-12)
        << mix.name;
    EXPECT_NEAR(terms.penalty_b, s.dense.penalty(s.dense.columns(P), s.dense.b, mix.b), 1e-12)
        << mix.name;
    const double value = s.plan->value(exec);
    EXPECT_NEAR(terms.linear + kEpsilon * terms.entropy + terms.penalty_a + terms.penalty_b, value,
                1e-12 * std::abs(value))
        << mix.name;
  }
}

TEST(Plan, ABalancedSideThatIsNotExactCostsInfinity) {
  Exec exec;
  const auto s = solved(testing::mixtures()[0]);
  auto f = s.result.f.copy();
  f[3] += 1e-9;
  const Plan<double> off(*s.problem, kEpsilon, f.view(), s.result.g.view());
  EXPECT_EQ(off.terms(exec).penalty_a, kInfinity);
  EXPECT_EQ(s.plan->terms(exec).penalty_a, 0);
}

// Rounding of scores of size C/eps = 1e6 alone does not make an exact marginal infinitely dear.
TEST(Plan, ABalancedSideIsExactToWhatTheScoresResolve) {
  Exec exec;
  auto clouds = random_clouds<double>(30, 20, 2, 3, 1.5, 1.1);
  for (double& v : clouds.x) v += 30;
  const Solved<double> s(clouds, Balanced{}, KL{1.0}, tight(2e-3, 1e-8));
  EXPECT_EQ(s.plan->terms(exec).penalty_a, 0);
}

// Partial transport: value = <P, C> + eps KL(P | a b^T) with P 1 <= a, P^T 1 <= b, mass M.
TEST(Plan, ValueAndTermsOfAFixedTotalMass) {
  Exec exec;
  const double M = 0.6;
  const TV cap{kInfinity};
  const Solved<double> s(random_clouds<double>(23, 37, 2, 5, 1.2, 0.9), cap, cap, tight(kEpsilon),
                         SquaredEuclidean{}, {.total_mass = M, .mass_tolerance = 0});
  EXPECT_NEAR(s.plan->mass(exec), M, 1e-12);
  auto dense = s.dense;
  dense.A = dense.B = Balanced{};  // no penalty: the capacities hold
  const double primal = dense.primal();
  EXPECT_NEAR(s.plan->value(exec), primal, 1e-12 * std::abs(primal));
  const PlanTerms terms = s.plan->terms(exec);
  EXPECT_NEAR(terms.linear + kEpsilon * terms.entropy, primal, 1e-12 * std::abs(primal));
  EXPECT_EQ(terms.penalty_a, 0);
  EXPECT_EQ(terms.penalty_b, 0);
  const auto p = s.plan->marginal(Side::source, exec);
  for (std::int64_t i = 0; i < p.size(); ++i) EXPECT_LE(p[i], s.clouds.a[i] * (1 + 1e-12));
}

// L1: images by definition; the map on training points is the barycentric image, b non-uniform.
TEST(Plan, ImagesAreAveragesAndTheMapExtendsThem) {
  Exec exec;
  for (const auto& [mix, seed] : seeded()) {
    const auto s = solved(mix, seed);
    const std::int64_t n = s.clouds.n, m = s.clouds.m, d = 2;
    const Vector P = s.dense.plan();
    auto want = product(P, n, m, s.clouds.y, d, false),
         back = product(P, n, m, s.clouds.x, d, true);
    const Vector p = s.dense.rows(P), q = s.dense.columns(P);
    for (std::int64_t e = 0; e < n * d; ++e) want[e] /= p[e / d];
    for (std::int64_t e = 0; e < m * d; ++e) back[e] /= q[e / d];
    bool valid[64] = {};
    const auto images = s.plan->barycentric(Side::source, exec, valid);
    expect_near(images, want, 1e-12, mix.name + " images of the source");
    EXPECT_TRUE(std::all_of(valid, valid + n, [](bool v) { return v; }));
    expect_near(s.plan->barycentric(Side::target, exec), back, 1e-12, mix.name + " of the target");
    expect_near(s.plan->map(Side::source, s.clouds.source(), exec), want, 1e-12, mix.name + " map");
    expect_near(s.plan->map(Side::target, s.clouds.target(), exec), back, 1e-12, mix.name + " map");
  }
}

TEST(Plan, PotentialAtTrainingPointsIsTheHalfStep) {
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const auto s = solved(mix);
    expect_near(s.plan->potential(Side::source, s.clouds.source(), exec), s.dense.f, 1e-12,
                mix.name);
    expect_near(s.plan->potential(Side::target, s.clouds.target(), exec), s.dense.g, 1e-12,
                mix.name);
  }
}

// L1: conditional mean and covariance, far from the origin too.
TEST(Plan, MomentsMatchTheirDefinition) {
  Exec exec;
  for (const auto& [seed, offset] : {std::pair{1, 0.0}, {2, 0.0}, {3, 0.0}, {1, 1e4}}) {
    const auto s = solved(testing::mixtures()[4], seed);
    const std::int64_t n = s.clouds.n, m = s.clouds.m, d = 2;
    auto z = s.clouds.y;
    for (double& v : z) v += offset;
    const auto got = s.plan->moments(Side::source, {z.data(), m, d}, exec);
    const Vector P = s.dense.plan(), p = s.dense.rows(P);
    for (std::int64_t i = 0; i < n; ++i) {
      double mean[2] = {}, cov[4] = {};
      for (std::int64_t j = 0; j < m; ++j)
        for (int c = 0; c < 2; ++c) mean[c] += P[i * m + j] / p[i] * s.clouds.y[j * d + c];
      for (std::int64_t j = 0; j < m; ++j)
        for (int c = 0; c < 4; ++c)
          cov[c] += P[i * m + j] / p[i] * (s.clouds.y[j * d + c / 2] - mean[c / 2]) *
                    (s.clouds.y[j * d + c % 2] - mean[c % 2]);
      for (int c = 0; c < 2; ++c)
        EXPECT_NEAR(got.mean[i * d + c] - offset, mean[c], 1e-11 + offset * 4e-16) << i;
      for (int c = 0; c < 4; ++c)
        EXPECT_NEAR(got.covariance[i * 4 + c], cov[c], 1e-11 * (1 + offset)) << i;
    }
  }
}

// A source that sends nothing, by weight or by underflow, has an image, an average like all others.
TEST(Plan, DeadRowsHaveImagesAndAreMarked) {
  Exec exec;
  auto clouds = random_clouds<double>(8, 6, 3, 7, 1.0, 1.2);
  for (std::int64_t i = 0; i < 8; ++i) clouds.x[i * 3 + 2] = 7;
  for (std::int64_t j = 0; j < 6; ++j) clouds.y[j * 3 + 2] = 7;
  clouds.x[5 * 3] = 60;
  clouds.a[6] = 0;
  clouds.b[1] = 0;
  clouds.y[1 * 3] = 1e6;  // must not enter any average
  const Solved<double> s(clouds, KL{1.0}, KL{50.0}, tight(0.05));
  bool valid[8];
  const auto images = s.plan->barycentric(Side::source, exec, valid);
  const auto moments = s.plan->moments(Side::source, exec);
  for (std::int64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(valid[i], i != 5 && i != 6) << i;
    EXPECT_NEAR(images[i * 3 + 2], 7, 1e-12 * 7) << i;
    EXPECT_NEAR(moments.covariance[i * 9 + 8], 0, 1e-24) << i;
    Vector w(6);
    double top = -kInfinity, sum = 0, mean = 0;
    for (std::int64_t j = 0; j < 6; ++j)
      if (j != 1)
        top = std::max(top,
                       w[j] = (s.dense.g[j] - s.dense.C[i * 6 + j]) / 0.05 + std::log(clouds.b[j]));
    for (std::int64_t j = 0; j < 6; ++j)
      if (j != 1) {
        sum += std::exp(w[j] - top);
        mean += std::exp(w[j] - top) * clouds.y[j * 3];
      }
    EXPECT_NEAR(images[i * 3], mean / sum, 1e-11) << i;
  }
}

// Forbidden pairs: exact zeros; a row without partner has the mean of the values as its image.
TEST(Plan, ForbiddenPairsAndRowsWithoutPartner) {
  Exec exec;
  const std::vector<double> C = {0.1,       kInfinity, 0.5, kInfinity, kInfinity,
                                 kInfinity, 0.3,       0.2, kInfinity};
  const std::vector<double> a = {0.3, 0.2, 0.5}, b = {0.4, 0.5, 0.1}, v = {1, 2, 4};
  const Problem<double> problem(CostMatrix<double>{{C.data(), 3, 3}}, {a.data(), 3}, {b.data(), 3},
                                KL{1.0}, KL{2.0});
  const auto result = sinkhorn(problem, tight(0.1), exec);
  const Plan<double> plan(problem, result);
  const auto P = plan.dense(exec);
  for (std::size_t e = 0; e < C.size(); ++e) EXPECT_EQ(P[e] == 0, std::isinf(C[e])) << e;
  const PlanTerms terms = plan.terms(exec);
  double linear = 0;
  for (std::size_t e = 0; e < C.size(); ++e) linear += std::isinf(C[e]) ? 0 : P[e] * C[e];
  EXPECT_NEAR(terms.linear, linear, 1e-15);
  EXPECT_NEAR(terms.linear + 0.1 * terms.entropy + terms.penalty_a + terms.penalty_b,
              plan.value(exec), 1e-12);
  bool valid[3];
  const auto images = plan.barycentric(Side::source, {v.data(), 3, 1}, exec, valid);
  EXPECT_FALSE(valid[1]);
  EXPECT_NEAR(images[1], 0.4 * 1 + 0.5 * 2 + 0.1 * 4, 1e-15);
  EXPECT_TRUE(valid[0] && valid[2]);
  EXPECT_THROW(plan.barycentric(Side::source, exec), NotAvailable);
  EXPECT_THROW(plan.potential(Side::source, {v.data(), 1, 3}, exec), NotAvailable);
  EXPECT_THROW(plan.map(Side::source, {v.data(), 1, 3}, exec), NotAvailable);
  EXPECT_EQ(plan.top_k(3, exec).columns.size(), 4);
}

// L2, against the sorted dense plan, exactly; rows of weight 0 hold nothing.
class PlanEntries : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, PlanEntries, ::testing::Values(9, 10, 11));
TEST_P(PlanEntries, OfTopKAndSparseAreThoseOfTheSortedDensePlan) {
  Exec exec;
  auto clouds = random_clouds<double>(70, 300, 2, GetParam(), 1.5, 1.1);
  clouds.a[11] = 0;
  clouds.b[5] = 0;
  const Solved<double> s(clouds, KL{1.0}, TV{0.2}, tight(0.02));
  const std::int64_t n = 70, m = 300;
  const auto P = s.plan->dense(exec);
  for (const int k : {1, 5, 300}) {
    const auto top = s.plan->top_k(k, exec);
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<std::int64_t> order;
      for (std::int64_t j = 0; j < m; ++j)
        if (P[i * m + j] > 0) order.push_back(j);
      std::stable_sort(order.begin(), order.end(),
                       [&](auto l, auto r) { return P[i * m + l] > P[i * m + r]; });
      order.resize(std::min<std::size_t>(order.size(), k));
      ASSERT_EQ(top.offsets[i + 1] - top.offsets[i], static_cast<std::int64_t>(order.size())) << i;
      for (std::size_t e = 0; e < order.size(); ++e) {
        ASSERT_EQ(top.columns[top.offsets[i] + e], order[e]) << i;
        ASSERT_EQ(top.values[top.offsets[i] + e], P[i * m + order[e]]) << i;
      }
    }
    EXPECT_EQ(top.columns.size(), top.offsets[n]);
  }
  const double exact = P[17 * m + 40];  // an entry itself: kept
  for (const double threshold : {1e-12, 1e-4, exact, 1e9}) {
    const auto sparse = s.plan->sparse(threshold, exec);
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(sparse.offsets[i], at);
      for (std::int64_t j = 0; j < m; ++j) {
        if (!(P[i * m + j] >= threshold)) continue;
        ASSERT_EQ(sparse.columns[at], j);
        ASSERT_EQ(sparse.values[at++], P[i * m + j]);
      }
    }
    EXPECT_EQ(sparse.columns.size(), at);
  }
  EXPECT_TRUE(refusal([&] { s.plan->sparse(1e-12, exec, 10); }).says("limit is 10"));
  EXPECT_EQ(refusal([&] { s.plan->sparse(0, exec); }).argument, "threshold");
  EXPECT_EQ(refusal([&] { s.plan->top_k(0, exec); }).argument, "k");
  EXPECT_EQ(refusal([&] { s.plan->top_k(301, exec); }).argument, "k");
}

// p-value of a chi-squared statistic by the cube-root transform of Wilson and Hilferty (1931).
double chi_squared_tail(double statistic, double freedom) {
  const double t = 2 / (9 * freedom);
  return 0.5 * std::erfc((std::cbrt(statistic / freedom) - (1 - t)) / std::sqrt(2 * t));
}

// L3: 10^6 pairs against P.
TEST_P(PlanEntries, AreDrawnByTheirMass) {
  Exec exec;
  auto clouds = random_clouds<double>(20, 15, 2, GetParam(), 1.5, 1.1);
  clouds.a[4] = 0;
  const Solved<double> s(clouds, KL{1.0}, KL{2.0}, tight(0.2));
  const std::int64_t n = 20, m = 15, k = 1000000;
  const Vector P = s.dense.plan();
  const double mass = s.dense.sum(P);
  const auto pairs = s.plan->draw_pairs(k, 42, exec);
  std::vector<double> counts(n * m);
  for (std::int64_t t = 0; t < k; ++t) ++counts[pairs.source[t] * m + pairs.target[t]];
  double statistic = 0, pooled = 0, expected = 0;
  int cells = 0;
  for (std::int64_t e = 0; e < n * m; ++e) {
    const double want = P[e] / mass * k;
    if (want < 10) {  // rare cells count together
      pooled += counts[e];
      expected += want;
      continue;
    }
    statistic += (counts[e] - want) * (counts[e] - want) / want;
    ++cells;
  }
  if (expected > 10) {
    statistic += (pooled - expected) * (pooled - expected) / expected;
    ++cells;
  }
  EXPECT_GT(chi_squared_tail(statistic, cells - 1), 1e-4);

  Exec one;
  one.threads = 1;
  const auto again = s.plan->draw_pairs(1000, 42, one);
  for (std::int64_t t = 0; t < 1000; ++t) {  // a shorter call draws the same pairs
    EXPECT_EQ(again.source[t], pairs.source[t]);
    EXPECT_EQ(again.target[t], pairs.target[t]);
  }
  const auto different = s.plan->draw_pairs(1000, 43, exec);
  EXPECT_FALSE(std::equal(again.source.begin(), again.source.end(), different.source.begin()));
}

TEST(Plan, EverySourceGetsItsTargets) {
  Exec exec;
  auto clouds = random_clouds<double>(12, 9, 2, 13, 1.5, 1.1);
  clouds.a[3] = 0;
  const Solved<double> s(clouds, KL{1.0}, Balanced{}, tight(0.2));
  const int k = 20000;
  const auto targets = s.plan->draw_targets(k, 7, exec);
  const Vector P = s.dense.plan(), p = s.dense.rows(P);
  for (std::int64_t i = 0; i < 12; ++i) {
    std::vector<double> counts(9);
    for (int t = 0; t < k; ++t) {
      const auto j = targets[i * k + t];
      if (i == 3) {
        ASSERT_EQ(j, -1);
        continue;
      }
      ASSERT_TRUE(j >= 0 && j < 9);
      ++counts[j];
    }
    if (i == 3) continue;
    double statistic = 0;
    for (int j = 0; j < 9; ++j) {
      const double want = P[i * 9 + j] / p[i] * k;
      statistic += (counts[j] - want) * (counts[j] - want) / want;
    }
    EXPECT_GT(chi_squared_tail(statistic, 8), 1e-5) << i;
  }
  EXPECT_EQ(refusal([&] { s.plan->draw_targets(0, 7, exec); }).argument, "k");
}

TEST(Plan, DenseIsRefusedAboveItsLimitBeforeAllocating) {
  Exec exec;
  const std::int64_t n = 10000;
  const auto clouds = random_clouds<double>(n, n, 1, 1, 1, 1);
  const auto problem = clouds.problem(KL{1.0}, KL{1.0});
  const std::vector<double> zero(n);
  const Plan<double> plan(problem, 0.1, {zero.data(), n}, {zero.data(), n});
  const auto refused = refusal([&] { plan.dense(exec); });
  EXPECT_TRUE(refused.says("10000 x 10000 = 1e+08 entries")) << refused.message;
  EXPECT_TRUE(refused.says("67108864")) << refused.message;
  EXPECT_EQ(refused.argument, "limit");
}

// More rows than one chunk of dense() takes.
TEST(Plan, DenseInChunks) {
  Exec exec;
  const auto clouds = random_clouds<float>(150, 9000, 3, 1, 1, 1);
  const auto problem = clouds.problem(KL{1.0}, KL{1.0});
  const std::vector<float> zero(9000);
  const Plan<float> plan(problem, 0.1, {zero.data(), 150}, {zero.data(), 9000});
  const auto P = plan.dense(exec);
  const auto p = plan.marginal(Side::source, exec);
  for (std::int64_t i = 0; i < 150; ++i)
    EXPECT_NEAR(std::accumulate(P.begin() + i * 9000, P.begin() + (i + 1) * 9000, 0.0) / p[i], 1,
                1e-5)
        << i;
}

TEST(Plan, MalformedCallsAreRefused) {
  Exec exec;
  const auto s = solved(testing::mixtures()[4]);
  const std::vector<double> v(100);
  const auto f = s.plan->f(), g = s.plan->g();
  EXPECT_EQ(refusal([&] { Plan<double>(*s.problem, 0, f, g); }).argument, "epsilon");
  EXPECT_EQ(refusal([&] { Plan<double>(*s.problem, std::nan(""), f, g); }).argument, "epsilon");
  EXPECT_EQ(refusal([&] { Plan<double>(*s.problem, 0.1, g, g); }).argument, "f");
  EXPECT_EQ(refusal([&] { Plan<double>(*s.problem, 0.1, f, f); }).argument, "g");
  EXPECT_TRUE(refusal([&] {
                s.plan->apply(Side::source, {v.data(), 23, 2}, exec);
              }).says("wanted (37, k)"));
  EXPECT_EQ(refusal([&] {
              s.plan->barycentric(Side::target, {v.data(), 37, 1}, exec);
            }).argument,
            "values");
  EXPECT_EQ(refusal([&] {
              s.plan->moments(Side::source, {v.data(), 37, 0}, exec);
            }).argument,
            "values");
  EXPECT_EQ(refusal([&] { s.plan->map(Side::source, {v.data(), 4, 3}, exec); }).argument, "z");
  EXPECT_EQ(refusal([&] { s.plan->draw_pairs(0, 1, exec); }).argument, "k");
}

// Float: entries are exact to a few roundings of the score (f + g - C)/eps.
TEST(Plan, FloatProductsAreWithinRoundingOfTheScores) {
  Exec exec;
  const Solved<float> s(random_clouds<float>(23, 37, 2, 1, 1.5, 1.1), KL{1.2}, KL{0.3},
                        tight(0.05, 1e-6));
  const Vector P = s.dense.plan();
  const double most = *std::max_element(s.dense.C.begin(), s.dense.C.end());
  const double u = std::numeric_limits<float>::epsilon() / 2, relative = 10 * u * most / 0.05;
  const auto got = s.plan->dense(exec);
  for (std::size_t e = 0; e < P.size(); ++e)
    ASSERT_NEAR(got[e], P[e], relative * P[e] + 1e-37) << e;
  EXPECT_NEAR(s.plan->value(exec), s.dense.dual(), relative * s.dense.sum(P));
}

TEST(Plan, ResultsDoNotDependOnThreads) {
  const Solved<float> s(random_clouds<float>(700, 900, 3, 1, 1.5, 1.1), KL{1.2}, KL{0.3},
                        tight(0.1, 1e-3));
  Exec one, two;
  one.threads = 1;
  two.threads = 2;
  const auto equal = [](const auto& l, const auto& r) {
    return std::equal(l.begin(), l.end(), r.begin(), r.end());
  };
  EXPECT_TRUE(equal(s.plan->marginal(Side::target, one), s.plan->marginal(Side::target, two)));
  EXPECT_TRUE(
      equal(s.plan->barycentric(Side::source, one), s.plan->barycentric(Side::source, two)));
  EXPECT_TRUE(equal(s.plan->top_k(7, one).values, s.plan->top_k(7, two).values));
  EXPECT_TRUE(
      equal(s.plan->draw_pairs(500, 3, one).target, s.plan->draw_pairs(500, 3, two).target));
}
}  // namespace
}  // namespace monge
