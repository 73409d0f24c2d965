// Answers known in closed form or by combinatorics.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/divergence.hpp"
#include "reference/gaussian.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using reference::GaussianPair;
using reference::Matrix2;
using reference::Vector2;
using testing::Clouds;
using testing::random_clouds;
using testing::random_vector;
using testing::Solved;
using testing::tight;

double slope(const std::function<double(double)>& value, double step) {
  return (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step);
}

// Gaussians on a grid: the trapezoidal rule is exact to rounding once the spacing is below 0.8 of
// every standard deviation in play and the grid reaches 8.5 of them. Points of less than 1e-17 of
// the largest weight are left out.
constexpr double kNegligible = 1e-17;

using Line = GaussianPair<double, double>;
using Plane = GaussianPair<Matrix2, Vector2>;

void fill(std::vector<double>& points, std::vector<double>& weights, double mean, double variance,
          double mass, int count, double half_width) {
  const double h = 2 * half_width / (count - 1);
  for (int i = 0; i < count; ++i) {
    const double x = -half_width + h * i, z = (x - mean) * (x - mean) / variance;
    if (std::exp(-z / 2) < kNegligible) continue;
    points.push_back(x);
    weights.push_back(mass * h * std::exp(-z / 2) / std::sqrt(2 * std::numbers::pi * variance));
  }
}

void fill(std::vector<double>& points, std::vector<double>& weights, Vector2 mean,
          const Matrix2& covariance, double mass, int count, double half_width) {
  const double h = 2 * half_width / (count - 1);
  const Matrix2 precision = reference::inverse(covariance);
  for (int i = 0; i < count * count; ++i) {
    const Vector2 x{-half_width + h * (i / count), -half_width + h * (i % count)};
    const double z = reference::dot(x - mean, precision * (x - mean));
    if (std::exp(-z / 2) < kNegligible) continue;
    points.insert(points.end(), {x.x, x.y});
    weights.push_back(mass * h * h * std::exp(-z / 2) /
                      (2 * std::numbers::pi * std::sqrt(reference::det(covariance))));
  }
}

template <class M, class V>
Clouds<double> grid(const GaussianPair<M, V>& pair, int count, double half_width) {
  Clouds<double> out;
  out.d = reference::dimension(pair.A);
  fill(out.x, out.a, pair.mean_a, pair.A, pair.m_a, count, half_width);
  fill(out.y, out.b, pair.mean_b, pair.B, pair.m_b, count, half_width);
  out.n = static_cast<std::int64_t>(out.a.size());
  out.m = static_cast<std::int64_t>(out.b.size());
  return out;
}

// Cross-covariance sum P x (y - mean y)^T / mass, entry (k, l), from the images of the source.
struct PlanMoments {
  double mass;
  std::vector<double> mean_x, mean_y, covariance_x, cross;  // [d], [d, d]
};
PlanMoments plan_moments(const Solved<double>& s) {
  Exec exec;
  const std::int64_t n = s.clouds.n, d = s.clouds.d;
  const auto p = s.plan->marginal(Side::source, exec);
  const auto images = s.plan->barycentric(Side::source, exec);
  PlanMoments out{std::accumulate(p.begin(), p.end(), 0.0), std::vector<double>(d),
                  std::vector<double>(d), std::vector<double>(d * d), std::vector<double>(d * d)};
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t k = 0; k < d; ++k) {
      out.mean_x[k] += p[i] / out.mass * s.clouds.x[i * d + k];
      out.mean_y[k] += p[i] / out.mass * images[i * d + k];
    }
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t e = 0; e < d * d; ++e) {
      const double x = s.clouds.x[i * d + e / d] - out.mean_x[e / d];
      out.covariance_x[e] += p[i] / out.mass * x * (s.clouds.x[i * d + e % d] - out.mean_x[e % d]);
      out.cross[e] += p[i] / out.mass * x * (images[i * d + e % d] - out.mean_y[e % d]);
    }
  return out;
}

double unit(double, double t) { return t; }
Vector2 unit(Vector2, double t) { return {t, 0}; }
std::vector<double> entries(double m) { return {m}; }
std::vector<double> entries(const Matrix2& m) { return {m.a, m.b, m.c, m.d}; }
std::vector<double> entries(Vector2 v) { return {v.x, v.y}; }

void expect_all_near(const std::vector<double>& got, const std::vector<double>& want,
                     double tolerance, const char* what) {
  for (std::size_t e = 0; e < want.size(); ++e)
    EXPECT_NEAR(got[e], want[e], tolerance) << what << e;
}

template <class M, class V>
void check_balanced(const GaussianPair<M, V>& pair, int count, double half_width) {
  Exec exec;
  const Solved<double> s(grid(pair, count, half_width), Balanced{}, Balanced{}, tight(pair.epsilon),
                         SquaredEuclidean{}, {.total_mass = {}, .mass_tolerance = 1e-11});
  ASSERT_LE(s.result.report.marginal_error, 1e-12);
  const double want = pair.balanced_value();
  EXPECT_NEAR(s.plan->value(exec), want, 1e-11 * want);
  expect_all_near(plan_moments(s).cross, entries(pair.balanced_cross()), 1e-11,
                  "cross-covariance ");
}

// O2: value, mass, means, covariances; gradients against the formula, differentiated.
template <class M, class V>
void check_unbalanced(const GaussianPair<M, V>& pair, int count, double half_width) {
  Exec exec;
  const Solved<double> s(grid(pair, count, half_width), KL{pair.rho}, KL{pair.rho},
                         tight(pair.epsilon));
  ASSERT_LE(s.result.report.marginal_error, 1e-12);
  const double want = pair.value();
  EXPECT_NEAR(s.plan->value(exec), want, 1e-12 * want);
  const auto got = plan_moments(s);
  EXPECT_NEAR(got.mass, pair.mass(), 1e-11 * pair.mass());
  expect_all_near(got.mean_x, entries(pair.source_mean()), 1e-11, "mean ");
  expect_all_near(got.covariance_x, entries(pair.source_covariance()), 1e-11, "covariance ");
  expect_all_near(got.cross, entries(pair.cross()), 1e-11, "cross-covariance ");

  const auto g = gradient(*s.plan, exec);
  const auto formula = [&](auto change) {
    return slope(
        [&](double t) {
          auto moved = pair;
          change(moved, t);
          return moved.value();
        },
        1e-2 * pair.epsilon);  // the formula varies over lengths of eps
  };
  const std::int64_t n = s.clouds.n, d = s.clouds.d;
  const auto& x = s.clouds.x;
  const auto mean = entries(pair.mean_a);
  double along = 0, stretch = 0, mass = 0;  // first axis moved; all stretched about the mean
  for (std::int64_t i = 0; i < n; ++i) {
    along += g.dx[i * d];
    mass += s.clouds.a[i] * g.da[i];
    for (std::int64_t k = 0; k < d; ++k) stretch += g.dx[i * d + k] * (x[i * d + k] - mean[k]);
  }
  EXPECT_NEAR(along, formula([](auto& p, double t) { p.mean_a = p.mean_a + unit(p.mean_a, t); }),
              1e-8);
  EXPECT_NEAR(stretch, formula([](auto& p, double t) { p.A = (1 + t) * (1 + t) * p.A; }), 1e-8);
  EXPECT_NEAR(mass, formula([](auto& p, double t) { p.m_a *= 1 + t; }), 1e-8);
  EXPECT_NEAR(g.depsilon, formula([](auto& p, double t) { p.epsilon += t; }), 1e-8);
  EXPECT_NEAR(g.drho_a + g.drho_b, formula([](auto& p, double t) { p.rho += t; }), 1e-8);
}

// O1
TEST(OraclesSlow, BalancedGaussiansOnALine) {
  Line pair{0.20, 0.12, -0.3, 0.4, 1, 1, 0, 0};
  for (const double sigma : {0.3, 0.1}) {
    pair.epsilon = 2 * sigma * sigma;
    check_balanced(pair, 1201, 5);
  }
}
Plane plane(double m_a, double m_b) {
  return {
      {1.0, 0.3, 0.3, 0.5}, {0.6, -0.2, -0.2, 0.9}, {-0.3, 0.1}, {0.4, -0.2}, m_a, m_b, 0.8, 2.0};
}
TEST(OraclesSlow, BalancedGaussiansInThePlane) { check_balanced(plane(1, 1), 90, 9); }

// O2
TEST(OraclesSlow, UnbalancedGaussiansOnALine) {
  Line pair{0.20, 0.12, -0.3, 0.4, 1.5, 1.1, 0, 1};
  for (const double sigma : {0.3, 0.1}) {
    pair.epsilon = 2 * sigma * sigma;
    check_unbalanced(pair, 1201, 5);
  }
}
TEST(OraclesSlow, UnbalancedGaussiansInThePlane) { check_unbalanced(plane(1.5, 1.1), 90, 9); }

// A solved problem on a cost matrix.
struct OnMatrix {
  std::vector<double> C, a, b;
  Problem<double> problem;
  Plan<double> plan;
  Exec exec;

  OnMatrix(std::vector<double> costs, std::vector<double> source, std::vector<double> target,
           Marginal A, Marginal B, double epsilon, double tolerance = 1e-13)
      : C(std::move(costs)),
        a(std::move(source)),
        b(std::move(target)),
        problem(CostMatrix<double>{{C.data(), rows(), columns()}}, {a.data(), rows()},
                {b.data(), columns()}, A, B),
        plan(problem, solve(tight(epsilon, tolerance))) {}
  std::int64_t rows() const { return static_cast<std::int64_t>(a.size()); }
  std::int64_t columns() const { return static_cast<std::int64_t>(b.size()); }
  double linear() { return plan.terms(exec).linear; }

 private:
  SinkhornResult<double> solve(const SinkhornOptions& options) {
    Exec once;
    return sinkhorn(problem, options, once);
  }
};

// O3: one point on each side, or any number of points at one constant cost, where the masses alone
// count.
double mass_at_constant_cost(double a, double b, double c, double eps, double rho_a, double rho_b) {
  return std::exp(((eps + rho_a) * std::log(a) + (eps + rho_b) * std::log(b) - c) /
                  (eps + rho_a + rho_b));
}
// Rounding of the score (f + g - c)/eps moves the mass by a few u max(c)/eps relative: 1e-14 leaves
// room for 30 u c / eps at c / eps <= 3.
TEST(Oracles, OnePointAgainstAnother) {
  constexpr double kEps = 0.5;
  for (const double c : {0.0, 0.3, 1.5}) {
    OnMatrix kl({c}, {1.7}, {0.6}, KL{0.8}, KL{0.3}, kEps, 1e-15);
    const double want = mass_at_constant_cost(1.7, 0.6, c, kEps, 0.8, 0.3);
    EXPECT_NEAR(kl.plan.mass(kl.exec), want, 1e-14 * want) << c;
    const double value = 0.8 * 1.7 + 0.3 * 0.6 + kEps * 1.7 * 0.6 - (0.8 + 0.3 + kEps) * want;
    EXPECT_NEAR(kl.plan.value(kl.exec), value, 1e-14 * value) << c;
    OnMatrix tv({c}, {1.0}, {1.0}, TV{0.25}, TV{0.25}, kEps, 1e-15);
    const double kept = c <= 0.5 ? 1 : std::exp((0.5 - c) / kEps);
    EXPECT_NEAR(tv.plan.mass(tv.exec), kept, 1e-14 * kept) << c;
  }
  OnMatrix same({0.0}, {1.0}, {1.0}, Balanced{}, Balanced{}, 1e-3);
  EXPECT_EQ(same.plan.value(same.exec), 0);
}
class SeededOracles : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, SeededOracles, ::testing::Values(1, 2, 3));
TEST_P(SeededOracles, ConstantCost) {
  const std::uint64_t seed = GetParam();
  const auto a = testing::random_weights<double>(13, 1.7, seed, 0),
             b = testing::random_weights<double>(9, 0.6, seed, 1);
  const auto unit_a = testing::random_weights<double>(13, 1, seed, 0),
             unit_b = testing::random_weights<double>(9, 1, seed, 1);
  for (const double c : {0.0, 0.3, 2.0}) {
    const std::vector<double> C(13 * 9, c);
    OnMatrix kl(C, a, b, KL{0.8}, KL{0.3}, 0.1);
    const double want = mass_at_constant_cost(1.7, 0.6, c, 0.1, 0.8, 0.3);
    EXPECT_NEAR(kl.plan.mass(kl.exec), want, 1e-13 * want) << c;
    OnMatrix tv(C, unit_a, unit_b, TV{0.25}, TV{0.25}, 0.1);
    const double kept = c <= 0.5 ? 1 : std::exp((0.5 - c) / 0.1);
    EXPECT_NEAR(tv.plan.mass(tv.exec), kept, 1e-13 * kept) << c;
    const auto P = tv.plan.dense(tv.exec);
    for (std::int64_t e = 0; e < P.size(); ++e)
      EXPECT_NEAR(P[e], kept * unit_a[e / 9] * unit_b[e % 9], 1e-13) << c;
  }
}

// Least cost of a perfect matching over n!: shortest augmenting paths with potentials (Kuhn 1955,
// Munkres 1957), rows one after another.
double assignment(const std::vector<double>& C, int n) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> u(n, 0.0), v(n, 0.0);
  std::vector<int> row_of(n, -1);
  for (int start = 0; start < n; ++start) {
    std::vector<double> slack(n, kInfinity);
    std::vector<int> from(n, -1);  // the column before on the path; -1: the start row
    std::vector<bool> done(n, false);
    int row = start, at = -1;
    do {
      int next = -1;
      double least = kInfinity;
      for (int j = 0; j < n; ++j) {
        if (done[j]) continue;
        const double reduced = C[row * n + j] - u[row] - v[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          from[j] = at;
        }
        if (slack[j] < least) {
          least = slack[j];
          next = j;
        }
      }
      u[start] += least;
      for (int j = 0; j < n; ++j) {
        if (!done[j]) {
          slack[j] -= least;
        } else {
          u[row_of[j]] += least;
          v[j] -= least;
        }
      }
      done[next] = true;
      at = next;
      row = row_of[next];
    } while (row >= 0);
    for (; at >= 0; at = from[at]) row_of[at] = from[at] >= 0 ? row_of[from[at]] : start;
  }
  double cost = 0;
  for (int j = 0; j < n; ++j) cost += C[row_of[j] * n + j];
  return cost;
}

// O3: 0 <= <P, C> - exact <= eps log n.
TEST(Oracles, AssignmentBound) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    constexpr int n = 24;
    const auto clouds = random_clouds<double>(n, n, 2, seed, 1, 1);
    const std::vector<double> uniform(n, 1.0 / n);
    const double exact = assignment(clouds.costs(), n) / n;
    for (const double eps : {0.1, 0.01}) {
      OnMatrix s(clouds.costs(), uniform, uniform, Balanced{}, Balanced{}, eps);
      const double excess = s.linear() - exact;
      EXPECT_GE(excess, -1e-12) << seed << " " << eps;
      EXPECT_LE(excess, eps * std::log(n) + 1e-12) << seed << " " << eps;
    }
  }
}

// The oracle itself: all permutations of 6, and sorting on a line.
TEST(Oracles, AssignmentIsTheLeastOverPermutations) {
  const auto C = random_vector<double>(36, 5, 0);
  std::vector<int> order = {0, 1, 2, 3, 4, 5};
  double least = std::numeric_limits<double>::infinity();
  do {
    double cost = 0;
    for (int i = 0; i < 6; ++i) cost += C[i * 6 + order[i]];
    least = std::min(least, cost);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_NEAR(assignment(C, 6), least, 1e-15);
}

// O3: on a line the sorted matching is optimal. Points move by at most 0.15 of their distance 1, so
// the share of any other pair is below e^(-0.7/eps) = 7e-16 and the plan is the matching. The same
// for a shuffled copy, at no cost.
TEST_P(SeededOracles, SortingAndPermutations) {
  constexpr int n = 20;
  const std::uint32_t seed = GetParam();
  std::vector<double> x(n), y(n), shuffled(n);
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (int i = n - 1; i > 0; --i)
    std::swap(order[i], order[philox({static_cast<std::uint32_t>(i)}, seed)[0] % (i + 1)]);
  double least = 0;
  for (int i = 0; i < n; ++i) {
    const double step = 0.3 * (philox_uniform(seed, 1, i) - 0.5);
    least += step * step / n;
    x[i] = i;
    y[order[i]] = i + step;
    shuffled[order[i]] = i;
  }
  const std::vector<double> uniform(n, 1.0 / n);
  for (const bool moved : {true, false}) {
    const Clouds<double> clouds{n, n, 1, x, moved ? y : shuffled, uniform, uniform};
    OnMatrix s(clouds.costs(), uniform, uniform, Balanced{}, Balanced{}, 0.02);
    const auto P = s.plan.dense(s.exec);
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        ASSERT_NEAR(P[i * n + j], j == order[i] ? 1.0 / n : 0, 1e-12) << i << " " << j;
    EXPECT_NEAR(s.linear(), moved ? least : 0, 1e-12);
  }
}

// O3: everything goes to, or comes from, one point.
TEST_P(SeededOracles, Diracs) {
  const auto a = testing::random_weights<double>(15, 1.3, GetParam(), 0);
  const auto C = random_vector<double>(15, GetParam(), 1);
  const double cost = std::inner_product(a.begin(), a.end(), C.begin(), 0.0);
  OnMatrix to(C, a, {1.3}, Balanced{}, Balanced{}, 0.1),
      from(C, {1.3}, a, Balanced{}, Balanced{}, 0.1);
  const double entropy = 0.1 * (1.3 * 1.3 - 1.3 - 1.3 * std::log(1.3));  // KL(a (x) 1 | a b^T)
  for (auto* s : {&to, &from}) {
    EXPECT_NEAR(s->linear(), cost, 1e-12);
    EXPECT_NEAR(s->plan.value(s->exec), cost + entropy, 1e-12);
    const auto P = s->plan.dense(s->exec);
    for (std::int64_t i = 0; i < 15; ++i) EXPECT_NEAR(P[i], a[i], 1e-12);
  }
}

// O4: S(alpha, alpha moved by t) = |t|^2 at any epsilon; masses 1.
TEST_P(SeededOracles, DivergenceOfATranslation) {
  Exec exec;
  for (const double eps : {1.0, 0.1, 0.03}) {
    auto clouds = random_clouds<double>(40, 40, 3, GetParam(), 1, 1);
    const double t[] = {0.3, -0.2, 0.5};
    clouds.b = clouds.a;
    for (std::size_t e = 0; e < clouds.y.size(); ++e) clouds.y[e] = clouds.x[e] + t[e % 3];
    DivergenceOptions o;
    static_cast<SinkhornOptions&>(o) = tight(eps);
    const auto got = divergence(Measure<double>{clouds.source(), clouds.source_weights()},
                                Measure<double>{clouds.target(), clouds.target_weights()}, o, exec);
    ASSERT_TRUE(got.converged()) << eps << " " << got.ab.report.marginal_error;
    EXPECT_NEAR(got.value, 0.38, 1e-11 * 0.38) << eps;
  }
}

// O4: the transport of products is the sum of those of the factors; masses 1.
TEST_P(SeededOracles, SeparableMeasures) {
  Exec exec;
  const auto first = random_clouds<double>(7, 6, 1, 2 * GetParam(), 1, 1),
             second = random_clouds<double>(5, 8, 1, 2 * GetParam() + 1, 1, 1);
  Clouds<double> product{35, 48, 2, {}, {}, {}, {}};
  const auto cross = [](const auto& x, const auto& a, const auto& y, const auto& b, auto& points,
                        auto& weights) {
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; j < b.size(); ++j) {
        points.insert(points.end(), {x[i], y[j]});
        weights.push_back(a[i] * b[j]);
      }
  };
  cross(first.x, first.a, second.x, second.a, product.x, product.a);
  cross(first.y, first.b, second.y, second.b, product.y, product.b);
  for (const double eps : {0.3, 0.03}) {
    const auto value = [&](const Clouds<double>& c) {
      return Solved<double>(c, Balanced{}, Balanced{}, tight(eps)).plan->value(exec);
    };
    const double want = value(first) + value(second);
    EXPECT_NEAR(value(product), want, 1e-11 * want) << eps;
  }
}

// O5: primal = dual; a strength above every potential is no constraint.
TEST_P(SeededOracles, StrongTotalVariationIsBalanced) {
  Exec exec;
  const auto clouds = random_clouds<double>(25, 20, 2, GetParam(), 1.2, 1.2);
  const Solved<double> balanced(clouds, Balanced{}, Balanced{}, tight(0.05));
  const Solved<double> tv(clouds, TV{10}, TV{10}, tight(0.05));
  const double value = balanced.plan->value(exec);
  EXPECT_NEAR(tv.plan->value(exec), value, 1e-12 * value);
  // The primal pays lambda for every unit of the residual.
  EXPECT_NEAR(tv.dense.primal(), value, 1e-12 * value + 10 * tv.result.report.marginal_error);
  testing::expect_near(tv.plan->dense(exec), testing::to_double(balanced.plan->dense(exec)), 1e-12,
                       "plan");
}

// O5: as eps falls mass moves only where it is cheaper than giving it up twice.
TEST_P(SeededOracles, TotalVariationMovesMassOnlyWhereItPays) {
  Exec exec;
  constexpr double kLambda = 0.05, kEps = 1e-3;
  const auto clouds = random_clouds<double>(25, 20, 2, GetParam(), 1.2, 0.9);
  const Solved<double> s(clouds, TV{kLambda}, TV{kLambda}, tight(kEps));
  EXPECT_NEAR(s.plan->value(exec), s.dense.primal(), 1e-12 * s.dense.primal());
  const auto P = s.plan->dense(exec);
  // P_ij = a_i b_j exp((f_i + g_j - C_ij)/eps) with f, g <= lambda: beyond 2 lambda + 25 eps
  // nothing is left.
  double near = 0;
  for (std::size_t e = 0; e < s.dense.C.size(); ++e) {
    if (s.dense.C[e] > 2 * kLambda + 25 * kEps) {
      EXPECT_LT(P[e], 1e-9) << e;
    } else if (s.dense.C[e] < 2 * kLambda) {
      near += P[e];
    }
  }
  EXPECT_GT(near, 0.1);
}
}  // namespace
}  // namespace monge
