// Starts that know one side alone.
#include <gtest/gtest.h>

#include "support/solved.hpp"

namespace monge {
namespace {
// Whichever side follows, and decides: the potential of the other is as good as a half-step.
TEST(Start, OnePotentialIsEnough) {
  for (const auto& mix : testing::mixtures()) {
    SCOPED_TRACE(mix.name);
    const auto clouds = testing::random_clouds<double>(60, 50, 2, 3, mix.mass_a, mix.mass_b);
    const auto problem = clouds.problem(mix.a, mix.b);
    const auto options = testing::tight(0.02, 1e-9);
    Exec exec;
    const auto cold = sinkhorn(problem, options, exec);
    for (const bool source : {true, false}) {
      Start<double> start;
      (source ? start.f : start.g) = (source ? cold.f : cold.g).view();
      const auto warm = sinkhorn(problem, options, exec, start);
      EXPECT_TRUE(warm.report.converged);
      EXPECT_LE(warm.report.iterations, 2);
    }
  }
}
}  // namespace
}  // namespace monge
