// Starts between coarser lattices.
#include "ot/pyramid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "monge/ot/sinkhorn.hpp"
#include "ot/lattice.hpp"
#include "support/grids.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::grid_of;
using testing::Grids;

template <class T>
Grids<T> grids(Grid source, Grid target, std::array<bool, 3> periodic = {},
               Cost cost = SquaredEuclidean{}, double mass_a = 1.5, double mass_b = 1) {
  Grids<T> out({grid_of({1}, {1}, {0}), grid_of({1}, {1}, {0})}, {T(1)}, {T(1)});  // no matrix
  out.lattice = {source, target, cost, periodic};
  out.a = testing::masked_weights<T>(source, mass_a, 1);
  out.b = testing::masked_weights<T>(target, mass_b, 2);
  return out;
}

/// Of every dimension, masked: odd and even lengths, unequal sides, one axis finer than the others.
template <class T>
std::vector<Grids<T>> large_grids(double mass_a = 1.5, double mass_b = 1) {
  const Cost squared = SquaredEuclidean{};
  return {
      grids<T>(grid_of({600}, {1.0 / 600}, {0}), grid_of({517}, {1.0 / 500}, {0.2}), {},
               Euclidean{}, mass_a, mass_b),
      grids<T>(grid_of({36, 31}, {0.03, 0.03}, {0, 0}), grid_of({29, 40}, {0.03, 0.02}, {0, 0.1}),
               {}, squared, mass_a, mass_b),
      grids<T>(grid_of({35, 12}, {0.02, 0.1}, {0, 0}), grid_of({28, 24}, {0.025, 0.05}, {0.1, 0}),
               {true, true}, squared, mass_a, mass_b),
      grids<T>(grid_of({9, 8, 8}, {0.1, 0.1, 0.1}, {0, 0, 0}),
               grid_of({8, 10, 9}, {0.1, 0.1, 0.1}, {0.1, 0, 0}), {false, false, false}, squared,
               mass_a, mass_b)};
}

TEST(Pyramid, CellsCoverWhatThePointsDo) {
  for (const auto& in : large_grids<double>()) {
    const auto problem = in.on_lattice(KL{1}, KL{1});
    ASSERT_TRUE(can_coarsen(problem));
    Exec exec;
    const auto cells = coarsened(problem, exec);
    const auto check = [](const Grid& fine, const Grid& coarse, const std::vector<double>& weights,
                          const std::vector<double>& sums) {
      EXPECT_LT(coarse.size(), fine.size());
      double mean[3] = {}, means[3] = {};
      for (int k = 0; k < fine.dim; ++k) {
        const auto [n, m] = std::pair(fine.shape[k], coarse.shape[k]);
        EXPECT_TRUE(m == n || m == (n + 1) / 2);
        EXPECT_NEAR(static_cast<double>(m) * coarse.spacing[k],
                    static_cast<double>(n) * fine.spacing[k], 1e-14);
        EXPECT_NEAR(coarse.origin[k] - coarse.spacing[k] / 2, fine.origin[k] - fine.spacing[k] / 2,
                    1e-14);
      }
      const auto add = [](const Grid& grid, const std::vector<double>& w, double* to) {
        for (std::int64_t e = 0; e < grid.size(); ++e)
          for (int k = 0; k < grid.dim; ++k) {
            std::int64_t rest = e;
            for (int l = grid.dim - 1; l > k; --l) rest /= grid.shape[l];
            to[k] += w[e] *
                     (grid.origin[k] + static_cast<double>(rest % grid.shape[k]) * grid.spacing[k]);
          }
      };
      add(fine, weights, mean);
      add(coarse, sums, means);
      const double mass = std::accumulate(weights.begin(), weights.end(), 0.0);
      EXPECT_NEAR(std::accumulate(sums.begin(), sums.end(), 0.0), mass, 1e-13);
      // No point is further from the middle of its cell than half of the cell.
      for (int k = 0; k < fine.dim; ++k)
        EXPECT_LE(std::abs(means[k] - mean[k]), mass * coarse.spacing[k] / 2);
    };
    check(in.lattice.source, cells.lattice.source, in.a, cells.a);
    check(in.lattice.target, cells.lattice.target, in.b, cells.b);
    EXPECT_NO_THROW(check_lattice(cells.lattice));
  }
}

TEST(Pyramid, HalvesTheFinestAxesAlone) {
  const auto in =
      grids<double>(grid_of({64, 16}, {0.01, 0.1}, {0, 0}), grid_of({64, 16}, {0.01, 0.1}, {0, 0}));
  Exec exec;
  const auto cells = coarsened(in.on_lattice(KL{1}, KL{1}), exec);
  EXPECT_EQ(cells.lattice.source.shape[0], 32);
  EXPECT_EQ(cells.lattice.source.shape[1], 16);
  EXPECT_NEAR(cells.spacing, 0.02, 1e-15);
}

template <class T>
class Coarsened : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Coarsened, Scalars);

// The same solution in fewer passes, whichever side follows.
TYPED_TEST(Coarsened, StartsGiveTheSameSolution) {
  using T = TypeParam;
  const double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-6;
  double passes = 0, all = 0;
  const auto mixtures = testing::mixtures();
  for (const auto& mix : {mixtures[0], mixtures[3], mixtures[4], mixtures[8]})
    for (const auto& in : large_grids<T>(mix.mass_a, mix.mass_b)) {
      SCOPED_TRACE(mix.name + " d " + std::to_string(in.lattice.source.dim));
      const auto problem = in.on_lattice(mix.a, mix.b);
      SinkhornOptions options;
      options.epsilon = 5e-3;
      options.tolerance = tolerance;
      options.check_every = 1;
      Exec exec;
      const auto coarse = sinkhorn(problem, options, exec);
      options.initializer = Initializer::zero;
      const auto zero = sinkhorn(problem, options, exec);
      ASSERT_TRUE(coarse.report.converged && zero.report.converged);
      ASSERT_EQ(coarse.report.phases[0].name, "coarse");  // the automatic choice
      EXPECT_NEAR(coarse.report.dual_value, zero.report.dual_value,
                  4 * tolerance * (std::abs(zero.report.dual_value) + 1));
      for (const auto& phase : coarse.report.phases) passes += phase.passes;
      all += static_cast<double>(zero.report.passes);
    }
  EXPECT_LT(passes, 0.8 * all);
}

TEST(Pyramid, StartsWithATotalMass) {
  constexpr TV kCapped{std::numeric_limits<double>::infinity()};
  const auto in = large_grids<double>()[1];
  const Problem<double> problem(in.lattice, {in.a.data(), in.lattice.source.size()},
                                {in.b.data(), in.lattice.target.size()}, kCapped, kCapped,
                                {.total_mass = 0.6});
  SinkhornOptions options;
  options.epsilon = 0.01;
  options.initializer = Initializer::coarse;
  Exec exec;
  const auto coarse = sinkhorn(problem, options, exec);
  options.initializer = Initializer::zero;
  const auto zero = sinkhorn(problem, options, exec);
  ASSERT_TRUE(coarse.report.converged);
  EXPECT_NEAR(coarse.report.transported_mass, 0.6, 1e-12);
  EXPECT_NEAR(coarse.report.dual_value, zero.report.dual_value, 1e-5);
  EXPECT_LT(coarse.report.passes, zero.report.passes);
}

TEST(Pyramid, IsRefusedWhereThereIsNoLattice) {
  const auto clouds = testing::random_clouds<double>(300, 300, 2, 1);
  const auto in =
      grids<double>(grid_of({300}, {0.01}, {0}), grid_of({300}, {0.01}, {1}), {}, Dot{});
  const auto few =
      grids<double>(grid_of({15, 15}, {1, 1}, {0, 0}), grid_of({20, 20}, {1, 1}, {0, 0}));
  SinkhornOptions options;
  options.epsilon = 1;
  options.initializer = Initializer::coarse;
  Exec exec;
  for (const auto& problem : {clouds.problem(KL{1}, KL{1}), in.problem(in.lattice, KL{1}, KL{1}),
                              few.problem(few.lattice, KL{1}, KL{1})})
    EXPECT_THROW(sinkhorn(problem, options, exec), NotAvailable);
}
}  // namespace
}  // namespace monge
