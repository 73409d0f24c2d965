// Solves that keep their kernel: the same plan as streamed ones, within the budget, by counts of
// passes. The kernels themselves have tests of their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "monge/ot/divergence.hpp"
#include "support/devices.hpp"
#include "support/exact_pair.hpp"
#include "support/problems.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::random_clouds;
using testing::tight;

constexpr std::int64_t kPlenty = std::int64_t{1} << 30;

template <class T>
SinkhornResult<T> solve(const Problem<T>& problem, SinkhornOptions options, std::int64_t cache,
                        int threads = 0) {
  options.kernel_cache = cache;
  Exec exec;
  exec.threads = threads;
  return sinkhorn(problem, options, exec);
}

// Both meet 1e-12 in double: what is left between their potentials is the residual over the gap of
// the iteration, which no problem here has below 1e-3.
void expect_same(const Problem<double>& problem, const SinkhornOptions& options) {
  const auto streamed = solve(problem, options, 0), absorbed = solve(problem, options, kPlenty);
  ASSERT_EQ(streamed.report.absorbed, 0);
  ASSERT_GT(absorbed.report.absorbed, 0);
  ASSERT_TRUE(streamed.report.converged && absorbed.report.converged);
  EXPECT_NEAR(absorbed.report.dual_value, streamed.report.dual_value, 1e-10);
  const auto expect_near = [](const Buffer<double>& got, const Buffer<double>& want) {
    for (std::int64_t i = 0; i < want.size(); ++i) {
      if (std::isfinite(want[i])) {
        ASSERT_NEAR(got[i], want[i], 1e-9) << i;
      } else {
        ASSERT_EQ(got[i], want[i]) << i;
      }
    }
  };
  expect_near(absorbed.f, streamed.f);
  expect_near(absorbed.g, streamed.g);
}

// A7
TEST(AbsorbedSolve, FindsTheStreamedPlan) {
  for (const auto& mix : testing::mixtures())
    for (const int dim : {2, 20}) {
      // Nothing pays for such a way: over in a few iterations.
      if (dim == 20 && mix.name.find("tv") != std::string::npos) continue;
      SCOPED_TRACE(mix.name + ", d " + std::to_string(dim));
      auto clouds = random_clouds<double>(90, 71, dim, 5, mix.mass_a, mix.mass_b);
      expect_same(clouds.problem(mix.a, mix.b), tight(0.004 * dim, 1e-12));
      clouds.a[4] = clouds.a[5] = clouds.b[60] = 0;
      if (mix.name == "kl kl") expect_same(clouds.problem(mix.a, mix.b), tight(0.004 * dim, 1e-12));
    }
}

TEST(AbsorbedSolve, WithForbiddenPairsOfAMatrix) {
  auto costs = random_clouds<double>(90, 71, 3, 5).costs();
  for (std::int64_t i = 0; i < 90; ++i)
    for (std::int64_t j = 0; j < 71; ++j)
      if (i == 7 || (i * 31 + j * 17) % 5 == 0)
        costs[i * 71 + j] = std::numeric_limits<double>::infinity();
  const auto solved = [&](std::int64_t row, std::int64_t col) {
    const Problem<double> problem(CostMatrix<double>{{costs.data(), 90, 71, row, col}}, {}, {},
                                  KL{1}, KL{0.5});
    expect_same(problem, tight(0.02, 1e-12));
  };
  solved(71, 1);
  std::vector<double> columns(costs.size());
  for (std::int64_t i = 0; i < 90; ++i)
    for (std::int64_t j = 0; j < 71; ++j) columns[i + j * 90] = costs[i * 71 + j];
  costs = columns;
  solved(1, 90);
}

// Streamed scores lose u |x|^2 / epsilon, which no measured error shows; those of a kernel are of
// double, from points centred in double.
TEST(AbsorbedSolve, FloatLosesLessAtSmallEpsilon) {
  const auto clouds = random_clouds<float>(600, 500, 64, 5, 1, 1);
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  const SinkhornOptions options = tight(0.064, 1e-12);
  const auto streamed = solve(problem, options, 0), absorbed = solve(problem, options, kPlenty);
  ASSERT_GT(absorbed.report.absorbed, 0);
  const auto error = [&](const SinkhornResult<float>& pair) {
    return testing::marginal_error(testing::in_double(clouds), pair, options.epsilon);
  };
  EXPECT_LT(error(absorbed), error(streamed) / 20);
}

TEST(AbsorbedSolve, TheBudgetDecides) {
  const auto clouds = random_clouds<float>(300, 273, 20, 5, 1, 1);
  const auto problem = clouds.problem(KL{1}, KL{1});
  SinkhornOptions options = tight(0.1, 1e-6);
  options.acceleration = Acceleration::none;  // a support would be within the smaller budget
  const std::int64_t bytes = 300 * 288 * 4;   // rows are padded to 16
  const auto streamed = solve(problem, options, 0), below = solve(problem, options, bytes - 1),
             above = solve(problem, options, bytes), automatic = solve(problem, options, -1);
  EXPECT_EQ(streamed.report.absorbed, 0);
  EXPECT_EQ(below.report.absorbed, 0);
  EXPECT_TRUE(std::equal(below.f.begin(), below.f.end(), streamed.f.begin()));
  EXPECT_GT(above.report.absorbed, above.report.passes / 2);
  EXPECT_EQ(above.report.absorbed, automatic.report.absorbed);
  EXPECT_TRUE(std::equal(above.f.begin(), above.f.end(), automatic.f.begin()));
}

// A solve of one iteration would not repay it.
TEST(AbsorbedSolve, AShortSolveStreams) {
  const auto clouds = random_clouds<float>(300, 273, 20, 5, 1, 1);
  SinkhornOptions options = tight(0.1, 1e-6);
  options.annealing = Annealing::off;
  options.max_iterations = 1;
  EXPECT_EQ(solve(clouds.problem(KL{1}, KL{1}), options, kPlenty).report.absorbed, 0);
}

// Every epsilon on the way begins with its own kernel, of the last pair, or of none.
TEST(AbsorbedSolve, SmallProblemsReadTheirKernelFromTheFirstPassOn) {
  const auto clouds = random_clouds<double>(90, 71, 16, 5, 1, 1);
  for (const Marginal side : {Marginal(Balanced{}), Marginal(KL{1})}) {
    const auto problem = clouds.problem(side, side);
    const auto small = solve(problem, tight(0.1, 1e-9), kPlenty);
    ASSERT_TRUE(small.report.converged);
    EXPECT_EQ(small.report.absorbed, small.report.passes);
    ASSERT_GT(small.report.trace.front().epsilon, 0.11);  // there were levels
    const auto streamed = solve(problem, tight(0.1, 1e-9), 0);
    EXPECT_EQ(small.report.passes, streamed.report.passes);
    for (std::int64_t i = 0; i < 90; ++i) EXPECT_NEAR(small.f[i], streamed.f[i], 1e-10);
  }
}

// The self terms of a divergence keep theirs as well, of any cost.
TEST(AbsorbedSolve, SelfTermsReadTheirKernel) {
  const auto clouds = random_clouds<double>(90, 71, 16, 5, 1, 1);
  for (const Cost cost : {Cost(SquaredEuclidean{}), Cost(Dot{})}) {
    DivergenceOptions options;
    static_cast<SinkhornOptions&>(options) = tight(0.2, 1e-12);
    options.cost = cost;
    options.gradients = true;
    const auto solved = [&](std::int64_t cache) {
      options.kernel_cache = cache;
      Exec exec;
      return divergence<double>({clouds.source(), clouds.source_weights()},
                                {clouds.target(), clouds.target_weights()}, options, exec);
    };
    const auto kept = solved(kPlenty), streamed = solved(0);
    EXPECT_EQ(streamed.aa.report.absorbed, 0);
    EXPECT_GE(kept.aa.report.absorbed, kept.aa.report.passes - 1);
    EXPECT_GE(kept.bb.report.absorbed, kept.bb.report.passes - 1);
    EXPECT_EQ(kept.aa.report.passes, streamed.aa.report.passes);
    EXPECT_NEAR(kept.value, streamed.value, 1e-11);
    for (std::int64_t i = 0; i < kept.dx.size(); ++i) EXPECT_NEAR(kept.dx[i], streamed.dx[i], 1e-9);
  }
}

// Far from the origin of f = g = 0: the first kernel is that of the least cost, not of 0.
TEST(AbsorbedSolve, ACloudFarAwayReadsItsKernelToo) {
  auto clouds = random_clouds<double>(90, 71, 16, 5, 1, 1);
  for (double& y : clouds.y) y += 100;
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  SinkhornOptions options = tight(500, 1e-8);
  options.annealing = Annealing::off;
  const auto r = solve(problem, options, kPlenty);
  ASSERT_TRUE(r.report.converged);
  EXPECT_EQ(r.report.absorbed, r.report.passes);
}

// A kernel that fits as float alone begins a solve in double, and exact passes end it.
TEST(AbsorbedSolve, BeginsInFloatWhereDoubleDoesNotFit) {
  const auto clouds = random_clouds<double>(150, 130, 40, 5, 1, 1);
  const std::int64_t values = 150 * 144;
  for (const double tolerance : {1e-4, 1e-6, 1e-11}) {
    for (const auto& [a, b] :
         {std::pair<Marginal, Marginal>{Balanced{}, Balanced{}}, {KL{1}, TV{2}}}) {
      const auto problem = clouds.problem(a, b);
      SinkhornOptions options = tight(0.1, tolerance);
      options.check_every = 10;
      const auto streamed = solve(problem, options, 0), rough = solve(problem, options, 4 * values);
      ASSERT_TRUE(streamed.report.converged && rough.report.converged);
      EXPECT_GT(rough.report.absorbed, 0);
      EXPECT_LT(rough.report.absorbed, rough.report.passes - 1);
      EXPECT_LE(rough.report.passes, 1.2 * static_cast<double>(streamed.report.passes) + 8);
      // The pair that is returned was measured without the kernel: its error is its own.
      const Plan<double> plan(problem, rough);
      Exec exec;
      const auto q = plan.marginal(Side::target, exec);
      double error = 0;
      if (std::holds_alternative<Balanced>(b))
        for (std::int64_t j = 0; j < 130; ++j) error += std::abs(q[j] - clouds.b[j]);
      EXPECT_LE(error, tolerance * (1 + 1e-3) + 1e-12);
      EXPECT_EQ(solve(problem, options, 4 * values - 1).report.absorbed, 0);
    }
  }
  // Neither is it the judge of the last pair of a budget.
  SinkhornOptions short_one = tight(0.02, 1e-11);
  short_one.max_iterations = 60;
  short_one.annealing = Annealing::off;
  short_one.acceleration = Acceleration::anderson;
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  const auto rough = solve(problem, short_one, 4 * values);
  EXPECT_EQ(rough.report.status, Status::max_iterations);
  EXPECT_GT(rough.report.absorbed, 0);
  EXPECT_EQ(rough.report.iterations, 60);
}

// Without annealing potentials travel hundreds of epsilon from where the kernel was formed first.
TEST(AbsorbedSolve, AbsorbsAgainWherePotentialsHaveMoved) {
  const auto clouds = random_clouds<double>(60, 50, 2, 5, 1, 1);
  SinkhornOptions options = tight(2e-3, 1e-9);
  options.annealing = Annealing::off;
  options.acceleration = Acceleration::none;
  options.check_every = 10;
  std::vector<double> far(50, 0.0);
  far[3] = 1;  // 500 epsilon away
  far[9] = -1;
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  SinkhornOptions kept = options;
  kept.kernel_cache = kPlenty;
  Exec exec;
  const auto absorbed =
      sinkhorn(problem, kept, exec, Start<double>{{}, {far.data(), std::ssize(far)}});
  const auto streamed = solve(problem, options, 0);
  ASSERT_TRUE(absorbed.report.converged && streamed.report.converged);
  EXPECT_NEAR(absorbed.report.dual_value, streamed.report.dual_value, 1e-9);
  EXPECT_GT(absorbed.report.absorbed, absorbed.report.passes / 2);
}

TEST(AbsorbedSolve, SameBitsWhateverTheThreads) {
  const auto clouds = random_clouds<float>(1100, 1500, 20, 9, 1, 1);
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  SinkhornOptions options;
  options.epsilon = 0.1;
  options.acceleration = Acceleration::none;  // enough passes to repay a kernel
  std::vector<std::vector<float>> seen;
  for (const int threads : {1, 1, 2, 8}) {
    const auto r = solve(problem, options, kPlenty, threads);
    ASSERT_GT(r.report.absorbed, 0);
    seen.emplace_back(r.f.begin(), r.f.end());
  }
  for (const auto& f : seen) EXPECT_EQ(f, seen[0]);
}

TEST(AbsorbedSolve, RefusesWhatIsNoBudget) {
  const auto clouds = random_clouds<float>(3, 4, 2, 5);
  const auto problem = clouds.problem(KL{1}, KL{1});
  SinkhornOptions options;
  options.epsilon = 0.1;
  try {
    solve(problem, options, -2);
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.argument(), "kernel_cache");
  }
}
}  // namespace
}  // namespace monge
