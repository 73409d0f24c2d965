// Lattices: the same answers as their points and the matrix of their costs.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/divergence.hpp"
#include "monge/ot/plan.hpp"
#include "ot/arrays.hpp"
#include "ot/operator.hpp"
#include "reference/gaussian.hpp"
#include "support/grids.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using reference::GaussianPair;
using reference::Matrix2;
using reference::Vector2;
using testing::all_grids;
using testing::expect_near;
using testing::grid_of;
using testing::Grids;
using testing::refusal;
using testing::tight;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string name(const Lattice<double>& lattice) {
  std::string out = cost_name(lattice.cost) + " d " + std::to_string(lattice.source.dim);
  for (const bool periodic : lattice.periodic) out += periodic ? " periodic" : "";
  return out;
}

double largest_cost(const Grids<double>& grids) {
  double most = 0;
  for (const double c : grids.C) most = std::max(most, std::abs(c));
  return most;
}

// h of the side opposite to `rows`: a smooth potential and the logarithms of the weights.
std::vector<double> bias(const std::vector<double>& weights, double eps) {
  std::vector<double> h(kernels::padded(static_cast<std::int64_t>(weights.size())), -kInfinity);
  for (std::size_t j = 0; j < weights.size(); ++j)
    h[j] = weights[j] > 0
               ? 0.2 * std::sin(0.9 * static_cast<double>(j)) + eps * std::log(weights[j])
               : -kInfinity;
  return h;
}

/// The lattice's problem where the test runs.
struct There {
  Buffer<double> a, b;
  Exec exec;
  Problem<double> problem;

  There(const Grids<double>& grids, Marginal A, Marginal B)
      : a(testing::placed(grids.a)),
        b(testing::placed(grids.b)),
        exec(testing::Placed().exec()),
        problem(on_device(grids.lattice), a.view(), b.view(), A, B) {}

  static Lattice<double> on_device(Lattice<double> lattice) {
    lattice.device = testing::current_device();
    return lattice;
  }
};

// G2. Rounding of costs and scores of size 1 moves a softmin by a few of it; the last term is the
// rounding of eps in sums of up to eps log m.
TEST(Lattice, SoftminMatchesTheMatrixAtEveryEpsilon) {
  for (const std::uint64_t seed : {1, 2, 3})
    for (const auto& grids : all_grids<double>(1.5, 1, seed)) {
      SCOPED_TRACE(name(grids.lattice));
      const auto matrix = grids.on_matrix(KL{1}, KL{1});
      const Operator<double> dense(matrix);
      for (const double eps : {1e-6, 1e-4, 1e-2, 1.0, 1e2})
        for (const Side rows : {Side::source, Side::target}) {
          const auto h = bias(rows == Side::source ? grids.b : grids.a, eps);
          std::vector<double> want(dense.size(rows));
          Exec host;
          dense.softmin(rows, h.data(), nullptr, want.data(), eps, host);
          testing::on_every_device([&] {
            There in(grids, KL{1}, KL{1});
            const auto placed = testing::placed(h);
            Buffer<double> got(std::ssize(want), in.exec.device);
            Operator<double>(in.problem)
                .softmin(rows, placed.data(), nullptr, got.data(), eps, in.exec);
            expect_near(testing::back(got), want, 4e-15 * (4 + 8 * eps),
                        "eps " + std::to_string(eps));
          });
        }
    }
}

// G1 on every device.
TEST(Lattice, SolvesLikeTheMatrixOnEveryDevice) {
  const std::pair<Marginal, Marginal> kSides[] = {
      {KL{0.7}, KL{0.4}}, {Balanced{}, KL{0.4}}, {TV{0.2}, KL{0.4}}};
  for (int seed = 0; seed < 3; ++seed)
    for (const auto& grids : all_grids<double>(1.5, 1, 1 + seed)) {
      SCOPED_TRACE(name(grids.lattice));
      const auto& [A, B] = kSides[seed];
      Exec host;
      const auto on_matrix = grids.on_matrix(A, B);
      const auto want = sinkhorn(on_matrix, tight(0.05), host);
      const Plan<double> matrix(on_matrix, want);
      const double tolerance = 1e-11 * largest_cost(grids);
      testing::on_every_device([&, A = A, B = B] {
        There in(grids, A, B);
        const auto got = sinkhorn(in.problem, tight(0.05), in.exec);
        const Plan<double> plan(in.problem, got);
        expect_near(testing::back(got.f), testing::to_double(want.f), tolerance, "f");
        expect_near(testing::back(got.g), testing::to_double(want.g), tolerance, "g");
        EXPECT_NEAR(plan.value(in.exec), matrix.value(host), tolerance);
        for (const Side side : {Side::source, Side::target}) {
          const std::int64_t others = plan.op().size(other(side));
          const auto v = testing::random_vector<double>(others * 3, 3, 0, -1, 1);
          const auto there = testing::placed(v);
          expect_near(testing::back(plan.marginal(side, in.exec)),
                      testing::to_double(matrix.marginal(side, host)), tolerance, "marginal");
          expect_near(testing::back(plan.apply(
                          side, {there.data(), others, 3, 3, 1, in.exec.device}, in.exec)),
                      testing::to_double(matrix.apply(side, {v.data(), others, 3}, host)),
                      tolerance, "apply");
          const auto moments =
              plan.moments(side, {there.data(), others, 3, 3, 1, in.exec.device}, in.exec);
          const auto wanted = matrix.moments(side, {v.data(), others, 3}, host);
          expect_near(testing::back(moments.mean), testing::to_double(wanted.mean), 4 * tolerance,
                      "mean");
          expect_near(testing::back(moments.covariance), testing::to_double(wanted.covariance),
                      8 * tolerance, "covariance");
        }
        expect_near(testing::back(plan.dense(in.exec)), testing::to_double(matrix.dense(host)),
                    tolerance, "dense");
      });
    }
}

TEST(Lattice, BoundsItsCosts) {
  for (const auto& grids : all_grids<double>()) {
    SCOPED_TRACE(name(grids.lattice));
    const Operator<double> by_axes(grids.on_lattice(KL{1}, KL{1})),
        dense(grids.on_matrix(KL{1}, KL{1}));
    EXPECT_LE(by_axes.min_cost(), dense.min_cost() + 1e-15);
    EXPECT_GE(by_axes.max_cost(), dense.max_cost() - 1e-15);
    EXPECT_LE(by_axes.max_cost(), 4 * dense.max_cost() + 1);
  }
}

// G1, solved to 1e-13: potentials, value, marginals, products, terms; and all else that a plan
// says.
TEST(Lattice, SolvesLikeTheMatrixAndThePoints) {
  const double eps = 0.05;
  const std::pair<Marginal, Marginal> kSides[] = {
      {KL{0.7}, KL{0.4}}, {Balanced{}, KL{0.4}}, {TV{0.2}, KL{0.4}}};
  for (int seed = 0; seed < 3; ++seed)
    for (const auto& grids : all_grids<double>(1.5, 1, 1 + seed)) {
      SCOPED_TRACE(name(grids.lattice));
      const bool periodic = std::any_of(grids.lattice.periodic.begin(),
                                        grids.lattice.periodic.end(), [](bool p) { return p; });
      const double tolerance = 1e-11 * largest_cost(grids);
      const auto& [A, B] = kSides[seed];
      Exec exec;
      const auto on_lattice = grids.on_lattice(A, B), on_matrix = grids.on_matrix(A, B);
      const auto result = sinkhorn(on_lattice, tight(eps), exec),
                 other = sinkhorn(on_matrix, tight(eps), exec);
      ASSERT_LE(result.report.marginal_error, 1e-12);
      expect_near(result.f, testing::to_double(other.f), tolerance, "f");
      expect_near(result.g, testing::to_double(other.g), tolerance, "g");
      const Plan<double> plan(on_lattice, result), want(on_matrix, result);  // one pair
      EXPECT_NEAR(plan.value(exec), want.value(exec), tolerance);
      const auto terms = plan.terms(exec), matrix_terms = want.terms(exec);
      EXPECT_NEAR(terms.linear, matrix_terms.linear, tolerance);
      EXPECT_NEAR(terms.entropy, matrix_terms.entropy, 1e-10);
      for (const Side side : {Side::source, Side::target}) {
        const std::int64_t others = plan.op().size(monge::other(side));
        const auto v = testing::random_vector<double>(others * 11, 3, 0, -1, 1);
        const MatrixView<const double> columns(v.data(), others, 11);
        expect_near(plan.marginal(side, exec), testing::to_double(want.marginal(side, exec)),
                    tolerance, "marginal");
        expect_near(plan.apply(side, columns, exec),
                    testing::to_double(want.apply(side, columns, exec)), tolerance, "apply");
        expect_near(plan.apply_squared(side, columns, exec),
                    testing::to_double(want.apply_squared(side, columns, exec)), tolerance,
                    "squared");
        expect_near(plan.barycentric(side, columns, exec),
                    testing::to_double(want.barycentric(side, columns, exec)), 4 * tolerance,
                    "barycentric");
      }
      const auto g = gradient(plan, exec), matrix_g = gradient(want, exec);
      expect_near(g.da, testing::to_double(matrix_g.da), tolerance, "da");
      expect_near(g.db, testing::to_double(matrix_g.db), tolerance, "db");
      EXPECT_NEAR(g.depsilon, matrix_g.depsilon, 1e-10);
      if (periodic) continue;
      const auto on_points = grids.on_points(A, B);
      const Plan<double> cloud(on_points, result);
      const auto cloud_g = gradient(cloud, exec);
      expect_near(g.dx, testing::to_double(cloud_g.dx), tolerance, "dx");
      expect_near(g.dy, testing::to_double(cloud_g.dy), tolerance, "dy");
      expect_near(plan.dense(exec), testing::to_double(cloud.dense(exec)), tolerance, "dense");
      for (const Side side : {Side::source, Side::target}) {
        expect_near(plan.barycentric(side, exec), testing::to_double(cloud.barycentric(side, exec)),
                    tolerance, "images");
        const auto moments = plan.moments(side, exec), cloud_moments = cloud.moments(side, exec);
        expect_near(moments.mean, testing::to_double(cloud_moments.mean), tolerance, "mean");
        expect_near(moments.covariance, testing::to_double(cloud_moments.covariance), tolerance,
                    "covariance");
      }
      const std::int64_t d = grids.lattice.source.dim;
      expect_near(plan.map(Side::source, {grids.x.data(), grids.n(), d}, exec),
                  testing::to_double(plan.barycentric(Side::source, exec)), tolerance, "map");
      const auto top = plan.top_k(3, exec), cloud_top = cloud.top_k(3, exec);
      EXPECT_EQ(std::vector<std::int64_t>(top.columns.begin(), top.columns.end()),
                std::vector<std::int64_t>(cloud_top.columns.begin(), cloud_top.columns.end()));
    }
}

// A value that is the same for nearly all that a row sends anything to: its spread is much smaller
// than what products of values are rounded by in float.
TEST(Lattice, MomentsKeepSmallSpreads) {
  constexpr double kEps = 2e-3;
  const auto grids = all_grids<float>()[6];  // periodic
  const auto& [source, target, cost, periodic, device] = grids.lattice;
  const Grids<double> exact({source, target, cost, periodic}, {grids.a.begin(), grids.a.end()},
                            {grids.b.begin(), grids.b.end()});
  const auto problem = grids.on_lattice(KL{0.7}, KL{0.4});
  const auto matrix = exact.on_matrix(KL{0.7}, KL{0.4});
  Exec exec;
  const auto result = sinkhorn(problem, tight(kEps, 1e-3), exec);
  const std::int64_t m = grids.m();
  std::vector<float> v;
  for (std::int64_t j = 0; j < m; ++j) v.push_back(2 * j < m ? 1 : -1);
  const std::vector<double> same(v.begin(), v.end());
  const auto f = in_double(result.f.view(), exec), g = in_double(result.g.view(), exec);
  const auto got = Plan<float>(problem, result).moments(Side::source, {v.data(), m, 1}, exec);
  const auto want = Plan<double>(matrix, kEps, f.view(), g.view())
                        .moments(Side::source, {same.data(), m, 1}, exec);
  // Scores up to 1 are rounded twice to float, a mean once.
  constexpr double kFloat = std::numeric_limits<float>::epsilon();
  double least = 1;
  for (std::int64_t i = 0; i < grids.n(); ++i) {
    EXPECT_NEAR(got.covariance[i], want.covariance[i],
                8 * kFloat / kEps * want.covariance[i] + kFloat * kFloat)
        << i;
    least = std::min(least, want.covariance[i]);
  }
  EXPECT_LT(least, 1e-3 * kFloat);
}

// The map and the potential at new points: against the sums of all pairs, and those of the grid's
// own points.
TEST(Lattice, NewPointsGoTheShorterWay) {
  constexpr double kEps = 0.05;
  for (const auto& any : all_grids<double>()) {
    const auto grids = testing::untied(any);
    const auto& periodic = grids.lattice.periodic;
    if (periodic == std::array<bool, 3>{}) continue;
    SCOPED_TRACE(name(grids.lattice));
    const int d = grids.lattice.source.dim;
    Exec host;
    const auto solved = sinkhorn(grids.on_lattice(KL{0.7}, KL{0.4}), tight(kEps), host);
    const auto f = testing::to_double(solved.f), g = testing::to_double(solved.g);
    for (const Side side : {Side::source, Side::target}) {
      const bool source = side == Side::source;
      const auto &points = source ? grids.y : grids.x, &own = source ? grids.x : grids.y;
      const auto &potential = source ? g : f, &weights = source ? grids.b : grids.a;
      auto z = testing::random_vector<double>(std::int64_t{7} * d, 5, 1, -2, 2);
      z.insert(z.end(), own.begin(), own.end());
      const auto count = static_cast<std::int64_t>(z.size()) / d;
      std::vector<double> images, potentials;
      for (std::int64_t i = 0; i < count; ++i) {
        double sum = 0;
        std::vector<double> mean(d, 0.0);
        for (std::size_t j = 0; j < weights.size(); ++j) {
          std::vector<double> from(d, 0.0), to;
          for (int k = 0; k < d; ++k) {
            const double u = points[j * d + k] - z[i * d + k];
            const double way = static_cast<double>(grids.lattice.target.shape[k]) *
                               grids.lattice.target.spacing[k];
            to.push_back(periodic[k] ? std::remainder(u, way) : u);
          }
          const double w =
              weights[j] *
              std::exp((potential[j] - testing::cost_of(grids.lattice.cost, from, to)) / kEps);
          sum += w;
          for (int k = 0; k < d; ++k) mean[k] += w * to[k];
        }
        for (int k = 0; k < d; ++k) images.push_back(z[i * d + k] + mean[k] / sum);
        const double rho = source ? 0.7 : 0.4;
        potentials.push_back(-kEps * std::log(sum) * rho / (rho + kEps));
      }
      testing::on_every_device([&] {
        There in(grids, KL{0.7}, KL{0.4});
        const auto on_f = testing::placed(f), on_g = testing::placed(g), on_z = testing::placed(z);
        const Plan<double> plan(in.problem, kEps, on_f.view(), on_g.view());
        const MatrixView<const double> at{on_z.data(), count, d, d, 1, in.exec.device};
        const auto map = testing::back(plan.map(side, at, in.exec));
        expect_near(map, images, 1e-12, "map");
        expect_near(testing::back(plan.potential(side, at, in.exec)), potentials, 1e-13,
                    "potential");
        const auto of_own = testing::back(plan.barycentric(side, in.exec));
        expect_near(std::vector<double>(map.begin() + std::ptrdiff_t{7} * d, map.end()), of_own,
                    1e-12, "own");
        EXPECT_EQ(refusal([&] {
                    plan.map(side, {on_z.data(), 1, d + 1, d + 1, 1, in.exec.device}, in.exec);
                  }).argument,
                  "z");
      });
    }
  }
}

// Two grids of the same points of a circle, numbered from different ones: nothing has to move, and
// images are taken the shorter way round.
TEST(Lattice, ImagesOnACircleGoTheShorterWay) {
  const std::vector<double> w(8, 0.125);
  Grid source = grid_of({8}, {0.5}, {0}), target = grid_of({8}, {0.5}, {-0.5});
  const Grids<double> grids({source, target, SquaredEuclidean{}, {true}}, w, w);
  const auto problem = grids.on_lattice(Balanced{}, Balanced{});
  Exec exec;
  const Plan<double> plan(problem, sinkhorn(problem, tight(1e-3), exec));
  const auto images = plan.barycentric(Side::source, exec);
  for (int i = 0; i < 8; ++i) EXPECT_NEAR(images[i], 0.5 * i, 1e-10);
  EXPECT_NEAR(plan.terms(exec).linear, 0, 1e-10);
}

// G1
TEST(Lattice, BalancedPotentialsAgreeWithThePoints) {
  for (const std::uint64_t seed : {1, 2, 3})
    for (const auto& grids : all_grids<double>(1, 1, seed)) {
      if (grids.lattice.periodic != std::array<bool, 3>{}) continue;
      SCOPED_TRACE(name(grids.lattice));
      Exec exec;
      const auto on_lattice = grids.on_lattice(Balanced{}, Balanced{}),
                 on_points = grids.on_points(Balanced{}, Balanced{});
      const auto result = sinkhorn(on_lattice, tight(0.05), exec),
                 cloud = sinkhorn(on_points, tight(0.05), exec);
      const double tolerance = 1e-11 * largest_cost(grids);
      expect_near(result.f, testing::to_double(cloud.f), tolerance, "f");
      expect_near(result.g, testing::to_double(cloud.g), tolerance, "g");
    }
}

// S of the points, and its derivatives; balanced too, where it vanishes between equal masses.
TEST(Lattice, DivergesLikeThePoints) {
  for (const auto& grids : all_grids<double>()) {
    if (grids.lattice.periodic != std::array<bool, 3>{}) continue;
    SCOPED_TRACE(name(grids.lattice));
    DivergenceOptions options;
    static_cast<SinkhornOptions&>(options) = tight(0.05);
    options.marginal_a = options.marginal_b = KL{0.7};
    options.cost = grids.lattice.cost;
    options.gradients = true;
    const std::int64_t n = grids.n(), m = grids.m(), d = grids.lattice.source.dim;
    Exec exec;
    const auto got = divergence(grids.lattice, VectorView<const double>(grids.a.data(), n),
                                VectorView<const double>(grids.b.data(), m), options, exec);
    const auto want =
        divergence(Measure<double>{{grids.x.data(), n, d}, {grids.a.data(), n}},
                   Measure<double>{{grids.y.data(), m, d}, {grids.b.data(), m}}, options, exec);
    ASSERT_TRUE(got.converged());
    EXPECT_NEAR(got.value, want.value, 1e-11);
    expect_near(got.potential_a, testing::to_double(want.potential_a), 1e-11, "potential");
    expect_near(got.da, testing::to_double(want.da), 1e-11, "da");
    // Each point of a self term stands upon itself, where a cost with a corner has no slope.
    if (!std::holds_alternative<Euclidean>(options.cost))
      expect_near(got.dy, testing::to_double(want.dy), 1e-11, "dy");
    options.cost = Power{1.25};
    EXPECT_EQ(refusal([&] {
                divergence(grids.lattice, VectorView<const double>(grids.a.data(), n),
                           VectorView<const double>(grids.b.data(), m), options, exec);
              }).argument,
              "cost");
  }
}

Grids<double> small(std::array<bool, 3> periodic = {}, Cost cost = SquaredEuclidean{}) {
  return {{grid_of({3, 4}, {1, 1}, {0, 0}), grid_of({3, 4}, {1, 1}, {0, 0}), cost, periodic},
          std::vector<double>(12, 1.0 / 12),
          std::vector<double>(12, 1.0 / 12)};
}

TEST(Lattice, RefusesWhatItIsNot) {
  const auto refused = [](auto change) {
    Grids<double> grids = small();
    Lattice<double> lattice = grids.lattice;
    change(lattice);
    return refusal([&] { grids.problem(lattice, KL{1}, KL{1}); });
  };
  EXPECT_EQ(refused([](auto& l) { l.cost = Euclidean{}; }).argument, "cost");
  EXPECT_TRUE(refused([](auto& l) { l.cost = Euclidean{}; }).says("euclidean"));
  EXPECT_EQ(refused([](auto& l) { l.source.spacing[1] = 0; }).argument, "spacing");
  EXPECT_EQ(refused([](auto& l) { l.target.spacing[0] = kInfinity; }).argument, "target_spacing");
  EXPECT_EQ(refused([](auto& l) { l.target.origin[0] = std::nan(""); }).argument, "target_origin");
  EXPECT_EQ(refused([](auto& l) { l.source.shape[0] = 0; }).argument, "source");
  EXPECT_EQ(refused([](auto& l) { l.source.dim = 4; }).argument, "source");
  EXPECT_EQ(refused([](auto& l) { l.target.dim = 1; }).argument, "target");
  const auto period = refused([](auto& l) { l.periodic[1] = true, l.target.spacing[1] = 1.1; });
  EXPECT_EQ(period.argument, "periodic");
  EXPECT_TRUE(period.says("4.4"));
  EXPECT_EQ(refused([](auto& l) { l.source.shape[0] = 5; }).argument, "a");
  EXPECT_EQ(refused([](auto& l) {
              l.source = l.target = grid_of({12}, {1}, {1});
              l.cost = Dot{}, l.periodic[0] = true;
            }).argument,
            "cost");
  EXPECT_EQ(refused([](auto& l) {
              l.source = grid_of({12}, {1}, {-3}), l.target = grid_of({12}, {1}, {1});
              l.cost = Cosine{};
            }).index,
            3);
}

// O1, O2: Gaussians on a lattice of 90 x 90; see oracles_test.cpp for the width and what is left
// out.
std::vector<double> gaussian(const Grid& grid, Vector2 mean, const Matrix2& covariance,
                             double mass) {
  const Matrix2 precision = reference::inverse(covariance);
  const double h = grid.spacing[0];
  std::vector<double> out;
  for (std::int64_t i = 0; i < grid.size(); ++i) {
    const Vector2 x{grid.origin[0] + h * (i / grid.shape[1]),
                    grid.origin[1] + h * (i % grid.shape[1])};
    const double z = reference::dot(x - mean, precision * (x - mean)), w = std::exp(-z / 2);
    out.push_back(w < 1e-17 ? 0
                            : mass * h * h * w /
                                  (2 * std::numbers::pi * std::sqrt(reference::det(covariance))));
  }
  return out;
}

void check_gaussians(const GaussianPair<Matrix2, Vector2>& pair, bool balanced) {
  const Grid grid = grid_of({90, 90}, {18.0 / 89, 18.0 / 89}, {-9, -9});
  const auto a = gaussian(grid, pair.mean_a, pair.A, pair.m_a),
             b = gaussian(grid, pair.mean_b, pair.B, pair.m_b);
  const Marginal side = balanced ? Marginal(Balanced{}) : Marginal(KL{pair.rho});
  const Problem<double> problem(Lattice<double>{grid, grid}, {a.data(), grid.size()},
                                {b.data(), grid.size()}, side, side,
                                {.total_mass = {}, .mass_tolerance = 1e-11});
  Exec exec;
  const Plan<double> plan(problem, sinkhorn(problem, tight(pair.epsilon), exec));
  const double want = balanced ? pair.balanced_value() : pair.value();
  EXPECT_NEAR(plan.value(exec), want, (balanced ? 1e-11 : 1e-12) * want);
  const auto p = plan.marginal(Side::source, exec);
  const auto images = plan.barycentric(Side::source, exec);
  const double mass = std::accumulate(p.begin(), p.end(), 0.0);
  if (!balanced) {
    EXPECT_NEAR(mass, pair.mass(), 1e-11 * pair.mass());
  }
  double mean[4] = {}, cross[4] = {};
  const auto x = [&](std::int64_t i, int k) {
    return grid.origin[k] + grid.spacing[k] * (k == 0 ? i / 90 : i % 90);
  };
  for (std::int64_t i = 0; i < grid.size(); ++i)
    for (int k = 0; k < 2; ++k) {
      mean[k] += p[i] / mass * x(i, k);
      mean[2 + k] += p[i] / mass * images[2 * i + k];
    }
  for (std::int64_t i = 0; i < grid.size(); ++i)
    for (int e = 0; e < 4; ++e)
      cross[e] +=
          p[i] / mass * (x(i, e / 2) - mean[e / 2]) * (images[2 * i + e % 2] - mean[2 + e % 2]);
  const Matrix2 wanted = balanced ? pair.balanced_cross() : pair.cross();
  EXPECT_NEAR(cross[0], wanted.a, 1e-11);
  EXPECT_NEAR(cross[1], wanted.b, 1e-11);
  EXPECT_NEAR(cross[2], wanted.c, 1e-11);
  EXPECT_NEAR(cross[3], wanted.d, 1e-11);
}

GaussianPair<Matrix2, Vector2> plane(double m_a, double m_b) {
  return {
      {1.0, 0.3, 0.3, 0.5}, {0.6, -0.2, -0.2, 0.9}, {-0.3, 0.1}, {0.4, -0.2}, m_a, m_b, 0.8, 2.0};
}
TEST(LatticeSlow, BalancedGaussiansInThePlane) { check_gaussians(plane(1, 1), true); }
TEST(LatticeSlow, UnbalancedGaussiansInThePlane) { check_gaussians(plane(1.5, 1.1), false); }

// P2, the run of spec section 2.1: images of 32 x 32 pixels, epsilon halved from 1 with 20
// iterations a level, then 100 at the target; errors in mixed equal those in double to two digits.
TEST(LatticeSlow, MixedErrorsAreThoseOfDouble) {
  const Grid grid = grid_of({32, 32}, {1.0 / 32, 1.0 / 32}, {0.5 / 32, 0.5 / 32});
  const auto hill = [&](double x, double y, double s) {
    std::vector<double> w;
    for (std::int64_t i = 0; i < grid.size(); ++i) {
      const double u = (static_cast<double>(i / 32) + 0.5) / 32 - x,
                   v = (static_cast<double>(i % 32) + 0.5) / 32 - y;
      w.push_back(std::exp(-(u * u + v * v) / (2 * s * s)) + 1e-3);
    }
    return w;
  };
  const auto normalised = [](std::vector<double> w) {
    const double sum = std::accumulate(w.begin(), w.end(), 0.0);
    for (double& one : w) one /= sum;
    return w;
  };
  const auto a = normalised(hill(.3, .3, .12));
  auto b = hill(.65, .6, .08);
  const auto second = hill(.3, .75, .06);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] += 0.5 * second[i];
  b = normalised(b);
  const Problem<double> problem(Lattice<double>{grid, grid}, {a.data(), grid.size()},
                                {b.data(), grid.size()}, Balanced{}, Balanced{});
  for (const double target : {1e-3, 1e-4, 1e-5, 1e-6}) {
    double errors[2];
    for (const bool mixed : {false, true}) {
      SinkhornOptions options;
      options.annealing = Annealing::off;
      options.acceleration = Acceleration::none;
      options.precision = mixed ? Precision::mixed : Precision::double_;
      Exec exec;
      SinkhornResult<double> result;
      for (double eps = 1; eps > target; eps /= 2) {
        options.epsilon = eps;
        options.max_iterations = 20;
        options.tolerance = 1e-300;
        const Start<double> start{result.f.view(), result.g.view()};
        auto next = sinkhorn(problem, options, exec, start);
        result = std::move(next);
      }
      options.epsilon = target;
      options.max_iterations = 100;
      const Start<double> start{result.f.view(), result.g.view()};
      errors[mixed] = sinkhorn(problem, options, exec, start).report.marginal_error;
    }
    EXPECT_NEAR(errors[1], errors[0], 5e-3 * errors[0]) << target;
  }
}
}  // namespace
}  // namespace monge
