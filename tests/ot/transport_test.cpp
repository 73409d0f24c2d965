// A solve and its derivatives in one call: the bits of both calls apart.
#include "monge/ot/transport.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "support/devices.hpp"
#include "support/exact_pair.hpp"
#include "support/placed_clouds.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using testing::back;
using testing::PlacedClouds;
using testing::random_clouds;

template <class T>
void expect_same(const Gradient<T>& got, const Gradient<T>& want) {
  EXPECT_EQ(back(got.dx), back(want.dx));
  EXPECT_EQ(back(got.dy), back(want.dy));
  EXPECT_EQ(back(got.da), back(want.da));
  EXPECT_EQ(back(got.db), back(want.db));
  EXPECT_EQ(got.depsilon, want.depsilon);
}

SinkhornOptions loose() {
  SinkhornOptions options;
  options.epsilon = 0.05;
  options.tolerance = 1e-3;
  return options;
}

template <class T>
class TransportOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TransportOf, Scalars);

TYPED_TEST(TransportOf, IsASolveAndItsGradient) {
  using T = TypeParam;
  testing::on_every_device([] {
    constexpr Wrt kSome = Wrt::source | Wrt::target_weights;
    for (const std::int64_t d : {3, 16}) {
      const Marginal side = d == 3 ? Marginal{Balanced{}} : Marginal{KL{1}};
      PlacedClouds<T> in(random_clouds<T>(70, 50, d, 1, 1, 1), side, side);
      const auto got = transport(in.problem, loose(), kSome, in.exec);
      const auto result = sinkhorn(in.problem, loose(), in.exec);
      EXPECT_EQ(back(got.result.f), back(result.f));
      EXPECT_EQ(back(got.result.g), back(result.g));
      EXPECT_EQ(got.result.report.dual_value, result.report.dual_value);
      expect_same(got.gradient, gradient(Plan<T>(in.problem, result), kSome, in.exec));
      EXPECT_EQ(got.gradient.dy.size(), 0);
      EXPECT_EQ(transport(in.problem, loose(), Wrt{}, in.exec).gradient.dx.size(), 0);
    }
  });
}

TYPED_TEST(TransportOf, ABatchIsItsEntries) {
  using T = TypeParam;
  testing::on_every_device([] {
    std::vector<std::unique_ptr<PlacedClouds<T>>> all;
    std::vector<BatchEntry<T>> entries;
    for (int i = 0; i < 3; ++i) {
      all.push_back(std::make_unique<PlacedClouds<T>>(random_clouds<T>(40 + 9 * i, 50, 3, i, 1, 1),
                                                      Balanced{}, Balanced{}));
      entries.push_back({&all.back()->problem, loose()});
    }
    const auto got = transport<T>(entries, Wrt::source, all.front()->exec);
    ASSERT_EQ(got.size(), 3U);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const auto want = transport(all[i]->problem, loose(), Wrt::source, all[i]->exec);
      EXPECT_EQ(back(got[i].result.f), back(want.result.f));
      expect_same(got[i].gradient, want.gradient);
    }
  });
}

// Where float is at its floor the answer is that of double, in value and derivatives.
TEST(Transport, GoesOnInDouble) {
  testing::on_every_device([] {
    const auto clouds = random_clouds<float>(60, 50, 3, 4, 1, 1);
    PlacedClouds<float> in(clouds, KL{1}, KL{1});
    SinkhornOptions options = loose();
    options.epsilon = 1e-3;
    options.tolerance = 2e-7;
    ASSERT_TRUE(goes_on(options, sinkhorn(in.problem, options, in.exec).report));
    const auto got = transport(in.problem, options, Wrt::source, in.exec);
    EXPECT_TRUE(got.result.report.converged);

    PlacedClouds<double> exact(testing::in_double(clouds), KL{1}, KL{1});
    const auto want = transport(exact.problem, options, Wrt::source, exact.exec);
    EXPECT_NEAR(got.result.report.dual_value, want.result.report.dual_value, 1e-7);
    // Derivatives are wrong by up to eleven times the marginal error, relative; of two solves.
    const auto dx = back(got.gradient.dx);
    const auto dx_wanted = back(want.gradient.dx);
    double off = 0, norm = 0;
    for (std::size_t i = 0; i < dx.size(); ++i) {
      off += std::pow(dx[i] - dx_wanted[i], 2);
      norm += std::pow(dx_wanted[i], 2);
    }
    EXPECT_LT(std::sqrt(off), 22 * options.tolerance * std::sqrt(norm));
  });
}
}  // namespace
}  // namespace monge
