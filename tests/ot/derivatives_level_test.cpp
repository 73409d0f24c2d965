// Hessian products with a total mass, whose level moves with all else.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/golden.hpp"
#include "support/tangents.hpp"

namespace monge {
namespace {
using testing::difference;
using testing::Direction;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

constexpr Wrt kAll =
    Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights | Wrt::epsilon;

struct Partial {
  testing::Clouds<double> clouds = random_clouds<double>(10, 8, 2, 7, 1.2, 1);
  double mass = 0.7, epsilon = 0.2;

  testing::Solved<double> at(double t = 0, const Direction& along = {}, double dmass = 0) const {
    return {testing::moved(clouds, t, along),
            TV{std::numeric_limits<double>::infinity()},
            TV{std::numeric_limits<double>::infinity()},
            testing::tight(epsilon + t * along.depsilon, 1e-15),
            SquaredEuclidean{},
            {.total_mass = mass + t * dmass, .mass_tolerance = 0}};
  }
};

// Differences err as those of derivatives_hvp_test.cpp.
TEST(TotalMass, ProductsMatchDifferences) {
  constexpr double kStep = 3e-4, kMass = 0.05;
  const Partial problem;
  Direction along;
  along.dx = random_vector<double>(20, 1, 0, -1);
  along.dy = random_vector<double>(16, 1, 1, -1);
  along.da = random_vector<double>(10, 1, 2, -0.1, 0.1);
  along.db = random_vector<double>(8, 1, 3, -0.1, 0.1);
  along.depsilon = 0.05;
  Exec exec;
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  ASSERT_GT(at.tv_margin(), 10 * kStep);
  auto tangent = along.tangent(2);
  tangent.dmass = {kMass};
  const auto got = hvp(at, tangent, kAll, {.tolerance = 1e-13}, exec);
  EXPECT_TRUE(got.report.converged);
  const auto check = [&](const Buffer<double>& values, auto Gradient<double>::*part,
                         const char* name) {
    const auto want = difference(
        [&](double t) {
          const auto s = problem.at(t, along, kMass);
          return (gradient(*s.plan, exec).*part).copy();
        },
        kStep);
    ASSERT_EQ(values.size(), static_cast<std::int64_t>(want.size())) << name;
    for (std::size_t e = 0; e < want.size(); ++e)
      EXPECT_NEAR(values[e], want[e], 1e-8 * std::max(1.0, testing::norm(want))) << name << e;
  };
  check(got.dx, &Gradient<double>::dx, "dx");
  check(got.dy, &Gradient<double>::dy, "dy");
  check(got.da, &Gradient<double>::da, "da");
  check(got.db, &Gradient<double>::db, "db");
  const auto scalars = difference(
      [&](double t) {
        const auto s = problem.at(t, along, kMass);
        return std::vector<double>{gradient(*s.plan, exec).depsilon, s.plan->mass_level()};
      },
      kStep);
  EXPECT_NEAR(got.depsilon[0], scalars[0], 1e-8 * std::max(1.0, std::abs(scalars[0])));
  EXPECT_NEAR(got.dlevel[0], scalars[1], 1e-8 * std::max(1.0, std::abs(scalars[1])));
}

TEST(TotalMass, RefusesWhatItHasNot) {
  Exec exec;
  const Partial problem;
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  Tangent<double> along;
  along.dmass = {1, 2};
  EXPECT_EQ(refusal([&] { hvp(at, along, Wrt::source, {}, exec); }).argument, "dmass");
  EXPECT_THROW(jvp(at, Tangent<double>(), {}, exec), NotAvailable);
  EXPECT_THROW(vjp(at, Cotangent<double>(), Wrt::source, {}, exec), NotAvailable);
  EXPECT_THROW(hessian(at, Side::source, {}, exec), NotAvailable);

  const testing::Moving balanced{random_clouds<double>(5, 5, 2, 7, 1, 1), Balanced{}, Balanced{}};
  const auto free = balanced.at();
  along.dmass = {1};
  EXPECT_EQ(
      refusal([&] { hvp(linearize(*free.plan, exec), along, Wrt::source, {}, exec); }).argument,
      "dmass");
}
}  // namespace
}  // namespace monge
