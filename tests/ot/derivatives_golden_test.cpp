// The golden tables of the derivatives' specification: values that another implementation found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

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
    {"1, 1/.5", 1, KL{1}, KL{0.5}, 0.713206428471, 0.603774206405, 0.36611993589, -0.00175412333933,
     0.651664080932, 0.438815527764, -0.433657870336, 0.114294779199, 0.352544288737},
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
    const auto along_x =
        hvp(at, {.dx = {dx.data(), 5, 2}}, Wrt::source | Wrt::target, kExact, exec);
    expect_close(dot(along_x.dx, dx), row.a_hxx_a, 0, "A Hxx A");
    expect_close(dot(along_x.dy, dy), row.b_hyx_a, 0, "B Hyx A");
    expect_close(along_x.dx[0], row.hxx_a, 0, "Hxx A [0, 0]");
    expect_close(norm(along_x.dx), row.hxx_a_norm, 0, "|Hxx A|");
    const auto along_y =
        hvp(at, {.dy = {dy.data(), 4, 2}}, Wrt::source | Wrt::target, kExact, exec);
    expect_close(dot(along_y.dy, dy), row.b_hyy_b, 0, "B Hyy B");
    expect_close(dot(along_y.dx, dx), row.b_hyx_a, 0, "A Hxy B");
  }
}

struct AdjointRow {
  std::string name;
  double s;
  Marginal a, b;
  double depsilon, drho_a, drho_b, da;  // da: of the first less the last
  double potentials[4], map[4];         // of x along A, of y along B, epsilon, b_0 - b_3
};

const AdjointRow kAdjointRows[] = {
    {"1, H/H",
     1,
     Balanced{},
     Balanced{},
     0.601762846413,
     0,
     0,
     -2.52446893399,
     {-0.692071943519, 2.1995614204, 0.476620043709, -8.64448414885},
     {0.260456390536, -1.1035955271, -0.280995798485, -5.50317614608}},
    {"1, 1/.5",
     1,
     KL{1},
     KL{0.5},
     0.597290859584,
     0.131402302649,
     0.120682731498,
     -0.775851671556,
     {1.03825187726, 0.527500006032, -0.181064942918, -2.25083318288},
     {1.44764531694, -1.19564679708, -1.61381652989, -0.587731520481}},
    {"1, H/.5",
     1,
     Balanced{},
     KL{0.5},
     0.778590919177,
     0,
     0.106239093664,
     -1.28039072854,
     {1.36499385849, 0.284296750521, -1.012444924, -3.84397106161},
     {1.47093697386, -0.993919710851, -1.51749466663, -1.091681122}},
    {"1/2, 1/.5",
     0.5,
     KL{1},
     KL{0.5},
     0.389079867014,
     0.0574526055058,
     0.0598244142282,
     -0.522888517589,
     {0.537395408839, -0.0974901787082, 0.0480021929961, -1.81787374835},
     {1.44817290128, -0.885005654168, -1.90250059171, -1.44704955382}},
    {"1, TV.5/TV.5",
     1,
     TV{0.5},
     TV{0.5},
     0.664819439706,
     0.384796823351,
     0.384796823351,
     -0.812726265619,
     {1.68562031751, -0.0222655853401, -0.219421926933, -0.646080724362},
     {1.4186822527, -1.27184298978, -1.59043763468, -0.00652233407445}},
    {"1, H/TV.5",
     1,
     Balanced{},
     TV{0.5},
     0.635340006885,
     0,
     0.233302934658,
     -1.69375120152,
     {1.83203474144, 1.52939599565, -1.25489750746, -2.91668250759},
     {1.72459400041, -0.289776062408, -1.04446009129, -0.922807909295}},
};

TEST(DerivativesGolden, StrengthsAndAdjoints) {
  constexpr Wrt kWanted =
      Wrt::source | Wrt::target | Wrt::epsilon | Wrt::target_weights | Wrt::penalty;
  const auto dx = golden_dx(), dy = golden_dy();
  std::vector<double> f, g;
  for (int i = 0; i < 5; ++i) f.push_back(std::cos(i));
  for (int j = 0; j < 4; ++j) g.push_back(std::sin(j + 1));
  for (const AdjointRow& row : kAdjointRows) {
    SCOPED_TRACE(row.name);
    const Solved<double> s(golden_clouds(), row.a, row.b, tight(kGoldenEpsilon, 1e-15),
                           cost_of(row.s));
    Exec exec;
    const auto first = gradient(*s.plan, exec);
    const auto close = [](double got, double want, const char* what) {
      EXPECT_NEAR(got, want, 1e-9 * std::max(1.0, std::abs(want))) << what;
    };
    close(first.depsilon, row.depsilon, "epsilon");
    close(first.drho_a, row.drho_a, "rho_a");
    close(first.drho_b, row.drho_b, "rho_b");
    close(first.da[0] - first.da[4], row.da, "a");
    const auto at = linearize(*s.plan, exec);
    const auto check = [&](const Cotangent<double>& cotangent, const double(&want)[4],
                           const char* what) {
      const auto got = vjp(at, cotangent, kWanted, kExact, exec);
      close(dot(got.dx, dx), want[0], what);
      close(dot(got.dy, dy), want[1], what);
      close(got.depsilon[0], want[2], what);
      close(got.db[0] - got.db[3], want[3], what);
    };
    check({.f = {f.data(), 1, 5}, .g = {g.data(), 1, 4}}, row.potentials, "potentials");
    check({.map = {dx.data(), 5, 2}}, row.map, "map");
  }
}
}  // namespace
}  // namespace monge
