#include "monge/ot/bounds.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/reference.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using reference::Vector;
using testing::expect_near;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

struct Bounds {
  std::vector<std::int64_t> rows, columns;
  std::vector<double> values;

  LowerBounds view() const {
    const auto size = static_cast<std::int64_t>(values.size());
    return {{rows.data(), size}, {columns.data(), size}, {values.data(), size}};
  }
  void add(std::int64_t i, std::int64_t j, double value) {
    rows.push_back(i);
    columns.push_back(j);
    values.push_back(value);
  }
};

constexpr double kEpsilon = 0.05;

ProblemOptions with(const LowerBounds& bounds) {
  ProblemOptions out;
  out.bounds = bounds;
  return out;
}

/// A problem with bounds on pairs that the plan would leave nearly empty, and on some it likes.
template <class T>
struct Bounded {
  double epsilon;
  testing::Clouds<T> clouds;
  Marginal a, b;
  Bounds bounds;
  std::vector<T> C;  // where the geometry is a matrix
  std::unique_ptr<Problem<T>> problem;
  SinkhornResult<T> result;
  std::unique_ptr<Plan<T>> plan;
  Vector dense;  // max(L, P0), by its definition

  Bounded(const testing::Mixture& mix, bool matrix, double tolerance = 1e-13,
          double epsilon = kEpsilon, std::uint64_t seed = 1)
      : epsilon(epsilon),
        clouds(random_clouds<T>(19, 27, 2, seed, mix.mass_a, mix.mass_b)),
        a(mix.a),
        b(mix.b) {
    for (std::int64_t e = 0; e < 15; ++e) {
      const std::int64_t i = e * 5 % 19, j = (e * 11 + 3) % 27;
      bounds.add(i, j, 0.25 * std::min(clouds.a[i], clouds.b[j]));
    }
    const ProblemOptions how = with(bounds.view());
    const auto costs = clouds.costs();
    C.assign(costs.begin(), costs.end());
    if (matrix)
      problem =
          std::make_unique<Problem<T>>(CostMatrix<T>{{C.data(), clouds.n, clouds.m}},
                                       clouds.source_weights(), clouds.target_weights(), a, b, how);
    else
      problem = std::make_unique<Problem<T>>(clouds.problem(a, b, SquaredEuclidean{}, how));
    Exec exec;
    result = sinkhorn(*problem, testing::tight(epsilon, tolerance), exec);
    plan = std::make_unique<Plan<T>>(*problem, result);
    dense = pair().plan();
    for (std::size_t e = 0; e < bounds.values.size(); ++e) {
      double& p = dense[bounds.rows[e] * clouds.m + bounds.columns[e]];
      p = std::max(p, bounds.values[e]);
    }
  }
  reference::DensePair pair() const {
    return {{C.begin(), C.end()},
            testing::to_double(clouds.a),
            testing::to_double(clouds.b),
            testing::to_double(result.f),
            testing::to_double(result.g),
            epsilon,
            a,
            b};
  }
  /// The objective at the plan, by its definition.
  double primal() const {
    const auto d = pair();
    double value = d.penalty(d.rows(dense), d.a, a) + d.penalty(d.columns(dense), d.b, b);
    for (std::size_t i = 0; i < d.n(); ++i)
      for (std::size_t j = 0; j < d.m(); ++j) {
        const double p = dense[i * d.m() + j], ab = d.a[i] * d.b[j];
        const double relative = p > 0 ? p * std::log(p / ab) : 0;
        value += p * d.C[i * d.m() + j] + epsilon * (relative - p + ab);
      }
    return value;
  }
};

// I5: P >= L exactly, both marginals as they should be, and no gap between primal and dual: the
// plan is the optimum.
TEST(LowerBounds, SolvesToTheOptimum) {
  Exec exec;
  for (const auto& mix : testing::mixtures())
    for (const auto& [matrix, seed] : {std::pair{false, 1}, {true, 2}, {false, 3}}) {
      SCOPED_TRACE(mix.name + (matrix ? " matrix" : ""));
      const Bounded<double> s(mix, matrix, 1e-13, kEpsilon, seed);
      EXPECT_TRUE(s.result.report.converged) << s.result.report.marginal_error;
      const auto P = s.plan->dense(exec);
      int binding = 0;
      for (std::size_t e = 0; e < s.bounds.values.size(); ++e) {
        const double p = P[s.bounds.rows[e] * s.clouds.m + s.bounds.columns[e]];
        EXPECT_GE(p, s.bounds.values[e]);
        binding += p == s.bounds.values[e];
      }
      EXPECT_GT(binding, 5);
      expect_near(P, s.dense, 1e-15, "P");
      const auto d = s.pair();
      const double mass = std::accumulate(s.dense.begin(), s.dense.end(), 0.0);
      EXPECT_NEAR((d.residual(d.rows(s.dense), d.a, d.f, s.a) +
                   d.residual(d.columns(s.dense), d.b, d.g, s.b)) /
                      mass,
                  0, 2e-13);
      const double primal = s.primal();
      EXPECT_NEAR(s.result.report.dual_value, primal, 1e-12 * (1 + std::abs(primal)));
      EXPECT_NEAR(s.result.report.transported_mass, mass, 1e-13);
      const double gap = s.result.report.duality_gap;
      EXPECT_TRUE(std::isinf(gap) || std::abs(gap) < 1e-12) << gap;
    }
}

TEST(LowerBounds, ThePlanIsAnOperatorWithThem) {
  Exec exec;
  for (const auto& mix : {testing::mixtures()[0], testing::mixtures()[4], testing::mixtures()[5]}) {
    SCOPED_TRACE(mix.name);
    const Bounded<double> s(mix, false);
    const std::int64_t n = s.clouds.n, m = s.clouds.m, k = 2;
    const auto v = random_vector<double>(m * k, 4, 0, -1, 1),
               u = random_vector<double>(n * k, 4, 1, -1, 1);
    Vector forward(n * k), back(m * k), squares(n * k), images(n * 2), rows(n), columns(m),
        dx(n * 2);
    double linear = 0, entropy = 0;
    const auto d = s.pair();
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < m; ++j) {
        const double p = s.dense[i * m + j], ab = d.a[i] * d.b[j];
        rows[i] += p;
        columns[j] += p;
        linear += p * d.C[i * m + j];
        entropy += p * std::log(p / ab) - p + ab;
        for (std::int64_t c = 0; c < k; ++c) {
          forward[i * k + c] += p * v[j * k + c];
          squares[i * k + c] += p * p * v[j * k + c];
          back[j * k + c] += p * u[i * k + c];
          images[i * 2 + c] += p * s.clouds.y[j * 2 + c];
          dx[i * 2 + c] += 2 * p * (s.clouds.x[i * 2 + c] - s.clouds.y[j * 2 + c]);
        }
      }
    for (std::int64_t i = 0; i < n; ++i)
      for (int c = 0; c < 2; ++c) images[i * 2 + c] /= rows[i];
    const auto& plan = *s.plan;
    expect_near(plan.apply(Side::source, {v.data(), m, k}, exec), forward, 1e-14, "P V");
    expect_near(plan.apply(Side::target, {u.data(), n, k}, exec), back, 1e-14, "P^T U");
    expect_near(plan.apply_squared(Side::source, {v.data(), m, k}, exec), squares, 1e-15, "P^2 V");
    expect_near(plan.marginal(Side::source, exec), rows, 1e-14, "P 1");
    expect_near(plan.marginal(Side::target, exec), columns, 1e-14, "P^T 1");
    expect_near(plan.barycentric(Side::source, exec), images, 1e-13, "images");
    EXPECT_NEAR(plan.mass(exec), std::accumulate(rows.begin(), rows.end(), 0.0), 1e-13);
    const auto terms = plan.terms(exec);
    EXPECT_NEAR(terms.linear, linear, 1e-13);
    EXPECT_NEAR(terms.entropy, entropy, 1e-12);
    EXPECT_NEAR(plan.value(exec), s.primal(), 1e-12);
    EXPECT_NEAR(terms.linear + kEpsilon * terms.entropy + terms.penalty_a + terms.penalty_b,
                s.primal(), 1e-12);
    const auto derivative = gradient(plan, exec);
    expect_near(derivative.dx, dx, 1e-13, "dx");
    EXPECT_NEAR(derivative.depsilon, entropy, 1e-12);

    // Entries, against the dense plan sorted.
    const auto top = plan.top_k(4, exec);
    const double least = 2e-3;
    const auto sparse = plan.sparse(least, exec);
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<std::int64_t> order(m);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](auto x, auto y) { return s.dense[i * m + x] > s.dense[i * m + y]; });
      ASSERT_EQ(top.offsets[i + 1] - top.offsets[i], 4);
      for (int e = 0; e < 4; ++e) {
        EXPECT_EQ(top.columns[top.offsets[i] + e], order[e]) << i;
        EXPECT_NEAR(top.values[top.offsets[i] + e], s.dense[i * m + order[e]], 1e-15);
      }
      std::int64_t e = sparse.offsets[i];
      for (std::int64_t j = 0; j < m; ++j) {
        if (s.dense[i * m + j] < least) continue;
        ASSERT_LT(e, sparse.offsets[i + 1]) << i;
        EXPECT_EQ(sparse.columns[e], j);
        EXPECT_NEAR(sparse.values[e++], s.dense[i * m + j], 1e-15);
      }
      EXPECT_EQ(e, sparse.offsets[i + 1]);
    }
  }
}

// d value / d a by central differences, also of a row with bounds.
TEST(LowerBounds, GradientsInWeights) {
  Exec exec;
  const auto mix = testing::mixtures()[4];
  Bounded<double> s(mix, false);
  const auto got = gradient(*s.plan, exec);
  for (const std::int64_t i : {0, 5, 7}) {
    const double h = 1e-5 * s.clouds.a[i], at = s.clouds.a[i];
    const auto value = [&](double weight) {
      s.clouds.a[i] = weight;
      const auto problem =
          s.clouds.problem(mix.a, mix.b, SquaredEuclidean{}, with(s.bounds.view()));
      return sinkhorn(problem, testing::tight(kEpsilon), exec).report.dual_value;
    };
    const double slope = (value(at + h) - value(at - h)) / (2 * h);
    s.clouds.a[i] = at;
    EXPECT_NEAR(got.da[i], slope, 1e-7) << i;
  }
}

// I5
TEST(LowerBounds, NoneAreBitwiseNone) {
  Exec exec;
  const auto clouds = random_clouds<double>(19, 27, 2, 1);
  Bounds zeros;
  zeros.add(3, 4, 0);
  zeros.add(5, 6, 0);
  for (const Acceleration acceleration : {Acceleration::automatic, Acceleration::over_relaxation}) {
    auto how = testing::tight(1e-3, 1e-8);
    how.acceleration = acceleration;
    const auto want = sinkhorn(clouds.problem(KL{1}, KL{1}), how, exec);
    const auto got =
        sinkhorn(clouds.problem(KL{1}, KL{1}, SquaredEuclidean{}, with(zeros.view())), how, exec);
    EXPECT_EQ(std::memcmp(got.f.data(), want.f.data(), 19 * sizeof(double)), 0);
    EXPECT_EQ(std::memcmp(got.g.data(), want.g.data(), 27 * sizeof(double)), 0);
    EXPECT_EQ(got.report.dual_value, want.report.dual_value);
    EXPECT_EQ(got.report.passes, want.report.passes);
  }
}

// Bounds that take all of a balanced row leave it nothing else.
TEST(LowerBounds, MayTakeAllOfARow) {
  Exec exec;
  auto clouds = random_clouds<double>(6, 8, 2, 3, 1, 1);
  Bounds bounds;
  bounds.add(2, 0, clouds.a[2] / 2);
  bounds.add(2, 7, clouds.a[2] - clouds.a[2] / 2);
  const auto problem = clouds.problem(Balanced{}, KL{1}, SquaredEuclidean{}, with(bounds.view()));
  const auto result = sinkhorn(problem, testing::tight(0.05, 1e-10), exec);
  EXPECT_TRUE(result.report.converged);
  const auto P = Plan<double>(problem, result).dense(exec);
  for (std::int64_t j = 1; j < 7; ++j) EXPECT_NEAR(P[2 * 8 + j], 0, 1e-12);
  EXPECT_NEAR(P[2 * 8], clouds.a[2] / 2, 1e-12);
}

// Where P0 underflows on the bounded pairs.
TEST(LowerBounds, HoldAtSmallEpsilon) {
  const Bounded<double> s(testing::mixtures()[4], false, 1e-9, 1e-3);
  EXPECT_TRUE(s.result.report.converged);
  EXPECT_LT(s.pair().plan()[s.bounds.rows[0] * s.clouds.m + s.bounds.columns[0]], 1e-300);
  EXPECT_NEAR(s.result.report.dual_value, s.primal(), 1e-11);
}

TEST(LowerBounds, FloatsReachTheirFloor) {
  const Bounded<float> s(testing::mixtures()[4], false, 1e-5);
  EXPECT_TRUE(s.result.report.converged);
  EXPECT_NEAR(s.result.report.dual_value, s.primal(), 1e-5);
}

TEST(LowerBounds, RefusesWhatIsMalformed) {
  Exec exec;
  const auto clouds = random_clouds<double>(6, 8, 2, 3, 1, 1);
  const auto said = [&](const Bounds& bounds, Marginal side = KL{1}) {
    const auto found =
        refusal([&] { clouds.problem(side, side, SquaredEuclidean{}, with(bounds.view())); });
    EXPECT_EQ(found.argument, "bounds");
    return found.message;
  };
  const auto one = [](std::int64_t i, std::int64_t j, double value) {
    Bounds bounds;
    bounds.add(i, j, value);
    return bounds;
  };
  const auto expect = [&](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(said(one(6, 0, 0.1)), "wanted a pair of 6 x 8");
  expect(said(one(0, 0, -0.1)), "wanted a finite mass >= 0");
  expect(said(one(0, 0, 1), Balanced{}), "balanced: lower them");
  auto twice = one(1, 2, 0.01);
  twice.add(1, 2, 0.02);
  expect(said(twice), "two entries at (1, 2)");
  auto short_of = one(1, 2, 0.01);
  short_of.rows.pop_back();
  const LowerBounds views{
      {short_of.rows.data(), 0}, {short_of.columns.data(), 1}, {short_of.values.data(), 1}};
  EXPECT_TRUE(refusal([&] {
                clouds.problem(KL{1}, KL{1}, SquaredEuclidean{}, with(views));
              }).says("0 rows, 1 columns and 1 values"));

  const double inf = std::numeric_limits<double>::infinity();
  const auto bounds = one(1, 2, 0.01);
  EXPECT_THROW(clouds.problem(TV{inf}, TV{inf}, SquaredEuclidean{},
                              {.total_mass = 0.5, .bounds = bounds.view()}),
               NotAvailable);
  const auto problem = clouds.problem(KL{1}, KL{1}, SquaredEuclidean{}, with(bounds.view()));
  auto how = testing::tight(0.1);
  const Plan<double> plan(problem, sinkhorn(problem, how, exec));
  EXPECT_THROW(plan.draw_pairs(3, 0, exec), NotAvailable);
  EXPECT_THROW(plan.draw_targets(3, 0, exec), NotAvailable);
  EXPECT_THROW(plan.moments(Side::source, exec), NotAvailable);
  EXPECT_THROW(plan.map(Side::source, clouds.source(), exec), NotAvailable);
  EXPECT_THROW(plan.potential(Side::source, clouds.source(), exec), NotAvailable);
  EXPECT_THROW(with_reference<double>(problem, 0.1, {}, {}), NotAvailable);
  how.acceleration = Acceleration::over_relaxation;
  EXPECT_THROW(sinkhorn(problem, how, exec), NotAvailable);
}
}  // namespace
}  // namespace monge
