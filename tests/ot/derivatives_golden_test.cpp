// The golden tables of the derivatives' specification: values that another implementation found.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "monge/ot/derivatives.hpp"
#include "support/golden.hpp"

namespace monge {
namespace {
using testing::dot;
using testing::golden_clouds;
using testing::golden_dx;
using testing::golden_dy;
using testing::kGoldenEpsilon;
using testing::norm;
using testing::Solved;
using testing::tight;

const SolveOptions kExact{.tolerance = 1e-13};

Cost cost_of(double s) { return s == 1 ? Cost{SquaredEuclidean{}} : Cost{HalfSquaredEuclidean{}}; }

struct Row {
  std::string name;
  double s;
  Marginal a, b;
  double value, mass, gradient_norm, gradient, a_hxx_a, b_hyx_a, b_hyy_b, hxx_a, hxx_a_norm;
};

const Row kRows[] = {
    {"1, H/H", 1, Balanced{}, Balanced{}, 1.17435920667, 1, 0.913399602671, -0.00464168514249,
     1.86286751349, 0.948376619262, 0.682237203038, 0.131272178881, 0.937420118771},
    {"1, 1/.5", 1, KL{1}, KL{0.5}, 0.713206428471, 0.603774206405, 0.36611993589,
     -0.00175412333933, 0.651664080932, 0.438815527764, -0.433657870336, 0.114294779199,
     0.352544288737},
    {"1, H/.5", 1, Balanced{}, KL{0.5}, 0.998176079907, 1, 0.767908874806, -0.00190660372986,
     1.36882226395, 0.601353626705, -1.37423307959, 0.114252033771, 0.749088334702},
    {"1/2, H/H", 0.5, Balanced{}, Balanced{}, 0.66034437297, 1, 0.46548885034, -0.000644615706009,
     0.880678418565, 0.538380408667, 0.237121134202, 0.0572123061625, 0.450089956884},
    {"1/2, 1/.5", 0.5, KL{1}, KL{0.5}, 0.492177641742, 0.72656797681, 0.260733780455,
     0.00345303069858, 0.454173110739, 0.242238334312, -0.0094060983346, 0.0466753312882,
     0.225242025401},
    {"1/2, H/.5", 0.5, Balanced{}, KL{0.5}, 0.604554325734, 1, 0.414970644009, 0.0027829375928,
     0.708883400436, 0.350355195754, -0.0434195556682, 0.0497162328151, 0.369050473707},
    {"1, TV.5/TV.5", 1, TV{0.5}, TV{0.5}, 0.893509942094, 0.615203176649, 0.382489284346,
     -3.45421248864e-05, 0.225669787272, 0.961692175265, -0.180299388242, 0.101615141584,
     0.889235709024},
    {"1, H/TV.5", 1, Balanced{}, TV{0.5}, 1.12433741494, 1, 0.813200126729, -0.00322308767735,
     1.17558812122, 0.29706339617, -1.04112842503, 0.12603913549, 0.76126174388},
};

// Values are given to 12 digits; entries far below the norm are of its accuracy.
void expect_close(double got, double want, double size, const char* what) {
  EXPECT_NEAR(got, want, 1e-10 * std::max(std::abs(want), size)) << what;
}

TEST(DerivativesGolden, ValueGradientAndHessianProducts) {
  const auto dx = golden_dx(), dy = golden_dy();
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Solved<double> s(golden_clouds(), row.a, row.b, tight(kGoldenEpsilon, 1e-15),
                           cost_of(row.s));
    Exec exec;
    const auto g = gradient(*s.plan, exec);
    expect_close(s.plan->value(exec), row.value, 0, "value");
    expect_close(s.plan->mass(exec), row.mass, 0, "mass");
    expect_close(norm(g.dx), row.gradient_norm, 0, "gradient");
    expect_close(g.dx[0], row.gradient, 0.1, "gradient[0, 0]");
    const auto at = linearize(*s.plan, exec);
    const auto along_x = hvp(at, {.dx = {dx.data(), 5, 2}}, Wrt::source | Wrt::target, kExact, exec);
    expect_close(dot(along_x.dx, dx), row.a_hxx_a, 0, "A Hxx A");
    expect_close(dot(along_x.dy, dy), row.b_hyx_a, 0, "B Hyx A");
    expect_close(along_x.dx[0], row.hxx_a, 0, "Hxx A [0, 0]");
    expect_close(norm(along_x.dx), row.hxx_a_norm, 0, "|Hxx A|");
    const auto along_y = hvp(at, {.dy = {dy.data(), 4, 2}}, Wrt::source | Wrt::target, kExact, exec);
    expect_close(dot(along_y.dy, dy), row.b_hyy_b, 0, "B Hyy B");
    expect_close(dot(along_y.dx, dx), row.b_hyx_a, 0, "A Hxy B");
  }
}
}  // namespace
}  // namespace monge
