// Newton directions and Hessians of parameters, against dense Hessians.
#include "monge/ot/second_order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ot/small_matrix.hpp"
#include "support/golden.hpp"
#include "support/tangents.hpp"

namespace monge {
namespace {
using testing::dot;
using testing::Moving;
using testing::norm;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

struct Case {
  Exec exec;
  Moving problem;
  testing::Solved<double> solved;
  Linearization<double> at;
  std::int64_t size;  // n d
  Buffer<double> hessian;

  explicit Case(double epsilon)
      : problem{random_clouds<double>(12, 14, 2, 6, 1, 1), Balanced{}, Balanced{},
                SquaredEuclidean{}, epsilon},
        solved(problem.at()),
        at(linearize(*solved.plan, exec)),
        size(24),
        hessian(monge::hessian(at, Side::source, {}, exec).value.copy()) {}

  std::vector<double> times(const std::vector<double>& v) const {
    std::vector<double> out(size, 0.0);
    for (std::int64_t i = 0; i < size; ++i)
      for (std::int64_t j = 0; j < size; ++j) out[i] += hessian[i * size + j] * v[j];
    return out;
  }
  InverseResult<double> inverse(const std::vector<double>& right, const InverseOptions& options) {
    return inverse_hvp<double>(at, Side::source, {right.data(), 12, 2}, options, exec);
  }
};

std::vector<double> values(const Buffer<double>& v) { return {v.begin(), v.end()}; }

// At large epsilon the Hessian is positive: about 2 / n.
TEST(SecondOrder, InverseUndoesTheProduct) {
  Case c(5);
  const auto right = random_vector<double>(24, 3, 0, -1);
  const auto got = c.inverse(right, {.tolerance = 1e-10, .inner = {.tolerance = 1e-12}});
  EXPECT_TRUE(got.report.converged);
  EXPECT_FALSE(got.report.negative_curvature);
  const auto back = c.times(values(got.z));
  for (int e = 0; e < 24; ++e) EXPECT_NEAR(back[e], right[e], 1e-9 * norm(right));
  // Ritz values lie within the spectrum, and reach its ends as the residual vanishes.
  double least = std::numeric_limits<double>::infinity(), most = 0;
  spectral({c.hessian.begin(), c.hessian.end()}, 24, [&](double value, double largest) {
    least = std::min(least, value);
    most = largest;
    return 0.0;
  });
  EXPECT_NEAR(got.report.condition, most / least, 1e-2 * most / least);
  EXPECT_GT(got.report.passes, 2 * got.report.iterations);
}

// Steihaug: the model falls, and the step ends on the boundary of a region that is too small, also
// where curvature is negative, as it is at small epsilon.
TEST(SecondOrder, StaysWithinItsRadius) {
  for (const double epsilon : {5.0, 0.02}) {
    Case c(epsilon);
    const auto right = random_vector<double>(24, 3, 0, -1);
    const auto model = [&](const std::vector<double>& z) {
      return dot(z, c.times(z)) / 2 - dot(right, z);
    };
    const auto step =
        c.inverse(right, {.tolerance = 1e-8, .radius = 0.5, .inner = {.tolerance = 1e-11}});
    EXPECT_TRUE(step.report.boundary);
    const auto z = values(step.z);
    EXPECT_NEAR(norm(z), 0.5, 1e-12);
    auto cauchy = right;
    for (double& v : cauchy) v *= 0.5 / norm(right);
    EXPECT_LE(model(z), model(cauchy) + 1e-12);
    const auto free = c.inverse(right, {.tolerance = 1e-8});
    EXPECT_EQ(free.report.negative_curvature, epsilon < 1);
    EXPECT_GT(dot(values(free.z), right), 0);
  }
}

TEST(SecondOrder, HessiansOfParameters) {
  Case c(0.1);
  const auto moves = random_vector<double>(3 * 24, 9, 0, -1);
  const auto got = parameter_hessian<double>(c.at, Side::source, {moves.data(), 36, 2},
                                             {.tolerance = 1e-13}, c.exec);
  ASSERT_EQ(got.size(), 9U);
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) {
      const std::vector<double> u(moves.begin() + a * 24, moves.begin() + (a + 1) * 24),
          v(moves.begin() + b * 24, moves.begin() + (b + 1) * 24);
      EXPECT_NEAR(got[a * 3 + b], dot(u, c.times(v)), 1e-10);
      EXPECT_EQ(got[a * 3 + b], got[b * 3 + a]);
    }
}

TEST(SecondOrder, NewtonDirectionsDescend) {
  // Eigenvalues 3 and -1 along (1, 1) and (1, -1).
  const std::vector<double> h{1, 2, 2, 1}, g{1, 0};
  const auto step = newton_direction(h, g, 1e-3);
  EXPECT_NEAR(step[0], -(0.5 / 3 + 0.5), 1e-12);
  EXPECT_NEAR(step[1], -(0.5 / 3 - 0.5), 1e-12);
  const auto floored = newton_direction({0, 0, 0, 0}, g, 0.5);
  EXPECT_NEAR(floored[0], -2, 1e-12);
  EXPECT_EQ(refusal([&] { newton_direction(h, {1, 2, 3}, 1); }).argument, "hessian");
  EXPECT_EQ(refusal([&] { newton_direction(h, g, 0); }).argument, "floor");
}

TEST(SecondOrder, RefusesOtherShapes) {
  Case c(1);
  const std::vector<double> right(24, 1.0);
  EXPECT_EQ(refusal([&] {
              inverse_hvp<double>(c.at, Side::source, {right.data(), 24, 1}, {}, c.exec);
            }).argument,
            "right");
  EXPECT_EQ(refusal([&] { c.inverse(right, {.radius = 0}); }).argument, "radius");
  EXPECT_EQ(refusal([&] {
              parameter_hessian<double>(c.at, Side::source, {right.data(), 10, 2}, {}, c.exec);
            }).argument,
            "directions");
}
}  // namespace
}  // namespace monge
