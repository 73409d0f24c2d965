// Derivatives on lattices, whose points stand still: against differences of solves, and against the
// matrix of their costs and the cloud of their points.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/grids.hpp"
#include "support/moves.hpp"

namespace monge {
namespace {
using testing::Direction;
using testing::grid_of;
using testing::Grids;
using testing::kExact;
using testing::Moving;
using testing::random_vector;

struct Posed {
  std::unique_ptr<Grids<double>> grids;
  std::unique_ptr<Problem<double>> problem;
  SinkhornResult<double> result;
  std::unique_ptr<Plan<double>> plan;
};

/// A lattice that moves in all but its points.
struct MovingGrids {
  Grids<double> grids;
  Marginal a, b;
  double epsilon = 0.1;

  std::int64_t n() const { return grids.n(); }
  std::int64_t m() const { return grids.m(); }
  std::int64_t dim() const { return 0; }
  std::int64_t images() const { return grids.lattice.source.dim; }

  Posed at(double t = 0, const Direction& along = {}) const {
    Posed out;
    out.grids = std::make_unique<Grids<double>>(grids);
    for (std::size_t i = 0; i < along.da.size(); ++i) out.grids->a[i] += t * along.da[i];
    for (std::size_t j = 0; j < along.db.size(); ++j) out.grids->b[j] += t * along.db[j];
    out.problem = std::make_unique<Problem<double>>(out.grids->on_lattice(
        Moving::stronger(a, t * along.drho_a), Moving::stronger(b, t * along.drho_b)));
    Exec exec;
    out.result = sinkhorn(*out.problem, testing::tight(epsilon + t * along.depsilon, 1e-15), exec);
    out.plan = std::make_unique<Plan<double>>(*out.problem, out.result);
    return out;
  }
  /// Weights move by shares of themselves, those of 0 not at all.
  Direction direction(std::uint64_t seed) const {
    Direction out;
    out.da = random_vector<double>(n(), seed, 2, -0.5, 0.5);
    out.db = random_vector<double>(m(), seed, 3, -0.5, 0.5);
    double off = 0, mass = 0;
    for (std::int64_t i = 0; i < n(); ++i) off += out.da[i] *= grids.a[i];
    for (std::int64_t j = 0; j < m(); ++j) off -= out.db[j] *= grids.b[j], mass += grids.b[j];
    const bool soft_a = Moving::is_soft(a), soft_b = Moving::is_soft(b);
    if (!soft_a && !soft_b)
      for (std::int64_t j = 0; j < m(); ++j) out.db[j] += off * grids.b[j] / mass;
    out.depsilon = 0.05;
    if (soft_a) out.drho_a = 0.2;
    if (soft_b) out.drho_b = -0.1;
    return out;
  }
};

/// Of the first weights that leave potentials of a TV side room for differences.
MovingGrids small(const testing::Mixture& mix) {
  const Grid source = grid_of({3, 4}, {0.3, 0.25}, {0, 0.1}),
             target = grid_of({4, 3}, {0.27, 0.3}, {0.2, 0.15});
  for (std::uint64_t seed = 5;; ++seed) {
    MovingGrids out{
        {Lattice<double>{source, target}, testing::random_weights<double>(12, mix.mass_a, seed, 0),
         testing::random_weights<double>(12, mix.mass_b, seed, 1)},
        mix.a,
        mix.b};
    Exec exec;
    if (linearize(*out.at().plan, exec).tv_margin() > 4e-3) return out;
  }
}

/// The same round both axes, with more points in the target: no two are half way round apart.
MovingGrids around(const testing::Mixture& mix) {
  MovingGrids out = small(mix);
  const Grid source = grid_of({3, 4}, {0.4, 0.3}, {0, 0.1}),
             target = grid_of({6, 4}, {0.2, 0.3}, {0.13, 0.15});
  for (std::uint64_t seed = 5;; ++seed) {
    out.grids = {Lattice<double>{source, target, SquaredEuclidean{}, {true, true}},
                 testing::random_weights<double>(12, mix.mass_a, seed, 0),
                 testing::random_weights<double>(24, mix.mass_b, seed, 1)};
    Exec exec;
    if (linearize(*out.at().plan, exec).tv_margin() > 4e-3) return out;
  }
}

TEST(LatticeDerivatives, ProductsMatchDifferences) {
  for (const auto& mix : testing::mixtures()) {
    const auto problem = small(mix);
    testing::check_products(problem, problem.direction(1), mix.name);
  }
}
TEST(LatticeDerivatives, MovesMatchDifferences) {
  for (const auto& mix : testing::mixtures()) {
    testing::check_moves(small(mix), mix.name);
    testing::check_moves(around(mix), mix.name + " around");
  }
}
TEST(LatticeDerivatives, TheAdjointIsTheTranspose) {
  for (const auto& mix : testing::mixtures()) {
    testing::check_adjoint(small(mix), mix.name);
    testing::check_adjoint(around(mix), mix.name + " around");
  }
  const auto mix = testing::mixtures()[4];
  for (auto& grids : testing::all_grids<double>())
    testing::check_adjoint(MovingGrids{std::move(grids), mix.a, mix.b}, "grids");
}

/// How the images x_i + sum_j P_ij u_ij / r_i move by all pairs, u_ij the displacement from x_i to
/// y_j: sum_j (P_ij / r_i) (u_ij - mean) (dg_j / eps + db_j / b_j - (g_j - c_ij) deps / eps^2).
std::vector<double> image_moves(const MovingGrids& problem, const std::vector<double>& g,
                                const std::vector<double>& dg, const Direction& along) {
  const Grids<double>& grids = problem.grids;
  const std::int64_t n = grids.n(), m = grids.m();
  const int d = grids.lattice.source.dim;
  const double eps = problem.epsilon;
  std::vector<double> out;
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0, moved = 0;
    std::vector<double> mean(d, 0.0), product(d, 0.0);
    for (std::int64_t j = 0; j < m; ++j) {
      if (grids.b[j] == 0) continue;
      const double score = (g[j] - grids.C[i * m + j]) / eps, w = grids.b[j] * std::exp(score),
                   t = dg[j] / eps + along.db[j] / grids.b[j] - score * along.depsilon / eps;
      sum += w;
      moved += w * t;
      for (int k = 0; k < d; ++k) {
        const double way =
            static_cast<double>(grids.lattice.target.shape[k]) * grids.lattice.target.spacing[k];
        double u = grids.y[j * d + k] - grids.x[i * d + k];
        if (grids.lattice.periodic[k]) u = std::remainder(u, way);
        mean[k] += w * u;
        product[k] += w * t * u;
      }
    }
    for (int k = 0; k < d; ++k) out.push_back((product[k] - mean[k] / sum * moved) / sum);
  }
  return out;
}

// Of every lattice, periodic or not, with masked points: as of the matrix of its costs, and its
// images as of the cloud of its points, and by all pairs.
TEST(LatticeDerivatives, AreThoseOfTheCosts) {
  Exec exec;
  for (const int mixture : {0, 4, 8}) {
    auto mix = testing::mixtures()[mixture];
    for (const auto& grids : testing::all_grids<double>(mix.mass_a, mix.mass_b)) {
      const MovingGrids problem{testing::untied(grids), mix.a, mix.b};
      const auto posed = problem.at();
      const auto along = problem.direction(2);
      const auto check = [&](const Problem<double>& other, bool images) {
        const Plan<double> plan(other, problem.epsilon, posed.result.f.view(),
                                posed.result.g.view());
        const auto at = linearize(*posed.plan, exec), same = linearize(plan, exec);
        const auto got = jvp(at, along.tangent(0), kExact, exec),
                   want = jvp(same, along.tangent(0), kExact, exec);
        const auto near = [&](const auto& one, const auto& two, const char* what) {
          testing::expect_relative(one, {two.begin(), two.end()}, 1e-10, mix.name + what);
        };
        near(got.df, want.df, " f");
        near(got.dg, want.dg, " g");
        near(got.source, want.source, " source");
        near(got.target, want.target, " target");
        near(got.transport_cost, want.transport_cost, " cost");
        near(got.map,
             image_moves(problem, testing::to_double(posed.result.g), testing::to_double(got.dg),
                         along),
             " images");
        if (images) near(got.map, want.map, " map");
        constexpr Wrt kScalars = Wrt::epsilon | Wrt::penalty;
        const auto product = hvp(at, along.tangent(0), kScalars, kExact, exec),
                   known = hvp(same, along.tangent(0), kScalars, kExact, exec);
        near(product.depsilon, known.depsilon, " epsilon");
        near(product.drho_a, known.drho_a, " rho");
      };
      check(problem.grids.on_matrix(mix.a, mix.b), false);
      if (problem.grids.lattice.periodic == std::array<bool, 3>{})
        check(problem.grids.on_points(mix.a, mix.b), true);
    }
  }
}

TEST(LatticeDerivatives, PointsStandStill) {
  Exec exec;
  const auto mix = testing::mixtures()[4];
  const auto problem = small(mix);
  const auto posed = problem.at();
  const auto at = linearize(*posed.plan, exec);
  EXPECT_EQ(at.dim(), 2);
  const auto v = random_vector<double>(24, 1, 0);
  EXPECT_THROW(hvp(at, {.dx = {v.data(), 12, 2}}, Wrt::source_weights, {}, exec), NotAvailable);
  EXPECT_THROW(hvp(at, {.da = {v.data(), 1, 12}}, Wrt::source, {}, exec), NotAvailable);
  EXPECT_THROW(vjp(at, {.f = {v.data(), 1, 12}}, Wrt::target, {}, exec), NotAvailable);
  EXPECT_THROW(hessian(at, Side::source, {}, exec), NotAvailable);
}
}  // namespace
}  // namespace monge
