#include "ot/support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "monge/ot/batch.hpp"
#include "support/placed_clouds.hpp"
#include "support/small_epsilon.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
constexpr std::int64_t kBudget = std::int64_t{1} << 28;

/// A problem on current_device(), annealed by plain steps to where a phase may begin.
template <class T>
struct Begun {
  testing::PlacedClouds<T> in;
  Exec& exec = in.exec;
  Operator<T> op;
  Alternation<T> alternation;

  Begun(testing::Clouds<T> clouds, Marginal a, Marginal b, double eps, double error = 1e-2,
        int threads = 0)
      : in(std::move(clouds), a, b), op(in.problem), alternation(in.problem, op, true, exec) {
    exec.threads = threads;
    alternation.start({}, exec);
    for (double level = std::max(0.2, eps);; level = std::max(level / 2, eps)) {
      alternation.set_epsilon(level);
      for (int step = 0; step < 1000; ++step) {
        alternation.lead(1, exec);
        alternation.sweep_following(exec);
        const bool done = alternation.check(exec).marginal_error <= error;
        alternation.follow(1, exec);
        if (done) break;
      }
      if (level == eps) return;
    }
  }

  /// Down to `target`; the errors there, visit after visit, until `visits` or the tolerance.
  std::vector<double> run(double target, double tolerance, int visits = 100,
                          std::int64_t budget = kBudget) {
    std::vector<double> errors;
    Buffer<T> f_there, g_there;
    SupportPhase<T> phase(alternation, tolerance, budget, exec);
    outcome = phase.run(target, [&](const auto& check) {
      if (alternation.epsilon() != target) return false;
      errors.push_back(check.marginal_error);
      SplitPair<T> pair;
      alternation.copy_pair(check, pair, exec);
      auto result = std::move(pair).with({});
      f_there = std::move(result.f);
      g_there = std::move(result.g);
      return check.marginal_error <= tolerance || static_cast<int>(errors.size()) == visits;
    });
    f = f_there.to(Device{});
    g = g_there.to(Device{});
    return errors;
  }
  SupportOutcome outcome;
  Buffer<T> f, g;
};

/// The restricted problem of a pair, k entries a row.
struct RestrictedPair {
  Begun<double> begun;
  Alternation<double>::TopLists rows, columns;
  Restricted<double> model;
  Buffer<double> g;

  RestrictedPair(const testing::Mixture& mixture, std::int64_t n, std::int64_t m, int k, double eps,
                 std::uint64_t seed = 3)
      : begun(testing::random_clouds<double>(n, m, 2, seed, mixture.mass_a, mixture.mass_b),
              mixture.a, mixture.b, eps, 0.1),
        model(begun.alternation.leading(), begun.alternation.following(), begun.exec) {
    begun.alternation.visit(k, rows, columns, begun.exec);
    model.refresh(rows, columns, eps, begun.exec);
    const auto& following = begun.alternation.following();
    g = Buffer<double>(following.weight.size);
    std::copy_n(following.potential, g.size(), g.begin());
  }
  const auto& half() const { return begun.alternation.following(); }
  double eps() const { return begun.alternation.epsilon(); }

  /// The restricted dual, and q.
  double dual(Buffer<double>& q) {
    Buffer<double> slopes(3 * g.size());
    double* const at = slopes.data();
    kernels::SlopeArgs::Result sums;
    const auto side = model.side();
    Restricted<double>::Totals totals;
    model.respond({.n = side.size,
                   .g = g.data(),
                   .q = q.data(),
                   .slope = {side.weight, g.data(), q.data(), side.penalty, eps(), at,
                             at + side.size, at + 2 * side.size, &sums}},
                  &totals, begun.exec);
    return model.dual(totals) + sums.value[0] - eps() * sums.value[1];
  }
};

// A1: the slope of the dual, f at its best, is t - q.
TEST(Restricted, IsStationaryInWhatItEliminates) {
  for (const auto& mixture : testing::mixtures())
    for (const std::uint64_t seed : {3, 4, 5}) {
      SCOPED_TRACE(mixture.name);
      RestrictedPair pair(mixture, 60, 50, 3, 0.02, seed);
      Buffer<double> q(pair.g.size()), moved(pair.g.size());
      pair.dual(q);
      EXPECT_GT(pair.model.lost(), 0.01);  // the remainders matter
      const double h = 1e-3 * pair.eps();
      for (const std::int64_t j : {0, 7, 23, 41}) {
        const double at = pair.g[j];
        const auto value = [&](double by) {
          pair.g[j] = at + by;
          return pair.dual(moved);
        };
        const double slope = (8 * (value(h) - value(-h)) - value(2 * h) + value(-2 * h)) / (12 * h);
        pair.g[j] = at;
        const auto& penalty = pair.half().penalty;
        const double target =
            pair.half().weight[j] *
            (penalty.kind == kernels::Penalty::Kind::kl ? std::exp(-at / penalty.strength) : 1);
        EXPECT_NEAR(slope, target - q[j], 1e-9) << j;
      }
    }
}

TEST(Restricted, IsTheWholeProblemOnAllPairs) {
  for (const auto& mixture : testing::mixtures()) {
    SCOPED_TRACE(mixture.name);
    RestrictedPair pair(mixture, 40, 40, 40, 0.02);
    Buffer<double> q(pair.g.size());
    const double dual = pair.dual(q);
    EXPECT_EQ(pair.model.lost(), 0);
    const auto check = pair.begun.alternation.check(pair.begun.exec);
    EXPECT_NEAR(dual, check.dual, 1e-12);
    for (std::int64_t i = 0; i < 40; ++i) {
      EXPECT_NEAR(pair.model.row_softmin()[i], pair.begun.alternation.leading().softmin[i], 1e-12);
      EXPECT_NEAR(pair.model.column_softmin()[i], pair.half().softmin[i], 1e-12);
    }
  }
}

// The pair that was visited is one of the restricted problem too, whatever the support is.
TEST(Restricted, AgreesWithAllPairsWhereItWasMade) {
  for (const int k : {1, 5}) {
    RestrictedPair pair(testing::mixtures()[0], 80, 60, k, 0.01);
    Buffer<double> q(pair.g.size());
    const double dual = pair.dual(q);
    double mass = 0;
    for (const double value : q) mass += value;
    // What is outside counts once for its rows and once for its columns.
    EXPECT_NEAR(dual + pair.eps() * mass * pair.model.lost(),
                pair.begun.alternation.check(pair.begun.exec).dual, 1e-12);
    for (std::int64_t i = 0; i < 60; ++i)
      EXPECT_NEAR(pair.model.column_softmin()[i], pair.half().softmin[i], 1e-12);
  }
}

struct Case {
  const char* name;
  double eps;
};

// A2: what one solve on the support brings.
TEST(SupportSlow, AVisitTakesTheResidualDownAHundredfold) {
  for (const auto& [name, eps] : {Case{"cube3d", 1e-3}, Case{"clusters3d", 1e-4},
                                  Case{"gauss16d", 1e-3}, Case{"gauss64d", 1e-3}})
    for (const std::uint64_t seed : {1, 2, 3}) {
      SCOPED_TRACE(name);
      testing::on_every_device([&, name = name, eps = eps] {
        Begun<double> begun(testing::small_epsilon<double>(name, 512, seed), Balanced{}, Balanced{},
                            std::max(eps, 4e-4));
        begun.run(eps, 1e-4);  // where the residual is a small one
        ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
        const auto errors = begun.run(eps, 1e-14, 2);
        ASSERT_EQ(errors.size(), 2U) << begun.outcome.why;
        EXPECT_LE(begun.outcome.lost, 0.01);
        EXPECT_LE(errors[1], std::max(errors[0] / 100, 1e-11)) << errors[0];
      });
    }
}

// A path over four orders of magnitude, in a few full passes: without the path, the boundary of a
// step or the remainders it fails.
TEST(SupportSlow, FollowsEpsilonDown) {
  for (const char* name : {"cube3d", "clusters3d", "gauss16d", "gauss64d"}) {
    SCOPED_TRACE(name);
    testing::on_every_device([&] {
      Begun<double> begun(testing::small_epsilon<double>(name, 512), Balanced{}, Balanced{}, 1e-3);
      const auto errors = begun.run(1e-5, 1e-6);
      ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
      EXPECT_LE(errors.back(), 1e-6);
      EXPECT_LE(begun.outcome.visits, 10);
    });
  }
}

// A4: the result is that of plain iterations.
TEST(SupportSlow, EndsWherePlainIterationsEnd) {
  std::uint64_t seed = 0;
  for (const auto& [a, b] : {std::pair<Marginal, Marginal>{Balanced{}, Balanced{}},
                             {KL{0.5}, KL{0.2}},
                             {Balanced{}, KL{0.3}},
                             {TV{0.05}, TV{0.04}}}) {
    const double eps = 4e-3;
    const auto clouds = testing::small_epsilon<double>("cube3d", 200, ++seed);
    Exec exec;
    const auto plain = sinkhorn(clouds.problem(a, b), testing::tight(eps, 1e-11), exec);
    ASSERT_TRUE(plain.report.converged);
    const bool constant =
        std::holds_alternative<Balanced>(a) && std::holds_alternative<Balanced>(b);
    testing::on_every_device([&, a = a, b = b] {
      Begun<double> begun(clouds, a, b, eps);
      begun.run(eps, 1e-10);
      ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
      const double c = constant ? begun.f[0] - plain.f[0] : 0;
      for (std::int64_t i = 0; i < 200; ++i) {
        ASSERT_NEAR(begun.f[i] - c, plain.f[i], 1e-8) << i;
        ASSERT_NEAR(begun.g[i] + c, plain.g[i], 1e-8) << i;
      }
    });
  }
}

TEST(Support, RepeatsBitForBitOnAnyThreads) {
  testing::on_every_device([&] {
    Buffer<double> first;
    for (const int threads : {1, 2, 2}) {
      Begun<double> begun(testing::small_epsilon<double>("gauss16d", 300), Balanced{}, Balanced{},
                          2e-3, 1e-2, threads);
      begun.run(5e-4, 1e-9);
      ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
      if (!first.size()) first = begun.g.copy();
      for (std::int64_t j = 0; j < 300; ++j) ASSERT_EQ(begun.g[j], first[j]);
    }
  });
}

// A6: coordinates and biases are small integers, so that every score is exact and many are equal.
TEST(Support, OfEqualPotentialsIsTheSameOnEveryDevice) {
  constexpr std::int64_t n = 300, m = 260, k = 9;
  auto clouds = testing::random_clouds<double>(n, m, 3, 31, 1, 1);
  for (auto* points : {&clouds.x, &clouds.y})
    for (double& v : *points) v = std::floor(6 * v);
  std::vector<std::int32_t> want;
  testing::on_every_device([&] {
    testing::PlacedClouds<double> in(clouds, Balanced{}, Balanced{});
    const Operator<double> op(in.problem);
    const auto listed = [&](Side side, std::int64_t rows, std::int64_t others) {
      std::vector<double> h(kernels::padded(others), -std::numeric_limits<double>::infinity());
      for (std::int64_t j = 0; j < others; ++j) h[j] = static_cast<double>(j * 7 % 5);
      const auto bias = testing::placed(h), shift = testing::placed(std::vector<double>(rows, -2));
      Buffer<std::int64_t> columns(rows * k, in.exec.device);
      Buffer<double> weights(rows * k, in.exec.device);
      op.top_k(side, bias.data(), shift.data(), k, columns.data(), weights.data(), nullptr, 1,
               in.exec);
      return std::pair(std::move(columns), std::move(weights));
    };
    const auto [rows, row_weights] = listed(Side::source, n, m);
    const auto [columns, column_weights] = listed(Side::target, m, n);
    constexpr std::int64_t most = (n + m) * k;
    Buffer<std::int64_t> offsets(n + 1, in.exec.device), column_offsets(m + 1, in.exec.device);
    Buffer<std::int32_t> index(most, in.exec.device), column_index(most, in.exec.device);
    Buffer<double> costs(most, in.exec.device), column_costs(most, in.exec.device);
    const std::int64_t entries = kernels::sparse_join(
        {.of_rows = {rows.data(), row_weights.data(), n, k},
         .of_columns = {columns.data(), column_weights.data(), m, k},
         .rows = {offsets.data(), index.data(), costs.data()},
         .columns = {column_offsets.data(), column_index.data(), column_costs.data()}},
        in.exec);
    std::vector<std::int32_t> got;
    const auto take = [&](const auto& from, std::int64_t count) {
      const auto host = from.to(Device{});
      for (std::int64_t e = 0; e < count; ++e) got.push_back(static_cast<std::int32_t>(host[e]));
    };
    take(offsets, n + 1), take(index, entries);
    take(column_offsets, m + 1), take(column_index, entries);
    if (want.empty()) want = got;
    EXPECT_EQ(got, want);
  });
}

// On every device: a phase there ends where it does on the CPU, after as many visits.
TEST(Support, IsTheSameOnEveryDevice) {
  const auto clouds = testing::random_clouds<double>(500, 450, 3, 21, 1, 1);
  const double eps = 2e-3;
  std::vector<double> want;
  int visits = 0;
  for (const Device device : testing::devices()) {  // the CPU first
    const auto on = [&](const std::vector<double>& values) {
      Buffer<double> out(std::ssize(values), device);
      copy(out.data(), device, values.data(), Device{}, out.size() * std::int64_t{sizeof(double)});
      return out;
    };
    const auto x = on(clouds.x), y = on(clouds.y), a = on(clouds.a), b = on(clouds.b);
    const Problem<double> problem(
        PointCloud<double>{
            {x.data(), 500, 3, 3, 1, device}, {y.data(), 450, 3, 3, 1, device}, SquaredEuclidean{}},
        a.view(), b.view(), KL{0.5}, Balanced{});
    Exec exec;
    exec.device = device;
    Operator<double> op(problem);
    Alternation<double> alternation(problem, op, true, exec);
    alternation.start({}, exec);
    for (double level = 0.2; level > eps; level /= 2) {
      alternation.set_epsilon(level);
      for (int step = 0; step < 30; ++step) {
        alternation.lead(1, exec);
        alternation.sweep_following(exec);
        alternation.follow(1, exec);
      }
    }
    Buffer<double> g;
    SupportPhase<double> phase(alternation, 1e-10, kBudget, exec);
    const auto outcome = phase.run(eps, [&](const auto& check) {
      SplitPair<double> pair;
      alternation.copy_pair(check, pair, exec);
      g = std::move(pair).with({}).g;
      return alternation.epsilon() == eps && check.marginal_error <= 1e-10;
    });
    ASSERT_TRUE(outcome.ended) << outcome.why;
    const auto got = g.to(Device{});
    if (want.empty()) {
      want.assign(got.begin(), got.end());
      visits = outcome.visits;
    }
    EXPECT_EQ(outcome.visits, visits);
    for (std::size_t j = 0; j < want.size(); ++j) ASSERT_NEAR(got[j], want[j], 1e-8) << j;
  }
}

// A plan that is spread out, or a budget for less than a few entries, is handed back by name after
// a visit at most.
TEST(Support, HandsBackWhatItCannotSolve) {
  testing::on_every_device([&] {
    Begun<double> spread(testing::small_epsilon<double>("cube3d", 400), Balanced{}, Balanced{},
                         0.1);
    spread.run(0.01, 1e-6);
    EXPECT_FALSE(spread.outcome.ended);
    EXPECT_EQ(spread.outcome.visits, 1);
    EXPECT_GT(spread.outcome.lost, 0.5);
    EXPECT_NE(spread.outcome.why.find("spread out"), std::string::npos);
    spread.run(0.01, 1e-6, 100, 1000);
    EXPECT_EQ(spread.outcome.visits, 0);
    EXPECT_NE(spread.outcome.why.find("kernel_cache"), std::string::npos);
  });
}
// A5: whatever comes, the answer is right or its status says that it is not.
SinkhornOptions by_support(double eps, double tolerance = 1e-8) {
  SinkhornOptions options;
  options.epsilon = eps;
  options.tolerance = tolerance;
  options.max_iterations = 3000;
  options.acceleration = Acceleration::support;
  return options;
}

/// The residual of the returned pair is what the report says, and within the tolerance where it
/// says converged. `size`: of the potentials over eps, which rounding multiplies.
void expect_honest(const SinkhornReport& report, const reference::DensePair& dense,
                   double tolerance) {
  if (report.transported_mass == 0) return;  // of soft sides far apart: no ratio to speak of
  double size = 1;
  for (const auto* v : {&dense.f, &dense.g})
    for (const double u : *v) size = std::max(size, std::abs(u) / dense.eps);
  const double error = dense.marginal_error(), rounding = 1e-14 * size;
  EXPECT_NEAR(report.marginal_error, error, 1e-6 * error + rounding);
  if (report.converged) {
    EXPECT_LE(error, tolerance * (1 + 1e-6) + rounding);
  }
}

/// Whether it converged on current_device().
bool solves_honestly(const testing::Clouds<double>& clouds, Marginal a, Marginal b, double eps) {
  testing::PlacedClouds<double> in(clouds, a, b);
  const auto result = sinkhorn(in.problem, by_support(eps), in.exec);
  expect_honest(result.report,
                {clouds.costs(), clouds.a, clouds.b, testing::to_double(result.f.to(Device{})),
                 testing::to_double(result.g.to(Device{})), eps, a, b},
                1e-8);
  return result.report.converged;
}

void expect_solved(const testing::Clouds<double>& clouds, Marginal a, Marginal b, double eps) {
  testing::on_every_device([&] { EXPECT_TRUE(solves_honestly(clouds, a, b, eps)); });
}

// In a batch a GPU's host code runs as fibers: the bits are those of the entry alone, also where a
// solve in double begins in float.
TEST(SupportHostile, OfABatchIsThatOfItsEntriesAlone) {
  testing::on_every_gpu([] {
    const auto cube = [](std::int64_t n, std::uint64_t seed) {
      return testing::small_epsilon<double>("cube3d", n, seed);
    };
    std::vector<std::unique_ptr<testing::PlacedClouds<double>>> in;
    std::vector<BatchEntry<double>> entries;
    for (const auto& [n, by_name] : {std::pair{300, true}, {200, true}, {1100, false}}) {
      in.push_back(
          std::make_unique<testing::PlacedClouds<double>>(cube(n, n), Balanced{}, Balanced{}));
      SinkhornOptions options = by_support(by_name ? 1e-3 : 1e-2);
      if (!by_name) options.acceleration = Acceleration::automatic;
      entries.push_back({&in.back()->problem, options, {}});
    }
    const auto together = sinkhorn<double>(entries, in[0]->exec);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto alone = sinkhorn(in[i]->problem, entries[i].options, in[i]->exec);
      EXPECT_TRUE(alone.report.converged);
      EXPECT_EQ(together[i].report.passes, alone.report.passes);
      EXPECT_EQ(testing::to_double(together[i].g.to(Device{})),
                testing::to_double(alone.g.to(Device{})));
    }
  });
}

TEST(SupportHostile, AllPointsEqual) {
  auto clouds = testing::random_clouds<double>(70, 50, 3, 1, 1, 1);
  std::fill(clouds.x.begin(), clouds.x.end(), 0.5);
  std::fill(clouds.y.begin(), clouds.y.end(), 0.5);
  expect_solved(clouds, Balanced{}, Balanced{}, 1e-4);
  expect_solved(clouds, KL{0.1}, KL{0.3}, 1e-4);
}

TEST(SupportHostile, TwoFarClustersOfUnequalMass) {
  auto clouds = testing::random_clouds<double>(120, 140, 2, 2, 1, 1);
  for (std::int64_t i = 0; i < 30; ++i) clouds.x[2 * i] += 50;  // a quarter, and
  for (std::int64_t j = 0; j < 80; ++j) clouds.y[2 * j] += 50;  // more than half
  for (const double eps : {1.0, 0.05, 1e-3}) expect_solved(clouds, Balanced{}, Balanced{}, eps);
}

TEST(SupportHostile, ZeroWeightsAndDuplicates) {
  auto clouds = testing::random_clouds<double>(90, 90, 2, 3, 1, 1);
  for (std::int64_t i = 0; i < 30; ++i)
    for (std::int64_t k = 0; k < 2; ++k) clouds.x[(60 + i) * 2 + k] = clouds.x[i * 2 + k];
  for (auto* weights : {&clouds.a, &clouds.b}) {
    for (std::int64_t i = 5; i < 90; i += 7) (*weights)[i] = 0;
    const double mass = reference::DensePair::sum(*weights);
    for (double& w : *weights) w /= mass;
  }
  expect_solved(clouds, Balanced{}, Balanced{}, 1e-3);
  expect_solved(clouds, KL{0.3}, Balanced{}, 1e-3);
}

TEST(SupportHostile, ManyAgainstFew) {
  for (const bool few_sources : {true, false})
    expect_solved(
        testing::random_clouds<double>(few_sources ? 3 : 700, few_sources ? 700 : 3, 2, 4, 1, 1),
        Balanced{}, Balanced{}, 2e-3);
}

TEST(SupportHostile, EveryMixtureOfMarginals) {
  for (const auto& mixture : testing::mixtures()) {
    SCOPED_TRACE(mixture.name);
    expect_solved(testing::random_clouds<double>(80, 70, 2, 5, mixture.mass_a, mixture.mass_b),
                  mixture.a, mixture.b, 1e-3);
  }
}

TEST(SupportHostile, ForbiddenPairs) {
  constexpr std::int64_t n = 60;
  const auto clouds = testing::random_clouds<double>(n, n, 2, 6, 1, 1);
  auto costs = clouds.costs();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      if ((i + j) % 3 == 0 && i != j) costs[i * n + j] = std::numeric_limits<double>::infinity();
  const Problem<double> problem(CostMatrix<double>{{costs.data(), n, n}}, clouds.source_weights(),
                                clouds.target_weights(), Balanced{}, Balanced{});
  Exec exec;
  const auto result = sinkhorn(problem, by_support(1e-3), exec);
  EXPECT_TRUE(result.report.converged);
  expect_honest(result.report,
                {costs, clouds.a, clouds.b, testing::to_double(result.f),
                 testing::to_double(result.g), 1e-3, Balanced{}, Balanced{}},
                1e-8);
}

// A5: a support that helps little costs no more than the same again.
TEST(SupportHostileSlow, TakesAtMostTwiceNewtonsPasses) {
  for (const auto& mixture : testing::mixtures())
    for (const auto& [seed, eps] : {std::pair{1, 0.1}, {2, 1e-2}, {3, 1e-3}}) {
      SCOPED_TRACE(mixture.name + " " + std::to_string(eps));
      testing::PlacedClouds<double> in(
          testing::random_clouds<double>(60, 50, 2, seed, mixture.mass_a, mixture.mass_b),
          mixture.a, mixture.b);
      auto options = by_support(eps, 1e-6);
      const auto support = sinkhorn(in.problem, options, in.exec).report;
      options.acceleration = Acceleration::newton;
      const auto newton = sinkhorn(in.problem, options, in.exec).report;
      EXPECT_TRUE(support.converged && newton.converged);
      EXPECT_LE(support.passes, 2 * newton.passes);
    }
}

/// How many of them converged.
int random_problems(std::uint64_t first, std::uint64_t last) {
  const auto mixtures = testing::mixtures();
  int converged = 0;
  for (std::uint64_t seed = first; seed < last; ++seed) {
    SCOPED_TRACE(seed);
    const auto u = testing::random_vector<double>(5, seed, 99);
    const auto& mixture = mixtures[seed % mixtures.size()];
    const double eps = std::pow(10, -5 * u[2]);
    converged += solves_honestly(
        testing::random_clouds<double>(
            1 + static_cast<std::int64_t>(40 * u[0]), 1 + static_cast<std::int64_t>(40 * u[1]),
            1 + static_cast<std::int64_t>(6 * u[3]), seed, mixture.mass_a, mixture.mass_b),
        mixture.a, mixture.b, eps);
  }
  return converged;
}

TEST(SupportHostileSlow, AThousandRandomProblems) { EXPECT_GE(random_problems(0, 1000), 980); }

TEST(SupportHostileSlow, RandomProblemsOnAGpu) {
  testing::on_every_gpu([] { EXPECT_GE(random_problems(0, 100), 98); });
}

// Two TV sides of unequal masses at a tiny epsilon: which points give mass up is for Newton to find
// one by one. A phase whose steps come to more than the passes of other methods leaves, for good.
TEST(SupportPhase, LeavesWhereItsStepsCostMoreThanPasses) {
  constexpr std::int64_t n = 256, d = 3;
  auto y = testing::normal_vector(n * d, 1028, 1);
  for (double& v : y) v = 0.7 * v + 0.3;
  const testing::Clouds<double> in{n,
                                   n,
                                   d,
                                   testing::normal_vector(n * d, 1028, 0),
                                   y,
                                   testing::random_weights<double>(n, 1.3, 1028, 3),
                                   testing::random_weights<double>(n, 1, 1028, 4)};
  double mean = 0;
  for (const double c : in.costs()) mean += c / (n * n);
  const auto problem = in.problem(TV{0.7 * mean}, TV{0.7 * mean});
  SinkhornOptions options;
  options.epsilon = 1e-5 * mean;
  options.acceleration = Acceleration::support;
  options.max_iterations = 300;
  Exec exec;
  const auto report = sinkhorn(problem, options, exec).report;
  double most = 0;
  bool costly = false;
  for (const SinkhornPhase& phase : report.phases) {
    if (phase.name != "support") continue;
    EXPECT_FALSE(costly) << phase.why;
    costly = phase.why.find("its steps have cost") != std::string::npos;
    most = std::max(most, static_cast<double>(phase.steps));
  }
  EXPECT_TRUE(costly);
  // 1000 passes of steps on 32 entries a row, and the solve in which they end.
  EXPECT_LE(most, 1000 * 1.25 * n / (4 * 32));
}
}  // namespace
}  // namespace monge
