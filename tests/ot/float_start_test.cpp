#include "ot/float_start.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
SinkhornOptions to(double tolerance, double eps = 5e-3) {
  SinkhornOptions options;
  options.epsilon = eps;
  options.tolerance = tolerance;
  return options;
}

// The float copy of points far from the origin is that of the points about their centre.
TEST(FloatStart, GoesAsFarAsFloatCan) {
  testing::on_every_device([] {
    for (const double offset : {0.0, 1e6}) {
      auto clouds = testing::random_clouds<double>(150, 130, 3, 4, 1, 1);
      for (auto* points : {&clouds.x, &clouds.y})
        for (double& v : *points) v += offset;
      testing::PlacedClouds<double> in(clouds, KL{0.5}, Balanced{});
      const Operator<double> op(in.problem);
      const auto options = to(1e-12);
      const auto got = solve_in_float(in.problem, op, options, in.exec);
      const reference::DensePair dense{clouds.costs(),
                                       clouds.a,
                                       clouds.b,
                                       testing::to_double(got.f.to(Device{})),
                                       testing::to_double(got.g.to(Device{})),
                                       options.epsilon,
                                       KL{0.5},
                                       Balanced{}};
      // Potentials up to 2, rounded to 2^-24 of that, move an entry by up to 2^-24 2 / eps.
      EXPECT_LE(dense.marginal_error(), 2 * 2 * 6e-8 / options.epsilon);
      EXPECT_GT(got.report.passes, 0);
    }
  });
}

// Where a caller has no say in it, and where it pays: on the CPU where passes are all that a solve
// takes.
TEST(FloatStart, IsForManyPointsAndWhoLeavesItToUs) {
  testing::on_every_device([] {
    const bool gpu = testing::current_device().is_cuda();
    testing::PlacedClouds<double> many(testing::random_clouds<double>(1100, 1000, 2, 4, 1, 1),
                                       Balanced{}, Balanced{}),
        few(testing::random_clouds<double>(100, 100, 2, 4, 1, 1), Balanced{}, Balanced{});
    const auto begins = [](const testing::PlacedClouds<double>& in, const SinkhornOptions& how) {
      return begins_in_float(in.problem, Operator<double>(in.problem), how);
    };
    EXPECT_EQ(begins(many, to(1e-8)), gpu);
    EXPECT_FALSE(begins(few, to(1e-8)));
    testing::PlacedClouds<double> most(testing::random_clouds<double>(4200, 4100, 2, 4, 1, 1),
                                       Balanced{}, Balanced{});
    EXPECT_TRUE(begins(most, to(1e-8, 0.1)));
    EXPECT_EQ(begins(most, to(1e-8)), gpu);
    EXPECT_FALSE(begins(many, to(1e-8, 1e-6)));  // float would see nothing
    auto how = to(1e-8);
    how.precision = Precision::double_;
    EXPECT_FALSE(begins(many, how));
    how = to(1e-8);
    how.acceleration = Acceleration::none;
    EXPECT_FALSE(begins(many, how));
  });
}

// The answer is that of double, and a callback that says stop ends both.
TEST(FloatStart, EndsInDouble) {
  testing::on_every_device([] {
    const bool gpu = testing::current_device().is_cuda();
    testing::PlacedClouds<double> in(
        testing::random_clouds<double>(gpu ? 1100 : 4200, gpu ? 1000 : 4100, gpu ? 2 : 20, 4, 1, 1),
        Balanced{}, KL{0.5});
    const double eps = gpu ? 5e-3 : 1;
    auto how = to(1e-10, eps);
    const auto got = sinkhorn(in.problem, how, in.exec);
    EXPECT_TRUE(got.report.converged);
    EXPECT_NE(got.report.phases.front().why.find("float32"), std::string::npos);
    how.precision = Precision::double_;
    const auto want = sinkhorn(in.problem, how, in.exec);
    EXPECT_EQ(want.report.phases.front().why.find("float32"), std::string::npos);
    const auto f = got.f.to(Device{}), f_want = want.f.to(Device{});
    for (std::int64_t i = 0; i < f.size(); ++i) ASSERT_NEAR(f[i], f_want[i], 1e-8) << i;
    how = to(1e-10, eps);
    int asked = 0;
    how.on_check = [&](const SinkhornReport&) { return ++asked < 3; };
    EXPECT_EQ(sinkhorn(in.problem, how, in.exec).report.status, Status::stopped);
    EXPECT_EQ(asked, 3);
  });
}
}  // namespace
}  // namespace monge
