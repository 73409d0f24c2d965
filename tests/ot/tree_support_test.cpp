// Support and Newton by name on the pairs that trees keep: they measure what masked passes see, and
// the certificate holds.
#include <gtest/gtest.h>

#include <algorithm>

#include "monge/ot/sinkhorn.hpp"
#include "support/exact_pair.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
class OnTrees : public ::testing::TestWithParam<Acceleration> {};
INSTANTIATE_TEST_SUITE_P(ByName, OnTrees,
                         ::testing::Values(Acceleration::support, Acceleration::newton),
                         [](const auto& by) { return to_string(by.param); });

TEST_P(OnTrees, ByNameOnEveryDevice) {
  constexpr double kEps = 5e-4, kTolerance = 1e-8;
  const auto clouds = testing::random_clouds<double>(700, 900, 3, 3, 1, 1);
  testing::on_every_device([&] {
    testing::PlacedClouds<double> in(clouds, Balanced{}, Balanced{}, SquaredEuclidean{},
                                     {.total_mass = {}, .mass_tolerance = 1e-9});
    SinkhornOptions options;
    options.epsilon = kEps;
    options.tolerance = kTolerance;
    options.geometry = Sweeps::tree;
    options.acceleration = GetParam();
    options.verify = true;
    const auto result = sinkhorn(in.problem, options, in.exec);
    ASSERT_TRUE(result.report.converged);
    EXPECT_EQ(result.report.geometry, Sweeps::tree);
    EXPECT_LT(result.report.kept, 1);
    EXPECT_LE(result.report.verified, result.report.truncation + 1e-14);
    const auto& phases = result.report.phases;
    EXPECT_TRUE(std::any_of(phases.begin(), phases.end(), [](const SinkhornPhase& phase) {
      return phase.name == to_string(GetParam()) && phase.steps > 0;
    }));
    EXPECT_LE(
        testing::marginal_error(clouds, testing::back(result.f), testing::back(result.g), kEps),
        2 * kTolerance);
  });
}
}  // namespace
}  // namespace monge
