// Two-level conjugate gradients: the same products as by the diagonal alone, in fewer iterations.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/tangents.hpp"

namespace monge {
namespace {
using testing::Moving;
using testing::random_clouds;

struct Products {
  HvpResult<double> diagonal, two_level, automatic;
};

Products products_of(const Moving& problem, double tolerance) {
  Exec exec;
  const auto solved = problem.at();
  const auto along = problem.direction(5, /*weights=*/false, /*strengths=*/false);
  const auto run = [&](Preconditioner by) {
    return hvp(linearize(*solved.plan, exec), along.tangent(problem.clouds.d), Wrt::source,
               {.tolerance = tolerance, .preconditioner = by}, exec);
  };
  return {run(Preconditioner::diagonal), run(Preconditioner::two_level),
          run(Preconditioner::automatic)};
}

double distance(const Buffer<double>& got, const Buffer<double>& want) {
  double off = 0, size = 0;
  for (std::int64_t e = 0; e < want.size(); ++e) {
    off += std::pow(got[e] - want[e], 2);
    size += want[e] * want[e];
  }
  return std::sqrt(off / size);
}

// A spread-out plan: slow modes are smooth, so that a few functions carry them, whether constants
// are among the modes that are not seen (balanced) or not.
TEST(Deflation, SpreadOutPlansTakeFewerIterations) {
  for (const auto& [a, b] : std::vector<std::pair<Marginal, Marginal>>{
           {Balanced{}, Balanced{}}, {KL{1}, Balanced{}}, {KL{5}, TV{2}}})
    for (const int d : {2, 3}) {
      const Moving problem{random_clouds<double>(500, 600, d, 3), a, b, SquaredEuclidean{},
                           d == 2 ? 0.003 : 0.01};
      const auto [diagonal, two, automatic] = products_of(problem, 1e-10);
      for (const auto* got : {&diagonal, &two, &automatic}) {
        EXPECT_TRUE(got->report.converged);
        EXPECT_LE(got->report.residual, 1e-10);
      }
      // Errors are up to 1.2 times residuals (error_estimate), on either side.
      EXPECT_LT(distance(two.dx, diagonal.dx), 3e-10);
      EXPECT_LT(distance(automatic.dx, diagonal.dx), 3e-10);
      EXPECT_EQ(diagonal.report.deflated, 0);
      EXPECT_GT(two.report.deflated, 16);
      if (a.index() == 0) {
        EXPECT_GT(automatic.report.deflated, 16);
        EXPECT_LT(2 * two.report.iterations, diagonal.report.iterations);
        EXPECT_LT(automatic.report.passes, diagonal.report.passes);
      }
      std::printf("d %d: %d, %d, %d iterations, %d %d %d passes, gap %.3g %.3g %.3g\n", d,
                  diagonal.report.iterations, two.report.iterations, automatic.report.iterations,
                  diagonal.report.passes, two.report.passes, automatic.report.passes,
                  diagonal.report.gap, two.report.gap, automatic.report.gap);
    }
}

// What converges at once is not helped, and what has no cells is refused.
TEST(Deflation, OnlyWhereItHelps) {
  Exec exec;
  const Moving easy{random_clouds<double>(400, 400, 2, 3), Balanced{}, Balanced{},
                    SquaredEuclidean{}, 0.5};
  const auto [diagonal, two, automatic] = products_of(easy, 1e-10);
  EXPECT_EQ(automatic.report.deflated, 0);
  EXPECT_EQ(automatic.report.iterations, diagonal.report.iterations);
  EXPECT_EQ(distance(automatic.dx, diagonal.dx), 0);

  const Moving wide{random_clouds<double>(300, 300, 5, 3), Balanced{}, Balanced{},
                    SquaredEuclidean{}, 0.5};
  const auto solved = wide.at();
  const auto along = wide.direction(5, false, false);
  const auto at = linearize(*solved.plan, exec);
  EXPECT_THROW(
      hvp(at, along.tangent(5), Wrt::source, {.preconditioner = Preconditioner::two_level}, exec),
      NotAvailable);
}

// Of one linearization the functions are made once, and change nothing but passes.
TEST(Deflation, IsMadeOnce) {
  Exec exec;
  const Moving problem{random_clouds<double>(400, 500, 2, 3), Balanced{}, Balanced{},
                       SquaredEuclidean{}, 0.005};
  const auto solved = problem.at();
  const auto along = problem.direction(5, false, false);
  const auto at = linearize(*solved.plan, exec);
  const auto run = [&] { return hvp(at, along.tangent(2), Wrt::source, {}, exec); };
  const auto first = run(), second = run();
  EXPECT_GT(first.report.deflated, 0);
  EXPECT_LT(second.report.passes, first.report.passes);
  EXPECT_EQ(second.report.iterations, first.report.iterations);
  EXPECT_EQ(distance(second.dx, first.dx), 0);
}
}  // namespace
}  // namespace monge
