#include "ot/support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "support/small_epsilon.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
constexpr std::int64_t kBudget = std::int64_t{1} << 28;

/// A problem, annealed by plain steps to where a phase may begin.
template <class T>
struct Begun {
  testing::Clouds<T> clouds;
  Problem<T> problem;
  Exec exec;
  Operator<T> op;
  Alternation<T> alternation;

  Begun(testing::Clouds<T> given, Marginal a, Marginal b, double eps, double error = 1e-2,
        int threads = 0)
      : clouds(std::move(given)),
        problem(clouds.problem(a, b)),
        op(problem),
        alternation(problem, op, true, exec) {
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
    SupportPhase<T> phase(alternation, tolerance, budget, exec);
    outcome = phase.run(target, [&](const auto& check) {
      if (alternation.epsilon() != target) return false;
      errors.push_back(check.marginal_error);
      alternation.copy_pair(check, f, g, exec);
      return check.marginal_error <= tolerance || static_cast<int>(errors.size()) == visits;
    });
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

  RestrictedPair(const testing::Mixture& mixture, std::int64_t n, std::int64_t m, int k, double eps)
      : begun(testing::random_clouds<double>(n, m, 2, 3, mixture.mass_a, mixture.mass_b), mixture.a,
              mixture.b, eps, 0.1),
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
    double value = model.respond(g.data(), q.data(), begun.exec);
    for (std::int64_t j = 0; j < g.size(); ++j)
      value += half().weight[j] * half().penalty.conjugate(g[j]) - eps() * q[j];
    return value;
  }
};

// A1: the slope of the dual, f at its best, is t - q.
TEST(Restricted, IsStationaryInWhatItEliminates) {
  for (const auto& mixture : testing::mixtures()) {
    SCOPED_TRACE(mixture.name);
    RestrictedPair pair(mixture, 60, 50, 3, 0.02);
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
  for (const auto& [name, eps] : {Case{"cube3d", 1e-3}, Case{"clusters3d", 4e-4},
                                  Case{"gauss16d", 1e-3}, Case{"gauss64d", 1e-3}}) {
    SCOPED_TRACE(name);
    Begun<double> begun(testing::small_epsilon<double>(name, 512), Balanced{}, Balanced{}, eps);
    begun.run(eps, 1e-4);  // where the residual is a small one
    ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
    const auto errors = begun.run(eps, 1e-14, 2);
    ASSERT_EQ(errors.size(), 2U) << begun.outcome.why;
    EXPECT_LE(begun.outcome.lost, 0.01);
    EXPECT_LE(errors[1], std::max(errors[0] / 100, 1e-11)) << errors[0];
  }
}

// A path over four orders of magnitude, in a few full passes: without the path, the boundary of a
// step or the remainders it fails.
TEST(SupportSlow, FollowsEpsilonDown) {
  for (const char* name : {"cube3d", "clusters3d", "gauss16d", "gauss64d"}) {
    SCOPED_TRACE(name);
    Begun<double> begun(testing::small_epsilon<double>(name, 512), Balanced{}, Balanced{}, 1e-3);
    const auto errors = begun.run(1e-5, 1e-6);
    ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
    EXPECT_LE(errors.back(), 1e-6);
    EXPECT_LE(begun.outcome.visits, 10);
  }
}

// A4: the result is that of plain iterations.
TEST(SupportSlow, EndsWherePlainIterationsEnd) {
  for (const auto& [a, b] : {std::pair<Marginal, Marginal>{Balanced{}, Balanced{}},
                             {KL{0.5}, KL{0.2}},
                             {Balanced{}, KL{0.3}},
                             {TV{0.05}, TV{0.04}}}) {
    const double eps = 4e-3;
    Begun<double> begun(testing::small_epsilon<double>("cube3d", 200), a, b, eps);
    const auto errors = begun.run(eps, 1e-10);
    ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
    Exec exec;
    const auto plain = sinkhorn(begun.problem, testing::tight(eps, 1e-11), exec);
    ASSERT_TRUE(plain.report.converged);
    const bool constant =
        std::holds_alternative<Balanced>(a) && std::holds_alternative<Balanced>(b);
    const double c = constant ? begun.f[0] - plain.f[0] : 0;
    for (std::int64_t i = 0; i < 200; ++i) {
      ASSERT_NEAR(begun.f[i] - c, plain.f[i], 1e-8) << i;
      ASSERT_NEAR(begun.g[i] + c, plain.g[i], 1e-8) << i;
    }
  }
}

TEST(Support, RepeatsBitForBitOnAnyThreads) {
  Buffer<double> first;
  for (const int threads : {1, 2, 2}) {
    Begun<double> begun(testing::small_epsilon<double>("gauss16d", 300), Balanced{}, Balanced{},
                        2e-3, 1e-2, threads);
    begun.run(5e-4, 1e-9);
    ASSERT_TRUE(begun.outcome.ended) << begun.outcome.why;
    if (!first.size()) first = begun.g.copy();
    for (std::int64_t j = 0; j < 300; ++j) ASSERT_EQ(begun.g[j], first[j]);
  }
}

// A plan that is spread out, or a budget for less than a few entries, is handed back by name after
// a visit at most.
TEST(Support, HandsBackWhatItCannotSolve) {
  Begun<double> spread(testing::small_epsilon<double>("cube3d", 400), Balanced{}, Balanced{}, 0.1);
  spread.run(0.01, 1e-6);
  EXPECT_FALSE(spread.outcome.ended);
  EXPECT_EQ(spread.outcome.visits, 1);
  EXPECT_GT(spread.outcome.lost, 0.5);
  EXPECT_NE(spread.outcome.why.find("spread out"), std::string::npos);
  spread.run(0.01, 1e-6, 100, 1000);
  EXPECT_EQ(spread.outcome.visits, 0);
  EXPECT_NE(spread.outcome.why.find("kernel_cache"), std::string::npos);
}
}  // namespace
}  // namespace monge
