#include "monge/ot/derivatives.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/solved.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::random_clouds;
using testing::Solved;
using testing::tight;
constexpr double kEpsilon = 0.1;

/// Fourth-order central difference of value(0 + t) at steps of `step`: its own error is of order
/// step^4 and rounding / step, together below 1e-9 here.
double slope(const std::function<double(double)>& value, double step = 1e-3) {
  return (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step);
}

struct Setting {
  Clouds<double> clouds;
  Marginal a, b;
  double epsilon = kEpsilon;
  Cost cost = SquaredEuclidean{};
  ProblemOptions options = {};

  Solved<double> solve() const { return {clouds, a, b, tight(epsilon, 1e-14), cost, options}; }
  double value() const {
    Exec exec;
    return solve().plan->value(exec);
  }
};

// The entry of v that `moved` names, changed by t, and what value that gives.
template <class Member>
double moved_value(Setting s, Member member, std::size_t at, double t) {
  (s.clouds.*member)[at] += t;
  return s.value();
}

void check_points(const Setting& s, const Gradient<double>& g, const std::string& what) {
  for (std::size_t e = 0; e < s.clouds.x.size(); ++e)
    EXPECT_NEAR(g.dx[e], slope([&](double t) { return moved_value(s, &Clouds<double>::x, e, t); }),
                1e-7 * 0.1)
        << what << " x " << e;
  for (std::size_t e = 0; e < s.clouds.y.size(); ++e)
    EXPECT_NEAR(g.dy[e], slope([&](double t) { return moved_value(s, &Clouds<double>::y, e, t); }),
                1e-7 * 0.1)
        << what << " y " << e;
}

Setting setting(const testing::Mixture& mix, std::uint64_t seed = 3) {
  return {random_clouds<double>(6, 5, 2, seed, mix.mass_a, mix.mass_b), mix.a, mix.b};
}

class SeededGradient : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, SeededGradient, ::testing::Values(3, 4, 5));

// D1: points, all marginal mixtures.
TEST_P(SeededGradient, PointsByCentralDifferences) {
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const Setting s = setting(mix, GetParam());
    check_points(s, gradient(*s.solve().plan, exec), mix.name);
  }
}

// D1: every entry of a when a side is soft; with two Balanced sides what moves mass from one point
// to the next, which alone is defined.
TEST_P(SeededGradient, WeightsByCentralDifferences) {
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const Setting s = setting(mix, GetParam());
    const auto g = gradient(*s.solve().plan, exec);
    const bool hard =
        std::holds_alternative<Balanced>(mix.a) && std::holds_alternative<Balanced>(mix.b);
    const auto check = [&](const Buffer<double>& d, std::vector<double> Clouds<double>::*member) {
      for (std::int64_t i = 0; i < d.size(); ++i) {
        const std::int64_t from = (i + 1) % d.size();
        const double fd = slope([&](double t) {
          Setting moved = s;
          (moved.clouds.*member)[i] += t;
          if (hard) (moved.clouds.*member)[from] -= t;
          return moved.value();
        });
        EXPECT_NEAR(hard ? d[i] - d[from] : d[i], fd, 1e-7 * std::max(1.0, std::abs(fd)))
            << mix.name << i;
      }
    };
    check(g.da, &Clouds<double>::a);
    check(g.db, &Clouds<double>::b);
  }
}

// I3: epsilon, rho, lambda.
TEST_P(SeededGradient, EpsilonAndStrengthsByCentralDifferences) {
  Exec exec;
  const auto stronger = [](const Marginal& m, double t) -> Marginal {
    if (const auto* kl = std::get_if<KL>(&m)) return KL{kl->rho + t};
    if (const auto* tv = std::get_if<TV>(&m)) return TV{tv->lambda + t};
    return m;
  };
  for (const auto& mix : testing::mixtures()) {
    const Setting s = setting(mix, GetParam());
    const auto g = gradient(*s.solve().plan, exec);
    const auto at = [&](double t, double ta, double tb) {
      Setting moved = s;
      moved.epsilon += t;
      moved.a = stronger(s.a, ta);
      moved.b = stronger(s.b, tb);
      return moved.value();
    };
    EXPECT_NEAR(g.depsilon, slope([&](double t) { return at(t, 0, 0); }), 1e-7) << mix.name;
    EXPECT_NEAR(g.drho_a, slope([&](double t) { return at(0, t, 0); }), 1e-7) << mix.name;
    EXPECT_NEAR(g.drho_b, slope([&](double t) { return at(0, 0, t); }), 1e-7) << mix.name;
  }
}

TEST(Gradient, EveryCost) {
  Exec exec;
  for (const Cost& cost : {Cost{HalfSquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}},
                           Cost{Power{3}}, Cost{Cosine{}}, Cost{Dot{}}}) {
    Setting s = setting(testing::mixtures()[4]);
    s.cost = cost;
    check_points(s, gradient(*s.solve().plan, exec), cost_name(cost));
  }
}

// Partial transport: a_i phi(f_i) = a_i (f_i - l), and the mass is fixed.
TEST(Gradient, FixedTotalMass) {
  Exec exec;
  const TV cap{std::numeric_limits<double>::infinity()};
  const Setting s{
      random_clouds<double>(6, 5, 2, 3, 1.5, 1.1), cap, cap, kEpsilon, SquaredEuclidean{},
      {.total_mass = 0.7, .mass_tolerance = 0}};
  const auto g = gradient(*s.solve().plan, exec);
  check_points(s, g, "total mass");
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(g.da[i], slope([&](double t) { return moved_value(s, &Clouds<double>::a, i, t); }),
                1e-7)
        << i;
  for (std::size_t j = 0; j < 5; ++j)
    EXPECT_NEAR(g.db[j], slope([&](double t) { return moved_value(s, &Clouds<double>::b, j, t); }),
                1e-7)
        << j;
  EXPECT_NEAR(g.depsilon, slope([&](double t) {
                Setting moved = s;
                moved.epsilon += t;
                return moved.value();
              }),
              1e-7);
}

// D1: the derivative in C is the plan; a cost matrix has no points to differentiate in.
TEST_P(SeededGradient, CostMatrixHasThePlan) {
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const auto clouds = random_clouds<double>(4, 3, 2, GetParam(), mix.mass_a, mix.mass_b);
    auto C = clouds.costs();
    const auto solve = [&](const auto& use) {
      const Problem<double> problem(CostMatrix<double>{{C.data(), 4, 3}}, clouds.source_weights(),
                                    clouds.target_weights(), mix.a, mix.b);
      return use(Plan<double>(problem, sinkhorn(problem, tight(kEpsilon, 1e-14), exec)));
    };
    const auto P = solve([&](const Plan<double>& plan) {
      const auto g = gradient(plan, exec);
      EXPECT_EQ(g.dx.size() + g.dy.size(), 0);
      EXPECT_EQ(g.da.size(), 4);
      return plan.dense(exec);
    });
    for (std::size_t e = 0; e < C.size(); ++e) {
      const double fd = slope([&](double t) {
        C[e] += t;
        const double value = solve([&](const Plan<double>& plan) { return plan.value(exec); });
        C[e] -= t;
        return value;
      });
      EXPECT_NEAR(P[e], fd, 1e-8) << mix.name << " " << e;
    }
  }
}

// A weight that is 0 has a finite derivative: what the first grain of mass there would cost.
TEST(Gradient, ZeroWeightsHaveTheirOneSidedDerivative) {
  Exec exec;
  Setting s = setting(testing::mixtures()[4]);
  s.clouds.a[2] = 0;
  const auto g = gradient(*s.solve().plan, exec);
  for (std::int64_t e = 4; e < 6; ++e) EXPECT_EQ(g.dx[e], 0);
  const auto value = [&](double t) { return moved_value(s, &Clouds<double>::a, 2, t); };
  const double h = 1e-3;  // one-sided, third order
  const double fd =
      (-11 * value(0) + 18 * value(h) - 9 * value(2 * h) + 2 * value(3 * h)) / (6 * h);
  EXPECT_NEAR(g.da[2], fd, 1e-7);
}

// D1: float32 against double, 10 u max C / eps.
TEST_P(SeededGradient, FloatAgreesWithDouble) {
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const auto clouds = random_clouds<float>(40, 30, 3, GetParam(), mix.mass_a, mix.mass_b);
    Clouds<double> same{40,
                        30,
                        3,
                        testing::to_double(clouds.x),
                        testing::to_double(clouds.y),
                        testing::to_double(clouds.a),
                        testing::to_double(clouds.b)};
    const ProblemOptions loose{.total_mass = {}, .mass_tolerance = 1e-6};
    const Solved<float> s(clouds, mix.a, mix.b, tight(kEpsilon, 1e-6), SquaredEuclidean{}, loose);
    const Solved<double> t(same, mix.a, mix.b, tight(kEpsilon, 1e-6), SquaredEuclidean{}, loose);
    // The same pair: what is compared is the gradient, not the solve.
    const Plan<double> wide(*t.problem, kEpsilon, {s.dense.f.data(), 40}, {s.dense.g.data(), 30});
    const auto got = gradient(*s.plan, exec);
    const auto want = gradient(wide, exec);
    const double most = *std::max_element(t.dense.C.begin(), t.dense.C.end());
    const double bound = 10 * 0x1p-24 * most / kEpsilon;
    const auto close = [&](const Buffer<float>& g, const Buffer<double>& w, const char* what) {
      double size = 0;
      for (const double v : w) size = std::max(size, std::abs(v));
      for (std::int64_t i = 0; i < w.size(); ++i)
        ASSERT_NEAR(g[i], w[i], bound * size) << mix.name << what << i;
    };
    close(got.dx, want.dx, " dx ");
    close(got.dy, want.dy, " dy ");
    close(got.da, want.da, " da ");
    close(got.db, want.db, " db ");
  }
}
}  // namespace
}  // namespace monge
