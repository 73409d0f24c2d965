#include "monge/ot/sinkhorn.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "monge/core/random.hpp"
#include "monge/ot/plan.hpp"
#include "reference/dense_pair.hpp"

namespace monge {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Two clouds with ramped weights and unequal masses unless a side is Balanced on both ends.
template <class T>
struct Clouds {
  std::int64_t n, m;
  int d;
  std::vector<T> x, y, a, b;

  Clouds(std::int64_t n, std::int64_t m, int d, std::uint64_t seed, double mass_a = 1,
         double mass_b = 1)
      : n(n), m(m), d(d), x(n * d), y(m * d), a(n), b(m) {
    for (std::int64_t i = 0; i < n * d; ++i) x[i] = static_cast<T>(philox_uniform(seed, 0, i));
    for (std::int64_t i = 0; i < m * d; ++i)
      y[i] = static_cast<T>(0.8 * philox_uniform(seed, 1, i) + 0.3);
    const auto ramp = [](std::vector<T>& w, double mass) {
      double total = 0;
      for (std::size_t i = 0; i < w.size(); ++i)
        total += 1 + 2.0 * static_cast<double>(i) / w.size();
      for (std::size_t i = 0; i < w.size(); ++i)
        w[i] = static_cast<T>(mass * (1 + 2.0 * static_cast<double>(i) / w.size()) / total);
    };
    ramp(a, mass_a);
    ramp(b, mass_b);
  }
  Problem<T> problem(Marginal A, Marginal B, ProblemOptions options = {}) const {
    if (!options.mass_tolerance) options.mass_tolerance = 1e-6;
    return Problem<T>(PointCloud<T>{{x.data(), n, d}, {y.data(), m, d}}, {a.data(), n},
                      {b.data(), m}, A, B, options);
  }
  reference::DensePair pair(const SinkhornResult<T>& r, double eps, Marginal A, Marginal B) const {
    reference::DensePair out{{},
                             {a.begin(), a.end()},
                             {b.begin(), b.end()},
                             {r.f.begin(), r.f.end()},
                             {r.g.begin(), r.g.end()},
                             eps,
                             A,
                             B};
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < m; ++j) {
        double c = 0;
        for (int k = 0; k < d; ++k) {
          const double diff = static_cast<double>(x[i * d + k]) - static_cast<double>(y[j * d + k]);
          c += diff * diff;
        }
        out.C.push_back(c);
      }
    return out;
  }
};

SinkhornOptions plain(double eps, double tolerance) {
  SinkhornOptions o;
  o.epsilon = eps;
  o.tolerance = tolerance;
  o.check_every = 1;
  o.annealing = Annealing::off;
  o.acceleration = Acceleration::none;
  return o;
}

struct Mixture {
  const char* name;
  Marginal A, B;
  double mass_a, mass_b;
};
const std::vector<Mixture> kMixtures = {{"balanced", Balanced{}, Balanced{}, 1.3, 1.3},
                                        {"kl", KL{1.0}, KL{0.3}, 1.5, 1},
                                        {"kl balanced", KL{2.0}, Balanced{}, 1.5, 1},
                                        {"balanced kl", Balanced{}, KL{0.7}, 0.8, 1},
                                        {"tv", TV{0.3}, TV{0.2}, 1.5, 1},
                                        {"tv kl", TV{0.25}, KL{1.0}, 1.5, 1},
                                        {"kl tv", KL{0.6}, TV{0.2}, 1.5, 1},
                                        {"tv balanced", TV{0.25}, Balanced{}, 1.5, 1},
                                        {"balanced tv", Balanced{}, TV{0.4}, 0.9, 1}};

// S1, S2, I1, I2: what the report says of the returned pair is what a dense evaluation finds.
// Of the pair that is returned, whichever check it came from. Storing f and g rounds each entry
// once: u of its size, with the weight of the entry and the mass of the other side.
template <class T>
void expect_gauge(Acceleration acceleration, int max_iterations) {
  const Clouds<T> clouds(60, 45, 3, 5, 2, 2);
  auto options = plain(0.02, 1e-6);
  options.acceleration = acceleration;
  options.max_iterations = max_iterations;
  Exec exec;
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  const auto result = sinkhorn(problem, options, exec);
  ASSERT_GT(result.report.trace.size(), 1U);
  double of_f = 0, of_g = 0, size = 0;
  for (std::int64_t i = 0; i < clouds.n; ++i) {
    of_f += problem.mass_b() * clouds.a[i] * result.f[i];
    size += problem.mass_b() * clouds.a[i] * std::abs(result.f[i]);
  }
  for (std::int64_t j = 0; j < clouds.m; ++j) {
    of_g += problem.mass_a() * clouds.b[j] * result.g[j];
    size += problem.mass_a() * clouds.b[j] * std::abs(result.g[j]);
  }
  // Rounding of the potentials, and of sums of n and of m terms in double.
  const double sums = static_cast<double>(clouds.n + clouds.m) * 0x1p-53;
  EXPECT_NEAR(of_f, of_g, (std::numeric_limits<T>::epsilon() + sums) * size);
}

TEST(Sinkhorn, TwoBalancedSidesShareTheFreeConstantByMass) {
  for (const auto acceleration : {Acceleration::none, Acceleration::over_relaxation})
    for (const int iterations : {5, 2000}) {
      expect_gauge<float>(acceleration, iterations);
      expect_gauge<double>(acceleration, iterations);
    }
}

TEST(Sinkhorn, ReportBelongsToTheReturnedPair) {
  for (const Mixture& mix : kMixtures)
    for (const auto acceleration : {Acceleration::none, Acceleration::over_relaxation})
      for (const std::uint64_t seed : {1, 2, 3}) {
        SCOPED_TRACE(mix.name);
        const Clouds<double> data(40, 33, 2, seed, mix.mass_a, mix.mass_b);
        const auto problem = data.problem(mix.A, mix.B);
        for (const int budget : {3, 24, 47, 20000}) {
          SinkhornOptions options = plain(0.05, 1e-12);
          options.acceleration = acceleration;
          options.check_every = 7;
          options.max_iterations = budget;
          Exec exec;
          const auto r = sinkhorn(problem, options, exec);
          if (budget == 20000) {
            EXPECT_TRUE(r.report.converged) << to_string(r.report.status);
          }
          EXPECT_EQ(r.report.passes, 2 * r.report.iterations);  // checks cost no pass
          const auto pair = data.pair(r, 0.05, mix.A, mix.B);
          const double explicit_error = pair.marginal_error();
          const double mass = reference::DensePair::sum(pair.plan());
          // Rounding: potentials of size 3 stored in double move log P by 3u/eps.
          EXPECT_NEAR(r.report.marginal_error, explicit_error, 1e-10 * explicit_error + 8e-15);
          EXPECT_NEAR(r.report.transported_mass, mass, 1e-12 * mass);
          EXPECT_NEAR(r.report.dual_value, pair.dual(), 1e-12 * (std::abs(pair.dual()) + 1));
          if (std::isfinite(r.report.duality_gap)) {  // feasible, so the primal bounds the dual
            EXPECT_LE(r.report.dual_value, pair.primal() + 1e-12 * 3);
            EXPECT_NEAR(r.report.duality_gap, pair.primal() - pair.dual(), 1e-12 * 3);
          }
          const auto hard = [](const Marginal& side) {
            return std::holds_alternative<Balanced>(side);
          };
          const double missed = (hard(mix.A) ? r.report.trace.back().residual_a : 0) +
                                (hard(mix.B) ? r.report.trace.back().residual_b : 0);
          if (budget == 3 && missed > 1e-10) {
            EXPECT_EQ(r.report.duality_gap, kInfinity);
          }
          if (r.report.converged) {
            EXPECT_NEAR(pair.primal(), pair.dual(), 1e-11);
          }
        }
      }
}

// I2: at fixed epsilon the dual never falls, relaxed or not.
TEST(Sinkhorn, DualNeverFallsAtFixedEpsilon) {
  for (const Mixture& mix : kMixtures)
    for (const std::uint64_t seed : {5, 6, 7}) {
      SCOPED_TRACE(mix.name);
      const Clouds<double> data(50, 41, 2, seed, mix.mass_a, mix.mass_b);
      SinkhornOptions options = plain(0.005, 1e-10);
      options.acceleration = Acceleration::over_relaxation;
      options.check_every = 3;
      options.max_iterations = 400;
      Exec exec;
      const auto r = sinkhorn(data.problem(mix.A, mix.B), options, exec);
      const auto& trace = r.report.trace;
      for (std::size_t k = 1; k < trace.size(); ++k)
        EXPECT_GE(trace[k].dual_value,
                  trace[k - 1].dual_value - 8 * 0x1p-53 * (std::abs(trace[k].dual_value) + 1))
            << k;
    }
}

// S3: the translation recovers a known shift of the potentials in one step. The pair that is
// shifted is solved as far as it goes: a residual r leaves a translation of up to r rho.
TEST(Sinkhorn, TranslationRecoversAKnownShift) {
  for (const std::uint64_t seed : {3, 4, 5})
    for (const auto& [A, B] : {std::pair<Marginal, Marginal>{KL{10.0}, KL{10.0}},
                               {KL{10.0}, Balanced{}},
                               {Balanced{}, KL{3.0}}}) {
      const Clouds<double> data(30, 30, 2, seed, 1.5, 1);
      const auto problem = data.problem(A, B);
      Exec exec;
      auto r = sinkhorn(problem, plain(0.05, 1e-15), exec);
      ASSERT_LE(r.report.marginal_error, 1e-13);
      std::vector<double> f(r.f.begin(), r.f.end()), g(r.g.begin(), r.g.end());
      for (double& v : f) v += 0.3;
      for (double& v : g) v -= 0.3;
      const auto again =
          sinkhorn(problem, plain(0.05, 1e-11), exec, {{f.data(), 30}, {g.data(), 30}});
      EXPECT_EQ(again.report.iterations, 1);
      for (int i = 0; i < 30; ++i) EXPECT_NEAR(again.f[i], r.f[i], 1e-13);
    }
}

// S5 and the budget.
class WarmStart : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, WarmStart, ::testing::Values(8, 9, 10));
TEST_P(WarmStart, CallbackAndBudget) {
  const Clouds<double> data(60, 45, 3, GetParam(), 1.2, 1);
  const auto problem = data.problem(KL{1.0}, KL{1.0});
  Exec exec;
  SinkhornOptions options;
  options.epsilon = 0.01;
  const auto cold = sinkhorn(problem, options, exec);
  ASSERT_TRUE(cold.report.converged);
  const auto warm = sinkhorn(problem, options, exec, {cold.f.view(), cold.g.view()});
  EXPECT_EQ(warm.report.iterations, 1);
  EXPECT_TRUE(warm.report.converged);

  options.epsilon = 0.012;
  const auto across = sinkhorn(problem, options, exec, {cold.f.view(), cold.g.view()});
  const auto passes = sinkhorn(problem, options, exec).report.passes;
  EXPECT_LT(across.report.passes, passes);

  // Every third source left out: what the rest found, extended to all of them.
  Clouds<double> some = data;
  some.x.clear();
  some.a.clear();
  for (std::int64_t i = 0; i < data.n; ++i)
    if (i % 3) {
      some.x.insert(some.x.end(), &data.x[3 * i], &data.x[3 * i] + 3);
      some.a.push_back(1.5 * data.a[i]);
    }
  some.n = std::ssize(some.a);
  const auto subproblem = some.problem(KL{1.0}, KL{1.0});
  const Plan<double> plan(subproblem, sinkhorn(subproblem, options, exec));
  const auto extended = plan.potential(Side::source, {data.x.data(), data.n, 3}, exec);
  const auto further = sinkhorn(problem, options, exec, {extended.view(), plan.g()});
  EXPECT_TRUE(further.report.converged);
  EXPECT_LT(further.report.passes, passes);

  options.max_iterations = 0;
  EXPECT_THROW(sinkhorn(problem, options, exec), InvalidArgument);
  options.max_iterations = 1;
  const auto one = sinkhorn(problem, options, exec);
  EXPECT_EQ(one.report.iterations, 1);
  EXPECT_EQ(one.report.status, Status::max_iterations);
  EXPECT_EQ(one.report.epsilon, 0.012);
  EXPECT_NEAR(one.report.marginal_error, data.pair(one, 0.012, KL{1.0}, KL{1.0}).marginal_error(),
              1e-10);

  options.max_iterations = 10000;
  options.annealing = Annealing::off;
  options.check_every = 1;
  int checks = 0;
  double last = 0;
  options.on_check = [&](const SinkhornReport& report) {
    last = report.marginal_error;
    return ++checks < 4;
  };
  const auto stopped = sinkhorn(problem, options, exec);
  EXPECT_EQ(stopped.report.status, Status::stopped);
  EXPECT_EQ(stopped.report.iterations, 4);
  EXPECT_EQ(stopped.report.marginal_error, last);
  EXPECT_NEAR(last, data.pair(stopped, 0.012, KL{1.0}, KL{1.0}).marginal_error(), 1e-12 * last);
}

// A far point whose weight no single target can take: its mass must be split while epsilon is
// large, later the potentials would have thousands of epsilon to go. Loose annealing levels stood
// still at an error of 7e-3.
TEST(Sinkhorn, AnOutliersMassIsSplitWhileEpsilonIsLarge) {
  Clouds<double> data(10, 8, 2, 1);
  const auto spiral = [](std::vector<double>& points, int n, double start) {
    for (int k = 0; k < n; ++k) {
      const double radius = std::sqrt((k + 0.5) / n), angle = 2.4 * k + start;
      points[2 * k] = radius * std::cos(angle);
      points[2 * k + 1] = radius * std::sin(angle);
    }
  };
  spiral(data.x, 9, 0);
  spiral(data.y, 8, 0.7);
  data.x[18] = 1e4;
  data.x[19] = 30;
  for (int i = 0; i < 10; ++i) data.a[i] = (1 + i / 10.0) / 14.5;
  for (int j = 0; j < 8; ++j) data.b[j] = (1 + j / 16.0) / 9.75;
  SinkhornOptions options;
  options.epsilon = 0.05;
  options.acceleration = Acceleration::none;  // others arrive before it stands still
  Exec exec;
  const auto r = sinkhorn(data.problem(Balanced{}, Balanced{}), options, exec);
  EXPECT_EQ(r.report.status, Status::converged) << r.report.marginal_error;

  // It annealed more than once, and looked at the first iteration after each time.
  int times = 0;
  const auto& trace = r.report.trace;
  for (std::size_t k = 1; k < trace.size(); ++k) {
    if (trace[k].epsilon != options.epsilon || trace[k - 1].epsilon == options.epsilon) continue;
    ++times;
    EXPECT_EQ(trace[k].iterations, trace[k - 1].iterations + 1) << "annealing " << times;
  }
  EXPECT_GT(times, 1);
}

// S6: what cannot be reached is said.
TEST(Sinkhorn, StatusIsHonest) {
  const Clouds<float> data(60, 60, 1, 0);
  Exec exec;
  SinkhornOptions options;
  options.epsilon = 1e-4;
  options.tolerance = 1e-9;
  options.max_iterations = 100000;
  const auto r = sinkhorn(data.problem(Balanced{}, Balanced{}), options, exec);
  EXPECT_EQ(r.report.status, Status::precision_floor);
  EXPECT_GT(r.report.predicted_floor, options.tolerance);
  EXPECT_FALSE(r.report.converged);

  options.criterion = Criterion::gap;
  EXPECT_THROW(sinkhorn(data.problem(Balanced{}, Balanced{}), options, exec), InvalidArgument);
  for (const double bad : {0.0, -1.0, std::nan(""), kInfinity}) {
    SinkhornOptions wrong;
    wrong.epsilon = bad;
    EXPECT_THROW(sinkhorn(data.problem(KL{1}, KL{1}), wrong, exec), InvalidArgument);
  }
}

// S6: a weight that is infinite on the way ends the solve with the last pair that was measured.
TEST(Sinkhorn, ANumberThatIsNotFiniteIsDivergence) {
  for (const std::uint64_t seed : {1, 2, 3})
    for (const auto acceleration :
         {Acceleration::none, Acceleration::over_relaxation, Acceleration::anderson}) {
      SCOPED_TRACE(to_string(acceleration));
      const Clouds<double> data(40, 33, 2, seed, 1.2, 1);
      auto weights = data.a;
      const Problem<double> problem(
          PointCloud<double>{{data.x.data(), 40, 2}, {data.y.data(), 33, 2}}, {weights.data(), 40},
          {data.b.data(), 33}, KL{1}, KL{1});
      SinkhornOptions options = plain(0.005, 1e-13);
      options.acceleration = acceleration;
      int checks = 0;
      options.on_check = [&](const SinkhornReport&) {
        if (++checks == 5) weights[7] = kInfinity;
        return true;
      };
      Exec exec;
      const auto r = sinkhorn(problem, options, exec);
      EXPECT_EQ(r.report.status, Status::diverged);
      EXPECT_FALSE(r.report.converged);
      EXPECT_EQ(checks, 5);
      for (const auto* potential : {&r.f, &r.g})
        for (const double v : *potential) EXPECT_TRUE(std::isfinite(v));
      const double error = data.pair(r, 0.005, KL{1}, KL{1}).marginal_error();
      EXPECT_NEAR(error, r.report.marginal_error, 1e-10 * error);
    }
}

// The first pair has f = -1 against costs of -100: a mass of exp(990).
TEST(Sinkhorn, AMassThatOverflowsAtFirstIsNoEnd) {
  const double x[] = {10}, y[] = {10, -10}, weights[] = {0.5, 0.5};
  const Problem<double> problem(PointCloud<double>{{x, 1, 1}, {y, 2, 1}, Dot{}}, {}, {weights, 2},
                                TV{1}, KL{1});
  SinkhornOptions options;
  options.epsilon = 0.1;
  Exec exec;
  const auto result = sinkhorn(problem, options, exec);
  EXPECT_EQ(result.report.status, Status::converged);
  // f = -1, g = rho/(rho + eps) (f + C_j)
  EXPECT_NEAR(result.f[0], -1, 1e-12);
  EXPECT_NEAR(result.g[0], (1 - 100) / 1.1, 1e-9);
}

TEST(Sinkhorn, GapCriterion) {
  const Clouds<double> data(40, 40, 2, 4, 1.5, 1);
  for (const auto& [A, B] : {std::pair<Marginal, Marginal>{KL{1.0}, KL{2.0}},
                             {KL{1.0}, Balanced{}},
                             {Balanced{}, KL{1.0}},
                             {TV{0.3}, TV{0.2}}}) {
    SinkhornOptions options;
    options.epsilon = 0.05;
    options.tolerance = 1e-9;
    options.criterion = Criterion::gap;
    Exec exec;
    const auto r = sinkhorn(data.problem(A, B), options, exec);
    EXPECT_TRUE(r.report.converged);
    const auto pair = data.pair(r, 0.05, A, B);
    EXPECT_LE(r.report.duality_gap, 1e-9 * (std::abs(r.report.dual_value) + 0.05));
    // A Balanced side is exact up to rounding, where the primal is defined.
    EXPECT_NEAR(pair.primal() - pair.dual(), r.report.duality_gap, 1e-12);
  }
}

// I5, partial transport: mass exact, capacities kept, dual = primal.
class TotalMass : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, TotalMass, ::testing::Values(6, 7, 8));
TEST_P(TotalMass, OfPartialTransport) {
  for (const double M : {0.01, 0.5, 0.9}) {
    const Clouds<double> data(40, 30, 2, GetParam(), 1.5, 1);
    const auto problem = data.problem(TV{kInfinity}, TV{kInfinity}, {.total_mass = M});
    SinkhornOptions options;
    options.epsilon = 0.02;
    options.tolerance = 1e-13;
    options.max_iterations = 100000;
    Exec exec;
    const auto r = sinkhorn(problem, options, exec);
    ASSERT_TRUE(r.report.converged) << M << " " << r.report.marginal_error;
    const auto pair = data.pair(r, 0.02, Balanced{}, Balanced{});  // penalties are zero
    const auto P = pair.plan();
    const auto p = pair.rows(P), q = pair.columns(P);
    EXPECT_NEAR(reference::DensePair::sum(P), M, 1e-12);
    for (int i = 0; i < 40; ++i) EXPECT_LE(p[i], data.a[i] + 1e-12);
    for (int j = 0; j < 30; ++j) EXPECT_LE(q[j], data.b[j] + 1e-12);
    EXPECT_NEAR(r.report.dual_value, pair.primal(), 1e-12);
    EXPECT_NEAR(r.report.transported_mass, M, 1e-12);
  }
}

// All of the smaller mass: that side is Balanced, the other p <= b.
TEST_P(TotalMass, EqualToOneSide) {
  const Clouds<double> data(40, 30, 2, GetParam(), 1.5, 1);
  const auto problem = data.problem(TV{kInfinity}, TV{kInfinity}, {.total_mass = 1.0});
  SinkhornOptions options;
  options.epsilon = 0.02;
  options.tolerance = 1e-13;
  options.max_iterations = 100000;
  Exec exec;
  const auto r = sinkhorn(problem, options, exec);
  ASSERT_TRUE(r.report.converged);
  const auto pair = data.pair(r, 0.02, Balanced{}, Balanced{});
  const auto P = pair.plan();
  const auto p = pair.rows(P), q = pair.columns(P);
  for (int j = 0; j < 30; ++j) EXPECT_NEAR(q[j], data.b[j], 1e-12);
  for (int i = 0; i < 40; ++i) EXPECT_LE(p[i], data.a[i] + 1e-12);
  EXPECT_NEAR(r.report.dual_value, pair.primal(), 1e-12);
}

// P3: repeats and threads change no bit.
TEST(Sinkhorn, SameBitsWhateverTheThreads) {
  const Clouds<float> data(700, 513, 3, 9, 1.5, 1);
  const auto problem = data.problem(KL{1.0}, KL{1.0});
  SinkhornOptions options;
  options.epsilon = 0.01;
  std::vector<std::vector<float>> seen;
  for (const int threads : {1, 1, 2, 8}) {
    Exec exec;
    exec.threads = threads;
    const auto r = sinkhorn(problem, options, exec);
    seen.emplace_back(r.f.begin(), r.f.end());
  }
  for (const auto& f : seen) EXPECT_EQ(f, seen[0]);
}

TEST(Sinkhorn, StopFlagAndProgressInterrupt) {
  const Clouds<float> data(3000, 3000, 3, 9);
  const auto problem = data.problem(Balanced{}, Balanced{});
  SinkhornOptions options;
  options.epsilon = 1e-4;
  std::atomic<bool> stop{true};
  Exec exec;
  exec.stop = &stop;
  EXPECT_THROW(sinkhorn(problem, options, exec), Interrupted);
  Exec polled;
  polled.progress = [](const Progress&) { return false; };
  EXPECT_THROW(sinkhorn(problem, options, polled), Interrupted);
}
}  // namespace
}  // namespace monge
