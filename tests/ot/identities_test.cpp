// The identities and laws of docs/formulas.md in double on every device, each against the dense
// evaluation of the pair that came back, or against the law's other side.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/plan.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using reference::DensePair;
using reference::Vector;
using testing::back;
using testing::Clouds;
using testing::PlacedClouds;
using testing::random_clouds;
using testing::tight;

constexpr double kEpsilon = 0.05;
constexpr double kUnit = 0x1p-53;

/// Solved where the test runs; `dense` is its pair on the host.
struct There {
  PlacedClouds<double> in;
  SinkhornResult<double> result;
  Plan<double> plan;
  DensePair dense;

  There(Clouds<double> clouds, Marginal a, Marginal b, const SinkhornOptions& options,
        const ProblemOptions& given = {})
      : in(std::move(clouds), a, b, SquaredEuclidean{}, given),
        result(sinkhorn(in.problem, options, in.exec)),
        plan(in.problem, result),
        dense{in.host.costs(), in.host.a,       in.host.b, back(result.f),
              back(result.g),  options.epsilon, a,         b} {}
};

class Identities : public ::testing::TestWithParam<int> {
 protected:
  /// test(mixture, clouds): every mixture, on every device.
  template <class Test>
  void on_mixtures(std::int64_t n, std::int64_t m, const Test& test) const {
    testing::on_every_device([&] {
      for (const auto& mix : testing::mixtures()) {
        SCOPED_TRACE(mix.name);
        test(mix, random_clouds<double>(n, m, 2, GetParam(), mix.mass_a, mix.mass_b));
      }
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Seeds, Identities, ::testing::Values(1, 2, 3));

void expect_all(const Buffer<double>& got, const Vector& want, double relative,
                const std::string& what) {
  const auto host = back(got);
  double size = 0;
  for (const double v : want) size = std::max(size, std::abs(v));
  testing::expect_near(host, want, relative * size, what);
}

// I1, L1, S1, D1 at a converged pair: value, marginals, products and derivatives, by definition.
TEST_P(Identities, OfAConvergedPair) {
  on_mixtures(23, 37, [](const testing::Mixture& mix, const Clouds<double>& clouds) {
    There s(clouds, mix.a, mix.b, tight(kEpsilon));
    auto& exec = s.in.exec;
    const std::int64_t n = clouds.n, m = clouds.m;
    ASSERT_LE(s.result.report.marginal_error, 1e-13);
    EXPECT_NEAR(s.dense.marginal_error(), s.result.report.marginal_error, 1e-14);
    const double primal = s.dense.primal();
    EXPECT_NEAR(s.plan.value(exec), primal, 1e-12 * std::abs(primal));
    EXPECT_NEAR(s.result.report.dual_value, primal, 1e-12 * std::abs(primal));
    const Vector P = s.dense.plan(), p = s.dense.rows(P), q = s.dense.columns(P);
    EXPECT_NEAR(s.plan.mass(exec), DensePair::sum(P), 1e-12 * DensePair::sum(P));
    expect_all(s.plan.marginal(Side::source, exec), p, 1e-12, "p");
    expect_all(s.plan.marginal(Side::target, exec), q, 1e-12, "q");
    Vector images(2 * n), back_images(2 * m), dx(2 * n), dy(2 * m);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < m; ++j)
        for (int k = 0; k < 2; ++k) {
          const double w = P[i * m + j], x = clouds.x[2 * i + k], y = clouds.y[2 * j + k];
          images[2 * i + k] += w * y;
          back_images[2 * j + k] += w * x;
          dx[2 * i + k] += 2 * w * (x - y);
          dy[2 * j + k] += 2 * w * (y - x);
        }
    expect_all(s.plan.apply(Side::source, s.in.points(s.in.y), exec), images, 1e-12, "P y");
    expect_all(s.plan.apply(Side::target, s.in.points(s.in.x), exec), back_images, 1e-12, "P^T x");
    const auto g = gradient(s.plan, exec);
    expect_all(g.dx, dx, 1e-11, "dx");
    expect_all(g.dy, dy, 1e-11, "dy");
    // d value / d a = phi(f) - eps (p/a - m_b), and alike in b.
    const auto weights = [&](const Vector& w, const Vector& f, const Vector& marginal,
                             const Marginal& side, double other_mass) {
      Vector out;
      for (std::size_t i = 0; i < w.size(); ++i)
        out.push_back(DensePair::conjugate({1}, {f[i]}, side) -
                      kEpsilon * (marginal[i] / w[i] - other_mass));
      return out;
    };
    expect_all(g.da, weights(clouds.a, s.dense.f, p, mix.a, DensePair::sum(clouds.b)), 1e-11, "da");
    expect_all(g.db, weights(clouds.b, s.dense.g, q, mix.b, DensePair::sum(clouds.a)), 1e-11, "db");
  });
}

// I2, S1 at pairs that have not converged: residual, dual and gap of the report; no plan that is
// not a transport has a finite gap.
TEST_P(Identities, OfAPairOnItsWay) {
  on_mixtures(40, 33, [](const testing::Mixture& mix, const Clouds<double>& clouds) {
    for (const auto acceleration : {Acceleration::none, Acceleration::over_relaxation})
      for (const int budget : {2, 24}) {
        SinkhornOptions options = tight(kEpsilon, 1e-300);
        options.annealing = Annealing::off;
        options.acceleration = acceleration;
        options.max_iterations = budget;
        There s(clouds, mix.a, mix.b, options);
        const SinkhornReport& report = s.result.report;
        const double error = s.dense.marginal_error(), dual = s.dense.dual();
        EXPECT_NEAR(report.marginal_error, error, 1e-10 * error + 8e-15);
        EXPECT_NEAR(report.dual_value, dual, 1e-12 * (1 + std::abs(dual)));
        EXPECT_EQ(report.passes, 2 * report.iterations);
        if (std::isinf(report.duality_gap)) continue;
        const double primal = s.dense.primal();
        EXPECT_NEAR(report.duality_gap, primal - dual, 1e-12 * (1 + std::abs(primal)));
        EXPECT_LE(report.dual_value, primal + 1e-12 * (1 + std::abs(primal)));
      }
  });
}

// I3: lengths times 3, strengths and epsilon times 9: the value and the potentials times 9, the
// same plan.
TEST_P(Identities, ScaleWithTheCost) {
  on_mixtures(23, 37, [](const testing::Mixture& mix, const Clouds<double>& clouds) {
    const auto times = [](const Marginal& side, double s) -> Marginal {
      if (const auto* kl = std::get_if<KL>(&side)) return KL{s * kl->rho};
      if (const auto* tv = std::get_if<TV>(&side)) return TV{s * tv->lambda};
      return side;
    };
    auto scaled = clouds;
    for (auto* points : {&scaled.x, &scaled.y})
      for (double& v : *points) v *= 3;
    There one(clouds, mix.a, mix.b, tight(2 * kEpsilon)),
        other(scaled, times(mix.a, 9), times(mix.b, 9), tight(18 * kEpsilon));
    const double value = one.plan.value(one.in.exec);
    EXPECT_NEAR(other.plan.value(other.in.exec) / 9, value, 1e-12 * std::abs(value));
    expect_all(other.plan.dense(other.in.exec), back(one.plan.dense(one.in.exec)), 1e-12, "plan");
    for (const auto& [got, want] :
         {std::pair{&other.dense.f, &one.dense.f}, {&other.dense.g, &one.dense.g}})
      for (std::size_t i = 0; i < want->size(); ++i) EXPECT_NEAR((*got)[i] / 9, (*want)[i], 1e-12);
  });
}

// I3: weights of two KL sides times k_a and k_b multiply the plan by a power of each.
TEST_P(Identities, ScaleWithTheMasses) {
  testing::on_every_device([&] {
    constexpr double kRhoA = 1.2, kRhoB = 0.3, kA = 1.7, kB = 0.6, kEps = 2 * kEpsilon;
    const auto clouds = random_clouds<double>(23, 37, 2, GetParam());
    auto scaled = clouds;
    for (double& a : scaled.a) a *= kA;
    for (double& b : scaled.b) b *= kB;
    There one(clouds, KL{kRhoA}, KL{kRhoB}, tight(kEps)),
        other(scaled, KL{kRhoA}, KL{kRhoB}, tight(kEps));
    const double total = kEps + kRhoA + kRhoB;
    const double factor =
        std::pow(kA, (kEps + kRhoA) / total) * std::pow(kB, (kEps + kRhoB) / total);
    auto want = back(one.plan.dense(one.in.exec));
    for (double& v : want) v *= factor;
    expect_all(other.plan.dense(other.in.exec), want, 1e-12, "plan");
  });
}

// G1: points and the matrix of their costs.
TEST_P(Identities, PointsAreTheirMatrix) {
  on_mixtures(23, 37, [](const testing::Mixture& mix, const Clouds<double>& clouds) {
    There s(clouds, mix.a, mix.b, tight(kEpsilon));
    auto& exec = s.in.exec;
    const auto C = testing::placed(s.dense.C);
    const Problem<double> problem(
        CostMatrix<double>{{C.data(), clouds.n, clouds.m, clouds.m, 1, exec.device}}, s.in.a.view(),
        s.in.b.view(), mix.a, mix.b);
    const auto result = sinkhorn(problem, tight(kEpsilon), exec);
    const double tolerance = 1e-11 * *std::max_element(s.dense.C.begin(), s.dense.C.end());
    testing::expect_near(back(result.f), s.dense.f, tolerance, "f");
    testing::expect_near(back(result.g), s.dense.g, tolerance, "g");
    const Plan<double> plan(problem, result);
    EXPECT_NEAR(plan.value(exec), s.plan.value(exec), tolerance);
    testing::expect_near(back(plan.marginal(Side::source, exec)),
                         back(s.plan.marginal(Side::source, exec)), tolerance, "p");
  });
}

/// The clouds with points of weight 0 between and behind them: far ones, and one on each point.
Clouds<double> with_empty_points(const Clouds<double>& from) {
  Clouds<double> out{0, 0, from.d, {}, {}, {}, {}};
  const auto fill = [&](const std::vector<double>& x, const std::vector<double>& a,
                        const std::vector<double>& others, std::vector<double>& to,
                        std::vector<double>& weights) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      to.insert(to.end(), x.begin() + i * from.d, x.begin() + (i + 1) * from.d);
      weights.push_back(a[i]);
      const std::size_t j = i % (others.size() / from.d);
      for (std::int64_t k = 0; k < from.d; ++k) to.push_back(others[j * from.d + k]);
      to.insert(to.end(), from.d, 1e6);
      weights.insert(weights.end(), 2, 0.0);
    }
  };
  fill(from.x, from.a, from.y, out.x, out.a);
  fill(from.y, from.b, from.x, out.y, out.b);
  out.n = std::ssize(out.a);
  out.m = std::ssize(out.b);
  return out;
}

// I4: at epsilon 1e-6 too, where potentials are a million epsilon: no large number stands for
// log 0. Sums in another order lose a few units of a value's terms.
TEST_P(Identities, EmptyPointsAreAsIfRemoved) {
  on_mixtures(23, 37, [](const testing::Mixture& mix, const Clouds<double>& clouds) {
    for (const double eps : {kEpsilon, 1e-6}) {
      SinkhornOptions options = tight(eps);
      if (eps < 1e-3) {  // one iteration: the best pair of several is rounding's choice
        options.max_iterations = 1;
        options.annealing = Annealing::off;
        options.acceleration = Acceleration::none;
      }
      There without(clouds, mix.a, mix.b, options),
          with(with_empty_points(clouds), mix.a, mix.b, options);
      const auto& pair = without.dense;
      double size = eps * (DensePair::sum(clouds.a) * DensePair::sum(clouds.b) +
                           without.result.report.transported_mass);
      for (std::size_t i = 0; i < pair.n(); ++i) size += pair.a[i] * std::abs(pair.f[i]);
      for (std::size_t j = 0; j < pair.m(); ++j) size += pair.b[j] * std::abs(pair.g[j]);
      EXPECT_NEAR(with.result.report.dual_value, without.result.report.dual_value,
                  4 * kUnit * size);
      const double rounding = eps < 1e-3 ? 16 * kUnit : 1e-12;
      for (std::size_t i = 0; i < pair.n(); ++i)
        EXPECT_NEAR(with.dense.f[3 * i], pair.f[i], rounding) << i;
      for (std::size_t j = 0; j < pair.m(); ++j)
        EXPECT_NEAR(with.dense.g[3 * j], pair.g[j], rounding) << j;
      for (const auto* potential : {&with.dense.f, &with.dense.g})
        for (const double v : *potential) EXPECT_TRUE(std::isfinite(v));
      const auto p = back(with.plan.marginal(Side::source, with.in.exec));
      for (std::size_t i = 0; i < p.size(); ++i) {
        if (i % 3) {
          EXPECT_EQ(p[i], 0);
        }
      }
    }
  });
}

// I4: one point where another is.
TEST(IdentitiesOfOnePoint, CostNothing) {
  testing::on_every_device([] {
    for (const double at : {0.0, -3.7, 1e9}) {
      const Clouds<double> one{1, 1, 3, {at, at, at}, {at, at, at}, {1}, {1}};
      for (const double eps : {1e-6, 1.0}) {
        There s(one, Balanced{}, Balanced{}, tight(eps));
        EXPECT_TRUE(s.result.report.converged);
        EXPECT_EQ(s.plan.value(s.in.exec), 0);
        EXPECT_EQ(s.plan.mass(s.in.exec), 1);
      }
    }
  });
}

// S5: from its own pair a solve ends at once; from that of another epsilon, sooner than from none.
TEST_P(Identities, WarmStarts) {
  on_mixtures(60, 45, [](const testing::Mixture& mix, const Clouds<double>& clouds) {
    SinkhornOptions options;
    options.epsilon = 0.01;
    options.check_every = 1;
    There cold(clouds, mix.a, mix.b, options);
    ASSERT_TRUE(cold.result.report.converged);
    const Start<double> start{cold.result.f.view(), cold.result.g.view()};
    EXPECT_EQ(sinkhorn(cold.in.problem, options, cold.in.exec, start).report.iterations, 1);
    options.epsilon = 0.0105;
    const auto warm = sinkhorn(cold.in.problem, options, cold.in.exec, start).report;
    EXPECT_TRUE(warm.converged);
    EXPECT_LT(warm.passes, sinkhorn(cold.in.problem, options, cold.in.exec).report.passes);
  });
}
}  // namespace
}  // namespace monge
