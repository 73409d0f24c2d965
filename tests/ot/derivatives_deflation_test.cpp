// Two-level conjugate gradients: the same products as by the diagonal alone, in fewer iterations.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {

struct Products {
  HvpResult<double> exact, diagonal, two_level, automatic;
};

Products products_of(const testing::Solved<double>& solved, double tolerance) {
  Exec exec;
  const std::int64_t n = solved.clouds.n, d = solved.clouds.d;
  const auto dx = testing::random_vector<double>(n * d, 5, 0, -1);
  Tangent<double> along;
  along.dx = {dx.data(), n, d};
  const auto run = [&](double to, Preconditioner by) {
    return hvp(linearize(*solved.plan, exec), along, Wrt::source,
               {.tolerance = to, .preconditioner = by}, exec);
  };
  return {run(1e-14, Preconditioner::diagonal), run(tolerance, Preconditioner::diagonal),
          run(tolerance, Preconditioner::two_level), run(tolerance, Preconditioner::automatic)};
}

testing::Solved<double> solved(std::int64_t n, std::int64_t m, std::int64_t d, const Marginal& a,
                               const Marginal& b, double epsilon) {
  return {testing::random_clouds<double>(n, m, d, 3, 1, 1), a, b, testing::tight(epsilon, 1e-10)};
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
      const auto [exact, diagonal, two, automatic] =
          products_of(solved(300, 350, d, a, b, d == 2 ? 0.003 : 0.01), 1e-10);
      for (const auto* got : {&diagonal, &two, &automatic}) {
        EXPECT_TRUE(got->report.converged);
        EXPECT_LE(got->report.residual, 1e-10);
        EXPECT_LE(distance(got->dx, exact.dx), 1.2e-10);  // as error_estimate promises
      }
      EXPECT_EQ(diagonal.report.deflated, 0);
      EXPECT_GT(two.report.deflated, 16);
      EXPECT_GT(automatic.report.deflated, 16);
      EXPECT_LT(2 * two.report.iterations, diagonal.report.iterations);
      EXPECT_LT(automatic.report.passes, diagonal.report.passes);
    }
}

// What converges at once is not helped, and what has no cells is refused.
TEST(Deflation, OnlyWhereItHelps) {
  const auto [exact, diagonal, two, automatic] =
      products_of(solved(300, 300, 2, Balanced{}, Balanced{}, 0.5), 1e-10);
  EXPECT_EQ(automatic.report.deflated, 0);
  EXPECT_EQ(automatic.report.iterations, diagonal.report.iterations);
  EXPECT_EQ(distance(automatic.dx, diagonal.dx), 0);
  EXPECT_THROW(products_of(solved(300, 300, 5, Balanced{}, Balanced{}, 0.5), 1e-10), NotAvailable);
  EXPECT_THROW(products_of(solved(30, 30, 2, Balanced{}, Balanced{}, 0.5), 1e-10), NotAvailable);
}

// Of one linearization the functions are made once, and change nothing but passes.
TEST(Deflation, IsMadeOnce) {
  Exec exec;
  const auto problem = solved(300, 350, 2, Balanced{}, Balanced{}, 0.005);
  const auto dx = testing::random_vector<double>(600, 5, 0, -1);
  const auto at = linearize(*problem.plan, exec);
  const auto run = [&] { return hvp(at, {.dx = {dx.data(), 300, 2}}, Wrt::source, {}, exec); };
  const auto first = run(), second = run();
  EXPECT_GT(first.report.deflated, 0);
  EXPECT_LT(second.report.passes, first.report.passes);
  EXPECT_EQ(second.report.iterations, first.report.iterations);
  EXPECT_EQ(distance(second.dx, first.dx), 0);
}
}  // namespace
}  // namespace monge
