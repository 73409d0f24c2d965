#include "ot/newton_cg.hpp"

#include <gtest/gtest.h>

#include "ot/penalty.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
/// All pairs, by the formulas.
struct DenseModel {
  reference::DensePair pair;
  kernels::Penalty A, B;
  reference::Vector P, curvature;  // of the rows: D1, 0 where a bound holds f
  double dual_ = 0;

  DenseModel(const testing::Clouds<double>& clouds, double eps, Marginal a, Marginal b)
      : pair{clouds.costs(), clouds.a, clouds.b, clouds.a, clouds.b, eps, a, b},
        A(penalty_of<double>(a)),
        B(penalty_of<double>(b)) {}

  NewtonSide side() const { return {pair.b.data(), static_cast<std::int64_t>(pair.m()), B}; }
  struct Totals {};
  void respond(const kernels::ResponseArgs& args, Totals*, Exec& exec) {
    kernels::make_trial(args, exec);
    pair.g.assign(args.g, args.g + pair.m());
    curvature.assign(pair.n(), 0);
    for (std::size_t i = 0; i < pair.n(); ++i) {
      double top = -1e300, sum = 0;
      const auto score = [&](std::size_t j) {
        return (pair.g[j] - pair.C[i * pair.m() + j]) / pair.eps + std::log(pair.b[j]);
      };
      for (std::size_t j = 0; j < pair.m(); ++j) top = std::max(top, score(j));
      for (std::size_t j = 0; j < pair.m(); ++j) sum += std::exp(score(j) - top);
      const double s = -pair.eps * (top + std::log(sum));
      pair.f[i] = A.prox(s, pair.eps);
      const double p = pair.a[i] * std::exp((pair.f[i] - s) / pair.eps);
      if (A.kind == kernels::Penalty::Kind::kl)
        curvature[i] = p * (1 + pair.eps / A.strength);
      else if (pair.f[i] == s)
        curvature[i] = p;
    }
    P = pair.plan();
    const auto columns = pair.columns(P);
    std::copy(columns.begin(), columns.end(), args.q);
    kernels::settle_slopes(args, exec);
    dual_ = reference::DensePair::conjugate(pair.a, pair.f, pair.A) +
            pair.eps * reference::DensePair::sum(pair.a) * reference::DensePair::sum(pair.b);
  }
  double dual(const Totals&) const { return dual_; }
  void product(const double* v, double* out) const {
    std::fill_n(out, pair.m(), 0.0);
    for (std::size_t i = 0; i < pair.n(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < pair.m(); ++j) sum += P[i * pair.m() + j] * v[j];
      for (std::size_t j = 0; j < pair.m() && curvature[i] > 0; ++j)
        out[j] += P[i * pair.m() + j] * sum / curvature[i];
    }
  }
  void squares(double* out) const {
    std::fill_n(out, pair.m(), 0.0);
    for (std::size_t i = 0; i < pair.n(); ++i)
      for (std::size_t j = 0; j < pair.m() && curvature[i] > 0; ++j)
        out[j] += std::pow(P[i * pair.m() + j], 2) / curvature[i];
  }
  void step(const kernels::StepArgs& args, Exec& exec) const {
    const kernels::CgArgs& cg = args.cg;
    squares(args.diagonal.diagonal);
    kernels::prepare(args, exec);
    kernels::conjugate_gradients(
        cg, [&] { product(cg.p, cg.w); },
        [&] {
          kernels::each(kernels::JacobiArgs{cg.diagonal, cg.r, cg.z}, cg.n, exec);
        },
        exec);
  }
  bool projects() const {
    return A.kind == kernels::Penalty::Kind::balanced && B.kind == kernels::Penalty::Kind::balanced;
  }
};

NewtonOptions options(double eps) { return {.eps = eps, .tolerance = 1e-12, .rounding = 2e-15}; }

TEST(NewtonCg, SolvesEveryMixtureOfMarginals) {
  for (const auto& mixture : testing::mixtures()) {
    SCOPED_TRACE(mixture.name);
    const auto clouds =
        testing::random_clouds<double>(23, 31, 2, 5, mixture.mass_a, mixture.mass_b);
    Buffer<double> g(31, 0.0);
    Exec exec;
    for (double eps = 0.1; eps > 1e-3; eps /= 2) {  // each from the last
      DenseModel model(clouds, eps, mixture.a, mixture.b);
      const auto report = Newton(model, exec).run(g, options(eps));
      EXPECT_TRUE(report.converged) << eps << " " << report.residual;
      EXPECT_LE(model.pair.marginal_error(), 2e-12) << eps;
      EXPECT_NEAR(report.dual, model.pair.dual(), 1e-13) << eps;
      for (std::int64_t j = 0; j < 31; ++j) EXPECT_EQ(g[j], model.pair.g[j]);
      EXPECT_LT(report.steps, 20) << eps;
    }
  }
}

TEST(NewtonCg, FindsPairsThatDecouple) {
  testing::Clouds<double> clouds{3, 3, 1, {0, 10, 20}, {1, 11, 21}, {1, 1, 1}, {1, 1, 1}};
  DenseModel model(clouds, 0.1, KL{1}, KL{2});
  Buffer<double> g(3, 0.0);
  g[0] = 0.8, g[1] = 0.55, g[2] = 0.6;
  Exec exec;
  const auto report = Newton(model, exec).run(g, options(0.1));
  EXPECT_TRUE(report.converged);
  EXPECT_LE(report.steps, 4);
  // 1 x 1 in closed form: log P = -c / (eps + rho_a + rho_b), P = b exp(-g / rho_b)
  for (const double got : g) EXPECT_NEAR(got, 2.0 / 3.1, 1e-12);
}

// A constant is all but free: without the multiple of the curvature that gives the right-hand side
// the sum of the slope, the step would be one along it, as far as the boundary.
TEST(NewtonCg, NoStepIsSpentOnAConstantThatIsAlmostFree) {
  const double eps = 0.05;
  const auto clouds = testing::random_clouds<double>(40, 40, 2, 9, 1, 1);
  DenseModel model(clouds, eps, KL{1e7}, KL{1e7});
  Buffer<double> g(40, 0.0);
  Exec exec;
  ASSERT_TRUE(Newton(model, exec).run(g, options(eps)).converged);
  for (std::int64_t j = 0; j < 40; ++j) g[j] += eps * std::sin(7.0 * static_cast<double>(j)) / 2;
  auto one = options(eps);
  one.max_steps = 1;
  EXPECT_LE(Newton(model, exec).run(g, one).residual, 0.1);
}

TEST(NewtonCg, TakesOutConstantsOfTwoBalancedSides) {
  const auto clouds = testing::random_clouds<double>(40, 40, 2, 9, 1, 1);
  DenseModel model(clouds, 0.01, Balanced{}, Balanced{});
  Buffer<double> g(40, 3.0);
  Exec exec;
  const auto report = Newton(model, exec).run(g, options(0.01));
  EXPECT_TRUE(report.converged);
  double largest = 0;
  for (const double x : g) largest = std::max(largest, std::abs(x - 3));
  EXPECT_LT(largest, 3);  // of the order of the costs
}

TEST(NewtonCg, LeavesWhatHasNoWeightAndStopsWhenTold) {
  auto clouds = testing::random_clouds<double>(20, 30, 2, 11, 1, 1);
  clouds.b[4] = 0;
  double sum = 0;
  for (const double b : clouds.b) sum += b;
  for (double& b : clouds.b) b /= sum;
  DenseModel model(clouds, 0.01, Balanced{}, Balanced{});
  Buffer<double> g(30, 0.0);
  g[4] = 7;
  Exec exec;
  auto few = options(0.01);
  few.max_steps = 2;
  EXPECT_FALSE(Newton(model, exec).run(g, few).converged);
  EXPECT_EQ(g[4], 7);
  EXPECT_TRUE(Newton(model, exec).run(g, options(0.01)).converged);
  EXPECT_EQ(g[4], 7);
}
}  // namespace
}  // namespace monge
