#include "monge/ot/reference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "support/solved.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::Mixture;
using testing::random_clouds;

// The objective whose entropy is relative to r_a r_b^T, by its definition.
struct Referenced {
  std::vector<double> C, a, b, r_a, r_b, f, g;
  double eps;
  Marginal A, B;

  std::vector<double> plan() const {
    std::vector<double> P;
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; j < b.size(); ++j)
        P.push_back(a[i] > 0 && b[j] > 0
                        ? r_a[i] * r_b[j] * std::exp((f[i] + g[j] - C[i * b.size() + j]) / eps)
                        : 0);
    return P;
  }
  double primal() const {
    const auto P = plan();
    std::vector<double> p(a.size()), q(b.size());
    double value = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; j < b.size(); ++j) {
        const double mass = P[i * b.size() + j], r = r_a[i] * r_b[j];
        if (mass > 0) value += mass * C[i * b.size() + j] + eps * mass * std::log(mass / r);
        value += eps * (r - mass);
        p[i] += mass;
        q[j] += mass;
      }
    return value + reference::DensePair::penalty(p, a, A) + reference::DensePair::penalty(q, b, B);
  }
};

struct Asked {
  Clouds<double> clouds;
  std::vector<double> r_a, r_b;  // empty: counting
  Marginal A, B;
  double eps;

  Problem<double> problem() const { return clouds.problem(A, B); }
  // The value that was asked for, solved to the last digits.
  double value() const {
    Exec exec;
    const auto asked = problem();
    const auto referenced = with_reference(asked, eps, views(r_a), views(r_b));
    const auto result = sinkhorn(*referenced.problem, testing::tight(eps), exec);
    return referenced.map.to_asked(result).report.dual_value;
  }
  static VectorView<const double> views(const std::vector<double>& r) {
    return {r.data(), static_cast<std::int64_t>(r.size())};
  }
};

std::vector<Asked> asked_cases() {
  std::vector<Asked> out;
  std::uint64_t seed = 40;
  for (const Mixture& mix : testing::mixtures()) {
    if (std::holds_alternative<TV>(mix.a) || std::holds_alternative<TV>(mix.b)) continue;
    for (int k = 0; k < 3; ++k) {
      auto clouds = random_clouds<double>(9, 7, 2, ++seed, mix.mass_a, mix.mass_b);
      out.push_back({clouds, {}, {}, mix.a, mix.b, 0.1});
      out.push_back({clouds, testing::random_vector<double>(9, seed, 8, 0.2, 2),
                     testing::random_vector<double>(7, seed, 9, 0.2, 2), mix.a, mix.b, 0.1});
    }
  }
  return out;
}
}  // namespace

// R1: value, potentials and plan of the problem that was asked for.
TEST(Reference, EquivalentProblemGivesTheObjectiveAskedFor) {
  for (const Asked& run : asked_cases()) {
    Exec exec;
    const auto asked = run.problem();
    const auto referenced =
        with_reference(asked, run.eps, Asked::views(run.r_a), Asked::views(run.r_b));
    const auto result = sinkhorn(*referenced.problem, testing::tight(run.eps), exec);
    ASSERT_TRUE(result.report.converged);
    const auto shown = referenced.map.to_asked(result);
    const std::size_t n = run.clouds.a.size(), m = run.clouds.b.size();
    const Referenced dense{run.clouds.costs(),
                           run.clouds.a,
                           run.clouds.b,
                           run.r_a.empty() ? std::vector<double>(n, 1.0) : run.r_a,
                           run.r_b.empty() ? std::vector<double>(m, 1.0) : run.r_b,
                           testing::to_double(shown.f),
                           testing::to_double(shown.g),
                           run.eps,
                           run.A,
                           run.B};
    const double want = dense.primal();
    EXPECT_NEAR(shown.report.dual_value, want, 1e-12 * std::abs(want));
    EXPECT_NEAR(shown.report.trace.back().dual_value, want, 1e-12 * std::abs(want));

    const auto P = dense.plan();
    std::vector<double> p(n), q(m);
    for (std::size_t k = 0; k < P.size(); ++k) p[k / m] += P[k], q[k % m] += P[k];
    const double mass = result.report.transported_mass;
    EXPECT_LE(reference::DensePair::residual(p, run.clouds.a, dense.f, run.A), 1e-12 * mass);
    EXPECT_LE(reference::DensePair::residual(q, run.clouds.b, dense.g, run.B), 1e-12 * mass);
    const auto equivalent = Plan<double>(*referenced.problem, result).dense(exec);
    testing::expect_near(equivalent, P, 1e-12 * mass, "plan");
  }
}

// The bound is that of central differences: h^2/6 of the third derivative, about eps^-2 here, plus
// the rounding of two values over 2h.
TEST(Reference, GradientMatchesFiniteDifferences) {
  const double h = 1e-4, tolerance = 2e-6;
  for (const Asked& run : asked_cases()) {
    Exec exec;
    const auto asked = run.problem();
    const auto referenced =
        with_reference(asked, run.eps, Asked::views(run.r_a), Asked::views(run.r_b));
    const auto result = sinkhorn(*referenced.problem, testing::tight(run.eps), exec);
    const Plan<double> plan(*referenced.problem, result);
    const auto got = gradient(plan, referenced, exec);
    const auto difference = [&](auto&& move) {
      Asked up = run, down = run;
      move(up, h);
      move(down, -h);
      return (up.value() - down.value()) / (2 * h);
    };
    EXPECT_NEAR(got.depsilon, difference([](Asked& r, double t) { r.eps += t; }), 50 * tolerance);
    EXPECT_NEAR(got.dx[3], difference([](Asked& r, double t) { r.clouds.x[3] += t; }), tolerance);
    if (std::holds_alternative<KL>(run.A)) {
      EXPECT_NEAR(got.drho_a, difference([](Asked& r, double t) { std::get<KL>(r.A).rho += t; }),
                  tolerance);
      EXPECT_NEAR(got.da[2], difference([](Asked& r, double t) { r.clouds.a[2] += t; }), tolerance);
    }
    if (std::holds_alternative<KL>(run.B)) {
      EXPECT_NEAR(got.drho_b, difference([](Asked& r, double t) { std::get<KL>(r.B).rho += t; }),
                  tolerance);
      EXPECT_NEAR(got.db[2], difference([](Asked& r, double t) { r.clouds.b[2] += t; }), tolerance);
    }
    // Balanced: weight moved from one point to the next, which the free constant cannot see.
    EXPECT_NEAR(got.da[2] - got.da[1],
                difference([](Asked& r, double t) { r.clouds.a[2] += t, r.clouds.a[1] -= t; }),
                tolerance);
    EXPECT_NEAR(got.db[2] - got.db[1],
                difference([](Asked& r, double t) { r.clouds.b[2] += t, r.clouds.b[1] -= t; }),
                tolerance);
  }
}

// R2: the counting reference drifts with the resolution.
TEST(Reference, MassUnderRefinement) {
  const std::vector<std::int64_t> sizes{10, 50, 200, 800};
  const std::vector<double> product{0.941848, 0.941766, 0.941763, 0.941763};
  const std::vector<double> counting{1.0538, 1.1398, 1.2195, 1.3048};
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    Clouds<double> line{sizes[k], sizes[k], 1, {}, {}, {}, {}};
    for (std::int64_t i = 0; i < line.n; ++i) {
      line.x.push_back((i + 0.5) / line.n);
      line.y.push_back(line.x.back() + 0.3);
      line.a.push_back(1.0 / line.n);
      line.b.push_back(1.0 / line.n);
    }
    Exec exec;
    const auto problem = line.problem(KL{1}, KL{1});
    EXPECT_NEAR(sinkhorn(problem, testing::tight(0.05, 1e-10), exec).report.transported_mass,
                product[k], 1e-6);
    const auto referenced = with_reference(problem, 0.05, {}, {});
    EXPECT_NEAR(
        sinkhorn(*referenced.problem, testing::tight(0.05, 1e-10), exec).report.transported_mass,
        counting[k], 1e-4);
  }
}

TEST(Reference, ZeroWeightsKeepFinitePotentialsAndAStartComesBack) {
  auto clouds = random_clouds<double>(8, 6, 2, 77);
  clouds.a[3] = 0;
  Exec exec;
  const auto problem = clouds.problem(KL{0.5}, Balanced{});
  const auto referenced = with_reference(problem, 0.1, {}, {});
  const auto result = sinkhorn(*referenced.problem, testing::tight(0.1), exec);
  const auto shown = referenced.map.to_asked(result);
  EXPECT_TRUE(std::isfinite(shown.f[3]));
  const auto f = referenced.map.from_asked(Side::source, shown.f.view());
  testing::expect_near(f, testing::to_double(result.f), 1e-14, "start");
  EXPECT_EQ(referenced.map.from_asked(Side::target, {}).size(), 0);
}

TEST(Reference, RefusesWhatHasNoEquivalent) {
  const auto clouds = random_clouds<double>(4, 3, 2, 78);
  EXPECT_THROW(with_reference(clouds.problem(TV{0.3}, KL{1}), 0.1, {}, {}), NotAvailable);
  const auto problem = clouds.problem(KL{1}, KL{1});
  const std::vector<double> r{1, 0, 1, 1}, longer(5, 1.0);
  const auto zero = testing::refusal([&] { with_reference(problem, 0.1, Asked::views(r), {}); });
  EXPECT_EQ(zero.argument, "r_a");
  EXPECT_EQ(zero.index, 1);
  const auto length =
      testing::refusal([&] { with_reference(problem, 0.1, {}, Asked::views(longer)); });
  EXPECT_TRUE(length.says("5")) << length.message;
  EXPECT_EQ(testing::refusal([&] { with_reference(problem, 0.0, {}, {}); }).argument, "epsilon");
}
}  // namespace monge
