#include "monge/ot/problem.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "monge/ot/plan.hpp"
#include "ot/inspection.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::random_clouds;
using testing::refusal;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <class T>
class ProblemTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ProblemTest, Scalars);

// A matrix problem over its own data, row-major.
struct Matrix {
  std::int64_t n, m;
  std::vector<double> C, a, b;

  Problem<double> problem(Marginal marginal_a, Marginal marginal_b,
                          ProblemOptions options = {}) const {
    return Problem<double>(CostMatrix<double>{{C.data(), n, m}}, {a.data(), std::ssize(a)},
                           {b.data(), std::ssize(b)}, marginal_a, marginal_b, options);
  }
};

TYPED_TEST(ProblemTest, KeepsWhatItWasGiven) {
  const auto clouds = random_clouds<TypeParam>(5, 4, 3, 1);
  const auto problem = clouds.problem(KL{0.5}, TV{2});
  EXPECT_EQ(problem.n(), 5);
  EXPECT_EQ(problem.m(), 4);
  EXPECT_EQ(problem.a().data, clouds.a.data());  // never normalised, never copied
  EXPECT_NEAR(problem.mass_a(), 1.5, 1e-6);
  EXPECT_NEAR(problem.mass_b(), 1, 1e-6);
  EXPECT_EQ(std::get<KL>(problem.marginal_a()).rho, 0.5);
  EXPECT_EQ(std::get<TV>(problem.marginal_b()).lambda, 2);
}

TYPED_TEST(ProblemTest, DefaultWeightsAreUniformAndSurviveAMove) {
  auto clouds = random_clouds<TypeParam>(3, 7, 2, 1);
  Problem<TypeParam> first(PointCloud<TypeParam>{clouds.source(), clouds.target()}, {}, {},
                           Balanced{}, Balanced{});
  const auto problem = std::move(first);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(problem.a()[i], TypeParam(1) / 3);
  for (int j = 0; j < 7; ++j) EXPECT_EQ(problem.b()[j], TypeParam(1) / 7);
}

// With both marginals, given weights and uniform ones; what uniform ones take outlives the first.
TYPED_TEST(ProblemTest, AgainstItselfIsAsIfItWereGiven) {
  using T = TypeParam;
  const auto clouds = random_clouds<T>(5, 4, 3, 1);
  const auto expect_same = [](const Problem<T>& got, const Problem<T>& want) {
    EXPECT_EQ(got.n(), want.n());
    EXPECT_EQ(got.m(), want.m());
    EXPECT_EQ(got.uniform_a(), want.uniform_a());
    EXPECT_EQ(got.uniform_b(), want.uniform_b());
    EXPECT_EQ(got.mass_a(), want.mass_a());
    EXPECT_EQ(got.mass_b(), want.mass_b());
    EXPECT_EQ(got.mass_tolerance(), want.mass_tolerance());
    EXPECT_EQ(to_string(got.marginal_a()), to_string(want.marginal_a()));
    EXPECT_EQ(to_string(got.marginal_b()), to_string(want.marginal_b()));
    for (std::int64_t i = 0; i < want.n(); ++i) {
      EXPECT_EQ(got.a()[i], want.a()[i]);
      EXPECT_EQ(got.b()[i], want.b()[i]);
    }
    const auto &cloud = std::get<PointCloud<T>>(got.geometry()),
               &given = std::get<PointCloud<T>>(want.geometry());
    EXPECT_EQ(cloud.x.data, given.x.data);
    EXPECT_EQ(cloud.y.data, given.y.data);
    EXPECT_EQ(cost_name(cloud.cost), cost_name(given.cost));
    for (const auto side : {&Inspection::x, &Inspection::y}) {
      const auto &read = got.inspection().*side, &again = want.inspection().*side;
      EXPECT_EQ(read.count, again.count);
      EXPECT_EQ(read.low, again.low);
      EXPECT_EQ(read.all_high, again.all_high);
      EXPECT_EQ(read.origin, again.origin);
      EXPECT_EQ(read.sum, again.sum);
    }
  };
  for (const bool uniform : {false, true})
    for (const Side side : {Side::source, Side::target}) {
      const auto points = side == Side::source ? clouds.source() : clouds.target();
      const auto weights = uniform                ? VectorView<const T>{}
                           : side == Side::source ? clouds.source_weights()
                                                  : clouds.target_weights();
      std::optional<Problem<T>> cross(
          std::in_place, PointCloud<T>{clouds.source(), clouds.target(), HalfSquaredEuclidean{}},
          uniform ? VectorView<const T>{} : clouds.source_weights(),
          uniform ? VectorView<const T>{} : clouds.target_weights(), KL{0.5}, TV{2});
      const auto self = cross->against_itself(side);
      cross.reset();
      expect_same(self, Problem<T>(PointCloud<T>{points, points, HalfSquaredEuclidean{}}, weights,
                                   weights, KL{0.5}, TV{2}));
    }
}

TEST(Problem, HasNoSelfTermWithoutCostsOfItsOwn) {
  const Matrix matrix{1, 2, {1, 2}, {1}, {0.5, 0.5}};
  EXPECT_EQ(refusal([&] {
              matrix.problem(Balanced{}, Balanced{}).against_itself(Side::source);
            }).argument,
            "C");
  const auto clouds = random_clouds<double>(5, 4, 3, 1);
  const auto partial = clouds.problem(TV{kInf}, TV{kInf}, Cost{}, {.total_mass = 0.5});
  EXPECT_THROW(partial.against_itself(Side::target), NotAvailable);
}

TYPED_TEST(ProblemTest, InfiniteStrengthsBecomeBalanced) {
  const auto clouds = random_clouds<TypeParam>(3, 4, 2, 1, 1, 1);
  const auto problem = clouds.problem(KL{kInf}, TV{kInf}, SquaredEuclidean{}, {{}, 1e-6});
  EXPECT_TRUE(std::holds_alternative<Balanced>(problem.marginal_a()));
  EXPECT_TRUE(std::holds_alternative<Balanced>(problem.marginal_b()));
}

TEST(Problem, RefusesShapes) {
  const auto clouds = random_clouds<double>(5, 4, 3, 1);
  const auto solve = [&](MatrixView<const double> x, MatrixView<const double> y) {
    return refusal([&] {
      Problem<double>(PointCloud<double>{x, y}, {}, {}, Balanced{}, Balanced{});
    });
  };
  const auto x = clouds.source(), y = clouds.target();
  EXPECT_EQ(solve({x.data, 0, 3}, y).argument, "x");
  EXPECT_EQ(solve(x, {y.data, 0, 3}).argument, "y");
  EXPECT_EQ(solve({x.data, 5, 0}, {y.data, 4, 0}).argument, "x");
  const auto dimensions = solve(x, {y.data, 4, 2});
  EXPECT_EQ(dimensions.argument, "y");
  EXPECT_TRUE(dimensions.says("dimension 3") && dimensions.says("dimension 2"));
}

TEST(Problem, RefusesMoreOrFewerWeightsThanPoints) {
  auto clouds = random_clouds<double>(5, 4, 3, 1);
  const Geometry<double> geometry = PointCloud<double>{clouds.source(), clouds.target()};
  const auto few = refusal([&] {
    Problem<double>(geometry, {clouds.a.data(), 4}, {}, KL{1}, KL{1});
  });
  EXPECT_EQ(few.argument, "a");
  EXPECT_TRUE(few.says("a has 4 weights but x has 5 points"));
  clouds.b.push_back(1);
  const auto many = refusal([&] {
    Problem<double>(geometry, {}, {clouds.b.data(), 5}, KL{1}, KL{1});
  });
  EXPECT_EQ(many.argument, "b");
  EXPECT_TRUE(many.says("b has 5 weights but y has 4 points"));
}

TEST(Problem, RefusesCoordinatesThatAreNotFinite) {
  for (const double bad : {kNan, kInf, -kInf}) {
    auto clouds = random_clouds<double>(5, 4, 3, 1);
    clouds.x[3 * 3 + 1] = bad;
    const auto in_x = refusal([&] { clouds.problem(KL{1}, KL{1}); });
    EXPECT_EQ(in_x.argument, "x");
    EXPECT_EQ(in_x.index, 3);
    clouds = random_clouds<double>(5, 4, 3, 1);
    clouds.y[2 * 3] = bad;
    clouds.b[2] = 0;  // not even at weight zero
    const auto in_y = refusal([&] { clouds.problem(KL{1}, KL{1}); });
    EXPECT_EQ(in_y.argument, "y");
    EXPECT_EQ(in_y.index, 2);
  }
}

TEST(Problem, RefusesNegativeAndNonFiniteWeights) {
  for (const double bad : {kNan, kInf, -0.125}) {
    auto clouds = random_clouds<double>(5, 4, 3, 1);
    clouds.a[4] = bad;
    const auto in_a = refusal([&] { clouds.problem(KL{1}, KL{1}); });
    EXPECT_EQ(in_a.argument, "a");
    EXPECT_EQ(in_a.index, 4);
    EXPECT_TRUE(in_a.says(">= 0"));
    clouds = random_clouds<double>(5, 4, 3, 1);
    clouds.b[0] = bad;
    const auto in_b = refusal([&] { clouds.problem(KL{1}, KL{1}); });
    EXPECT_EQ(in_b.argument, "b");
    EXPECT_EQ(in_b.index, 0);
  }
}

// Everything is read at once, and judged in the order of the arguments: points, then weights, then
// what the cost asks of both.
TEST(Problem, NamesTheFirstOfManyFaults) {
  auto clouds = random_clouds<double>(5, 4, 3, 1);
  std::int64_t cols_y = 3, size_a = 5;
  const auto refused = [&] {
    return refusal([&] {
             Problem<double>(
                 PointCloud<double>{clouds.source(), {clouds.y.data(), 4, cols_y}, Cosine{}},
                 {clouds.a.data(), size_a}, {clouds.b.data(), 4}, KL{1}, KL{1});
           })
        .argument;
  };
  // From the last that is looked at to the first.
  for (int k = 0; k < 3; ++k) clouds.y[k] = 0;
  EXPECT_EQ(refused(), "y");
  for (int k = 0; k < 3; ++k) clouds.x[k] = 0;
  EXPECT_EQ(refused(), "x");
  clouds.b[3] = -1;
  EXPECT_EQ(refused(), "b");
  clouds.a[0] = kInf;
  EXPECT_EQ(refused(), "a");
  size_a = 4;
  EXPECT_EQ(refused(), "a");
  clouds.y[5] = kNan;
  EXPECT_EQ(refused(), "y");
  cols_y = 0;
  EXPECT_EQ(refused(), "y");
  clouds.x[7] = kNan;
  EXPECT_EQ(refused(), "x");

  Matrix matrix{2, 3, {0, 1, 2, 3, 4, kNan}, {1, -1, 1}, {1, 1, -1}};
  const auto blamed = [&] { return refusal([&] { matrix.problem(KL{1}, KL{1}); }); };
  EXPECT_EQ(blamed().argument, "C");
  EXPECT_EQ(blamed().index, 1);
  matrix.C[5] = kInf;
  EXPECT_TRUE(blamed().says("a has 3 weights"));
  matrix.a = {1, -1};
  EXPECT_EQ(blamed().argument, "a");
  matrix.a = {1, 1};
  EXPECT_EQ(blamed().argument, "b");
}

TEST(Problem, RefusesASideWithoutMass) {
  auto clouds = random_clouds<double>(5, 4, 3, 1);
  clouds.b.assign(4, 0.0);
  const auto empty = refusal([&] { clouds.problem(KL{1}, KL{1}); });
  EXPECT_EQ(empty.argument, "b");
  EXPECT_TRUE(empty.says("mass"));
  clouds.b.assign(4, 1e308);  // each finite, the sum not
  EXPECT_EQ(refusal([&] { clouds.problem(KL{1}, KL{1}); }).argument, "b");
}

TEST(Problem, RefusesStrengthsThatAreNotPositive) {
  const auto clouds = random_clouds<double>(5, 4, 3, 1);
  for (const double bad : {0.0, -1.0, kNan}) {
    EXPECT_EQ(refusal([&] { clouds.problem(KL{bad}, KL{1}); }).argument, "marginal_a");
    EXPECT_EQ(refusal([&] { clouds.problem(KL{1}, KL{bad}); }).argument, "marginal_b");
    EXPECT_EQ(refusal([&] { clouds.problem(TV{bad}, KL{1}); }).argument, "marginal_a");
    EXPECT_EQ(refusal([&] { clouds.problem(KL{1}, TV{bad}); }).argument, "marginal_b");
  }
  EXPECT_TRUE(refusal([&] { clouds.problem(KL{-1}, KL{1}); }).says("KL(-1)"));
}

TEST(Problem, RefusesPowersBelowOne) {
  const auto clouds = random_clouds<double>(5, 4, 3, 1);
  for (const double bad : {0.5, kNan, kInf})
    EXPECT_EQ(refusal([&] { clouds.problem(KL{1}, KL{1}, Power{bad}); }).argument, "p");
}

TEST(Problem, RefusesOtherDevices) {
  const auto clouds = random_clouds<double>(5, 4, 3, 1);
  const Device cuda{DeviceKind::cuda, 1};
  auto x = clouds.source(), y = clouds.target();
  y.device = cuda;
  const auto apart = refusal([&] {
    Problem<double>(PointCloud<double>{x, y}, {}, {}, Balanced{}, Balanced{});
  });
  EXPECT_EQ(apart.argument, "y");
  EXPECT_TRUE(apart.says("cuda:1") && apart.says("cpu"));
  x.device = cuda;
  EXPECT_THROW(Problem<double>(PointCloud<double>{x, y}, {}, {}, Balanced{}, Balanced{}),
               NotAvailable);
  auto a = clouds.source_weights();
  EXPECT_EQ(refusal([&] {
              Problem<double>(PointCloud<double>{x, y}, a, {}, Balanced{}, Balanced{});
            }).argument,
            "a");
}

TEST(Problem, RefusesUnequalBalancedMasses) {
  const auto clouds = random_clouds<double>(5, 4, 3, 1, 1.5, 1);
  const auto unequal = refusal([&] { clouds.problem(Balanced{}, Balanced{}); });
  EXPECT_TRUE(unequal.says("1.5") && unequal.says("mass"));
  EXPECT_TRUE(unequal.says("Normalise") && unequal.says("KL") && unequal.says("total mass"));
  EXPECT_NO_THROW(clouds.problem(Balanced{}, KL{1}));
  EXPECT_NO_THROW(clouds.problem(TV{1}, Balanced{}));
}

// 1e-12 for double, 1e-6 for float, or what the faces ask for float weights beside double points.
TYPED_TEST(ProblemTest, BalanceToleranceFollowsTheType) {
  using T = TypeParam;
  const double tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-12;
  const auto off_by = [](double relative) {
    auto clouds = random_clouds<T>(2, 1, 3, 1);
    clouds.a = {T(0.5), T(0.5)};
    clouds.b = {static_cast<T>(1 + relative)};
    return clouds;
  };
  EXPECT_NO_THROW(off_by(0.5 * tolerance).problem(Balanced{}, Balanced{}));
  const auto beyond = off_by(2 * tolerance);
  EXPECT_THROW(beyond.problem(Balanced{}, Balanced{}), InvalidArgument);
  EXPECT_NO_THROW(beyond.problem(Balanced{}, Balanced{}, Cost{}, {{}, 4 * tolerance}));
  for (const double bad : {-1.0, kNan, 1.0})
    EXPECT_EQ(refusal([&] {
                beyond.problem(KL{1}, KL{1}, Cost{}, {{}, bad});
              }).argument,
              "mass_tolerance");
}

// 2^20 weights 0.1 against one weight that is their exact sum: a running double sum loses 1e-11.
TEST(Problem, SumsManyWeightsWithoutLoss) {
  const std::int64_t n = 1 << 20;
  const std::vector<double> a(n, 0.1), x(n, 0.0);
  const double b = static_cast<double>(n) * 0.1, y = 1;  // exact: n is a power of two
  const Problem<double> problem(PointCloud<double>{{x.data(), n, 1}, {&y, 1, 1}}, {a.data(), n},
                                {&b, 1}, Balanced{}, Balanced{});
  EXPECT_DOUBLE_EQ(problem.mass_a(), b);
}

TEST(Problem, RefusesDistancesThatOverflow) {
  Clouds<float> clouds{2, 1, 1, {0, 2e19f}, {0}, {1, 0}, {1}};  // the far point has weight 0
  const auto overflow = refusal([&] { clouds.problem(Balanced{}, Balanced{}); });
  EXPECT_TRUE(overflow.says("float64") && overflow.says("rescale"));
  clouds.x[1] = 1e18f;
  EXPECT_NO_THROW(clouds.problem(Balanced{}, Balanced{}));
  EXPECT_THROW(clouds.problem(Balanced{}, Balanced{}, Power{3}), InvalidArgument);
  EXPECT_NO_THROW(clouds.problem(Balanced{}, Balanced{}, Dot{}));
  clouds.x[1] = 2e19f;
  EXPECT_THROW(clouds.problem(Balanced{}, Balanced{}, Dot{}), InvalidArgument);
  const Clouds<double> wide{1, 1, 1, {-1e308}, {1e308}, {1}, {1}};
  EXPECT_THROW(wide.problem(Balanced{}, Balanced{}), InvalidArgument);
}

TEST(Problem, CosineRefusesZeroVectorsOfPositiveWeight) {
  auto clouds = random_clouds<double>(5, 4, 3, 1);
  for (int k = 0; k < 3; ++k) clouds.y[2 * 3 + k] = 0;
  const auto zero = refusal([&] { clouds.problem(KL{1}, KL{1}, Cosine{}); });
  EXPECT_EQ(zero.argument, "y");
  EXPECT_EQ(zero.index, 2);
  EXPECT_NO_THROW(clouds.problem(KL{1}, KL{1}));
  clouds.b[2] = 0;
  EXPECT_NO_THROW(clouds.problem(KL{1}, KL{1}, Cosine{}));
}

TEST(Problem, RefusesMatrixEntriesThatAreNoCosts) {
  for (const double bad : {kNan, -kInf}) {
    Matrix matrix{3, 2, {0, 1, 2, bad, 4, 5}, {1, 1, 1}, {1, 2}};
    const auto entry = refusal([&] { matrix.problem(KL{1}, KL{1}); });
    EXPECT_EQ(entry.argument, "C");
    EXPECT_EQ(entry.index, 1);
    EXPECT_TRUE(entry.says("C[1, 1]"));
  }
}

TEST(Problem, OneStrideOfAMatrixMustBeOne) {
  const std::vector<double> C(64, 1.0);
  const auto given = [&](MatrixView<const double> view) {
    return Problem<double>(CostMatrix<double>{view}, {}, {}, Balanced{}, Balanced{});
  };
  EXPECT_EQ(refusal([&] { given({C.data(), 3, 3, 8, 2}); }).argument, "C");
  EXPECT_NO_THROW(given({C.data(), 3, 2, 1, 8}));
  EXPECT_NO_THROW(given({C.data(), 1, 4, 7, 2}));  // the stride of a single row is never used
  EXPECT_NO_THROW(given({C.data(), 4, 1, 2, 7}));
  EXPECT_EQ(refusal([&] { given({C.data(), 0, 3}); }).argument, "C");
}

TEST(Problem, TotalMassNeedsInfiniteTV) {
  const auto clouds = random_clouds<double>(5, 4, 3, 1);
  const ProblemOptions half{.total_mass = 0.5};
  EXPECT_NO_THROW(clouds.problem(TV{kInf}, TV{kInf}, Cost{}, half));
  EXPECT_EQ(refusal([&] { clouds.problem(KL{1}, TV{kInf}, Cost{}, half); }).argument, "marginal_a");
  EXPECT_EQ(refusal([&] { clouds.problem(TV{kInf}, TV{1}, Cost{}, half); }).argument, "marginal_b");
  EXPECT_EQ(refusal([&] { clouds.problem(Balanced{}, Balanced{}, Cost{}, half); }).argument,
            "marginal_a");
  EXPECT_EQ(refusal([&] { clouds.problem(KL{kInf}, TV{kInf}, Cost{}, half); }).argument,
            "marginal_a");
}

TEST(Problem, TotalMassMustBeFeasible) {
  const auto clouds = random_clouds<double>(5, 4, 3, 1, 1.5, 1);
  for (const double bad : {0.0, -0.1, 1.001, kNan, kInf}) {
    const auto refused =
        refusal([&] { clouds.problem(TV{kInf}, TV{kInf}, Cost{}, {.total_mass = bad}); });
    EXPECT_EQ(refused.argument, "total_mass");
    EXPECT_TRUE(refused.says("mass"));
  }
}

TEST(Problem, ASideThatGivesAllItsMassIsBalanced) {
  const auto marginals = [](double mass_a, double mass_b, double total) {
    const auto clouds = random_clouds<double>(5, 4, 3, 1, mass_a, mass_b);
    const auto p = clouds.problem(TV{kInf}, TV{kInf}, Cost{}, {.total_mass = total});
    return to_string(p.marginal_a()) + " " + to_string(p.marginal_b());
  };
  EXPECT_EQ(marginals(1.5, 1, 0.5), "TV(inf) TV(inf)");
  EXPECT_EQ(marginals(1.5, 1, 1), "TV(inf) balanced");
  EXPECT_EQ(marginals(1, 1.5, 1 + 5e-13), "balanced TV(inf)");
  EXPECT_EQ(marginals(1, 1, 1), "balanced balanced");
}

// Two blocks, cut off from each other: {0, 1} x {0} and {2} x {1, 2}.
Matrix blocks(std::vector<double> a, std::vector<double> b) {
  return {3, 3, {0, kInf, kInf, 1, kInf, kInf, kInf, 2, 3}, std::move(a), std::move(b)};
}

TEST(Problem, ComponentsOfAllowedPairsMustBalance) {
  EXPECT_NO_THROW(blocks({.2, .3, .5}, {.5, .4, .1}).problem(Balanced{}, Balanced{}));
  const auto matrix = blocks({.2, .3, .5}, {.25, .4, .35});  // equal in total only
  const auto drifting = refusal([&] { matrix.problem(Balanced{}, Balanced{}); });
  EXPECT_EQ(drifting.argument, "C");
  EXPECT_TRUE(drifting.says("0.5 in a") && drifting.says("0.25 in b"));
  EXPECT_NO_THROW(matrix.problem(Balanced{}, KL{1}));
  EXPECT_NO_THROW(matrix.problem(KL{1}, KL{1}));
  // A source of weight zero connects nothing, although all its pairs are allowed.
  const Matrix bridged{3, 2, {0, kInf, kInf, 0, 1, 1}, {.5, .5, 0}, {.4, .6}};
  EXPECT_EQ(refusal([&] { bridged.problem(Balanced{}, Balanced{}); }).argument, "C");
  EXPECT_NO_THROW(blocks({.5, .5, 0}, {1, 0, 0}).problem(Balanced{}, Balanced{}));
}

TEST(Problem, BalancedRowsAndColumnsNeedAPartner) {
  const auto matrix = blocks({.2, .3, .5}, {.5, 0, 0});  // row 2 meets zero weights only
  const auto row = refusal([&] { matrix.problem(Balanced{}, KL{1}); });
  EXPECT_EQ(row.argument, "a");
  EXPECT_EQ(row.index, 2);
  EXPECT_NO_THROW(matrix.problem(KL{1}, Balanced{}));
  const auto columns = blocks({.2, .3, 0}, {.5, 0, .1});
  const auto column = refusal([&] { columns.problem(KL{1}, Balanced{}); });
  EXPECT_EQ(column.argument, "b");
  EXPECT_EQ(column.index, 2);
}

TEST(Problem, AllowedPairsMustCarryTheTotalMass) {
  const auto matrix = blocks({.2, .3, .5}, {.25, .4, .35});  // at most .25 + .5
  const auto with_mass = [&](double mass) {
    return matrix.problem(TV{kInf}, TV{kInf}, {.total_mass = mass});
  };
  EXPECT_NO_THROW(with_mass(0.75));
  const auto refused = refusal([&] { with_mass(0.76); });
  EXPECT_EQ(refused.argument, "total_mass");
  EXPECT_TRUE(refused.says("0.75"));
}

TEST(Problem, NamesOfMarginalsAndCosts) {
  EXPECT_EQ(to_string(Marginal(Balanced{})), "balanced");
  EXPECT_EQ(to_string(Marginal(KL{0.5})), "KL(0.5)");
  EXPECT_EQ(to_string(Marginal(TV{2})), "TV(2)");
  for (const char* name :
       {"sqeuclidean", "half_sqeuclidean", "euclidean", "power", "cosine", "dot"})
    EXPECT_EQ(cost_name(parse_cost(name, 3)), name);
  EXPECT_EQ(std::get<Power>(parse_cost("power", 3)).p, 3);
  const auto unknown = refusal([] { parse_cost("manhattan"); });
  EXPECT_EQ(unknown.argument, "cost");
  EXPECT_TRUE(unknown.says("manhattan") && unknown.says("half_sqeuclidean"));
  EXPECT_EQ(refusal([] { parse_cost("power", 0.5); }).argument, "p");
  EXPECT_EQ(cost_order(SquaredEuclidean{}), 2);
  EXPECT_EQ(cost_order(HalfSquaredEuclidean{}), 2);
  EXPECT_EQ(cost_order(Euclidean{}), 1);
  EXPECT_EQ(cost_order(Power{3}), 3);
  EXPECT_EQ(cost_order(Cosine{}), 0);
  EXPECT_EQ(cost_order(Dot{}), 0);
}
}  // namespace
}  // namespace monge
