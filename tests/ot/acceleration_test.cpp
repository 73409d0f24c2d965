// Every acceleration and start: the same solution, no fall of the dual, and a report that says what
// ran.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "ot/anderson.hpp"
#include "ot/arrays.hpp"
#include "ot/closed_form.hpp"
#include "ot/mixing.hpp"
#include "ot/newton.hpp"
#include "support/exact_pair.hpp"
#include "support/placed_clouds.hpp"
#include "support/small_epsilon.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::mixtures;
using testing::random_clouds;
using testing::Solved;
using testing::tight;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnit = std::numeric_limits<double>::epsilon() / 2;

const std::vector<Acceleration>& accelerations() {
  static const std::vector<Acceleration> all{Acceleration::automatic,       Acceleration::none,
                                             Acceleration::over_relaxation, Acceleration::anderson,
                                             Acceleration::newton,          Acceleration::support};
  return all;
}

double passes_of(const SinkhornReport& report) {
  double sum = 0;
  for (const SinkhornPhase& phase : report.phases) sum += phase.passes;
  return sum;
}

TEST(Acceleration, EveryOneFindsTheSameSolution) {
  for (const auto& mix : mixtures())
    for (const double eps : {0.1, 0.005}) {
      const auto clouds = random_clouds<double>(40, 33, 2, 7, mix.mass_a, mix.mass_b);
      double want = 0;
      for (const Acceleration acceleration : accelerations()) {
        SCOPED_TRACE(mix.name + ", " + to_string(acceleration));
        SinkhornOptions options = tight(eps, 1e-11);
        options.acceleration = acceleration;
        const Solved<double> solved(clouds, mix.a, mix.b, options);
        const SinkhornReport& report = solved.result.report;
        ASSERT_TRUE(report.converged) << report.marginal_error;
        // Rounding of potentials of size 1 moves log P by 2u / eps.
        const double rounding = 4 * kUnit / eps;
        EXPECT_LE(solved.dense.marginal_error(), 1e-11 + rounding);
        if (acceleration == Acceleration::automatic) want = report.dual_value;
        // Quadratic in the residual, but for rounding.
        EXPECT_NEAR(report.dual_value, want, 16 * kUnit * (std::abs(want) + 1));
        EXPECT_NEAR(solved.dense.primal(), want,
                    1e-11 * (std::abs(want) + 1) + rounding * (std::abs(want) + 1));
        EXPECT_EQ(passes_of(report), static_cast<double>(report.passes));
      }
    }
}

// S2: what is called converged is, by the definition of the residual, and not before the target.
TEST(Acceleration, ConvergedMeansTheExplicitResidual) {
  for (const auto& mix : mixtures())
    for (const Acceleration acceleration : accelerations())
      for (const std::uint64_t seed : {1, 2, 3})
        for (const double tolerance : {1e-3, 1e-6}) {
          SCOPED_TRACE(mix.name + ", " + to_string(acceleration));
          const auto clouds = random_clouds<double>(40, 33, 2, seed, mix.mass_a, mix.mass_b);
          SinkhornOptions options;
          options.epsilon = 0.01;
          options.tolerance = tolerance;
          options.acceleration = acceleration;
          options.on_check = [](const SinkhornReport& report) { return !report.converged; };
          const Solved<double> solved(clouds, mix.a, mix.b, options);
          const SinkhornReport& report = solved.result.report;
          ASSERT_TRUE(report.converged) << to_string(report.status);
          EXPECT_EQ(report.epsilon, 0.01);
          EXPECT_EQ(report.trace.back().epsilon, 0.01);
          EXPECT_LE(solved.dense.marginal_error(), tolerance * (1 + 1e-6));
        }
}

// I2, at every iteration of a problem so nearly an assignment that mixes are undone on the way.
TEST(Acceleration, DualNeverFallsAtFixedEpsilon) {
  for (const auto& mix : mixtures())
    for (const Acceleration acceleration : accelerations()) {
      SCOPED_TRACE(mix.name + ", " + to_string(acceleration));
      const std::uint64_t seed = 5 + static_cast<std::uint64_t>(acceleration) % 3;
      const auto clouds = random_clouds<double>(60, 50, 8, seed, mix.mass_a, mix.mass_b);
      SinkhornOptions options = tight(3e-4, 1e-10);
      options.acceleration = acceleration;
      options.annealing = Annealing::off;
      options.max_iterations = 400;
      const Solved<double> solved(clouds, mix.a, mix.b, options);
      const auto& trace = solved.result.report.trace;
      ASSERT_GT(trace.size(), 2U);
      for (std::size_t k = 1; k < trace.size(); ++k)
        ASSERT_GE(trace[k].dual_value,
                  trace[k - 1].dual_value - 8 * kUnit * (std::abs(trace[k].dual_value) + 1))
            << k;
    }
}

// S4 in small: far fewer passes than plain iterations, and not more than twice Newton's.
TEST(Acceleration, AutomaticTakesFewPasses) {
  const auto clouds = random_clouds<double>(150, 140, 2, 3, 1, 1);
  for (const double eps : {1e-2, 1e-3}) {
    const auto passes = [&](Acceleration acceleration) {
      SinkhornOptions options;
      options.epsilon = eps;
      options.acceleration = acceleration;
      Exec exec;
      const auto report = sinkhorn(clouds.problem(Balanced{}, Balanced{}), options, exec).report;
      EXPECT_TRUE(report.converged) << to_string(acceleration) << " at " << eps;
      return report.passes;
    };
    const auto automatic = passes(Acceleration::automatic), newton = passes(Acceleration::newton);
    EXPECT_LE(automatic, 2 * newton) << eps;
    EXPECT_LE(3 * automatic, passes(Acceleration::none)) << eps;
  }
}

// From a wide plan to an assignment: converged, or a status and an error that are true.
TEST(Acceleration, SmallEpsilonNeverFailsSilently) {
  const auto clouds = random_clouds<double>(120, 110, 3, 3, 1, 1);
  const auto C = clouds.costs();
  const double most = *std::max_element(C.begin(), C.end());
  for (const double share : {1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6}) {
    SCOPED_TRACE(share);
    SinkhornOptions options;
    options.epsilon = share * most;
    options.max_iterations = 3000;
    const Solved<double> solved(clouds, Balanced{}, Balanced{}, options);
    const SinkhornReport& report = solved.result.report;
    EXPECT_EQ(report.converged, report.marginal_error <= options.tolerance);
    EXPECT_NE(report.status, Status::diverged);
    EXPECT_TRUE(std::isfinite(report.dual_value));
    // Potentials and costs of at most 2 most, each rounded once.
    const double rounding = 8 * kUnit / share;
    EXPECT_NEAR(solved.dense.marginal_error(), report.marginal_error,
                1e-6 * report.marginal_error + rounding);
    if (share >= 1e-5) {
      EXPECT_TRUE(report.converged) << report.marginal_error;
    }
  }
}

TEST(Acceleration, PhasesSayWhatRan) {
  const auto clouds = random_clouds<double>(100, 90, 2, 3, 1, 1);
  const auto ran = [&](Acceleration acceleration) {
    SinkhornOptions options;
    options.epsilon = 1e-3;
    options.acceleration = acceleration;
    Exec exec;
    std::vector<std::string> names;
    for (const auto& phase : sinkhorn(clouds.problem(KL{1}, KL{1}), options, exec).report.phases) {
      EXPECT_GT(phase.steps, 0);
      EXPECT_FALSE(phase.why.empty());
      names.push_back(phase.name);
    }
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(ran(Acceleration::none), (Names{"annealing", "plain"}));
  EXPECT_EQ(ran(Acceleration::over_relaxation), (Names{"annealing", "over_relaxation"}));
  EXPECT_EQ(ran(Acceleration::anderson), (Names{"annealing", "plain", "anderson"}));
  EXPECT_EQ(ran(Acceleration::automatic), (Names{"annealing", "plain", "anderson"}));
  EXPECT_EQ(ran(Acceleration::newton), (Names{"annealing", "plain", "newton"}));
}

TEST(Acceleration, ATotalMassHasALevelThatTheyDoNotMove) {
  const auto clouds = random_clouds<double>(30, 20, 2, 3, 1.5, 1);
  const auto problem =
      clouds.problem(TV{kInfinity}, TV{kInfinity}, SquaredEuclidean{}, {0.5, 0, nullptr});
  Exec exec;
  for (const Acceleration acceleration : accelerations()) {
    SinkhornOptions options = tight(0.02, 1e-9);
    options.acceleration = acceleration;
    const bool moves_level = acceleration == Acceleration::automatic ||
                             acceleration == Acceleration::none ||
                             acceleration == Acceleration::over_relaxation;
    if (moves_level)
      EXPECT_TRUE(sinkhorn(problem, options, exec).report.converged);
    else
      EXPECT_THROW(sinkhorn(problem, options, exec), NotAvailable);
  }
}

TEST(Acceleration, NamesAreRead) {
  for (const Acceleration acceleration : accelerations())
    EXPECT_EQ(parse_acceleration(to_string(acceleration)), acceleration);
  const auto refused = testing::refusal([] { parse_acceleration("fast"); });
  EXPECT_EQ(refused.argument, "acceleration");
  EXPECT_TRUE(refused.says("over_relaxation")) << refused.message;
  EXPECT_EQ(parse_initializer("subsample"), Initializer::subsample);
  EXPECT_EQ(testing::refusal([] { parse_initializer("guess"); }).argument, "initializer");
}

// On a linear contraction in k dimensions the mix of k + 1 iterates is the fixed point.
TEST(Anderson, SolvesALinearMapInAsManyStepsAsItHasModes) {
  testing::on_every_device([] {
    const Device device = testing::current_device();
    Exec exec;
    exec.device = device;
    const std::vector<double> rates{0.9, 0.5, -0.5, 0.2}, fixed{3, -1, 2, 0.5};
    const Buffer<double> weight = Buffer<double>(4, 0.25).to(device);
    Anderson<double> mixing({weight.data(), 4, 1, device}, {});
    Buffer<double> g = Buffer<double>(4, 0.0).to(device);
    const Buffer<double> log_weight = Buffer<double>(4, std::log(0.25)).to(device);
    Buffer<double> h(kernels::padded(4), device);
    for (int step = 0; step < 5; ++step) {
      Buffer<double> image = g.to(Device{});
      for (int j = 0; j < 4; ++j) image[j] = fixed[j] + rates[j] * (image[j] - fixed[j]);
      copy(mixing.image(exec), device, image.data(), Device{}, 4 * sizeof(double));
      mixing.remember(g.data(), 0, exec);
      synchronize(device, nullptr);
      ASSERT_TRUE(mixing.mix(g.data(), {g.data(), log_weight.data(), 4, 0.1, h.data()}, exec));
    }
    const auto got = g.to(Device{});
    // What the ridge leaves; plain steps are 1.8 off.
    for (int j = 0; j < 4; ++j) EXPECT_NEAR(got[j], fixed[j], 1e-6) << j;
    const auto bias = h.to(Device{});
    for (int j = 0; j < 4; ++j) EXPECT_DOUBLE_EQ(bias[j], got[j] + 0.1 * std::log(0.25)) << j;
  });
}

// Weights that were float: balanced masses differ by their rounding, no pair meets the tolerance,
// and mixes once followed the difference until f and g stood 1e7 apart.
TEST(Mixing, MassesThatDifferByRoundingAreNotFollowed) {
  const std::vector<double> cost(6, 0.0), a(6, static_cast<float>(0.1 / 6)), b{0.1F};
  ProblemOptions rounded;
  rounded.mass_tolerance = 1e-6;
  const Problem<double> problem(CostMatrix<double>{{cost.data(), 6, 1, 1, 1, Device{}}},
                                {a.data(), 6}, {b.data(), 1}, Balanced{}, Balanced{}, rounded);
  ASSERT_NE(problem.mass_a(), problem.mass_b());
  SinkhornOptions options;
  options.epsilon = 0.01;
  options.tolerance = 1e-12;
  options.precision = Precision::mixed;
  for (int most = 1; most <= 40; ++most) {
    options.max_iterations = most;
    Exec exec;
    const auto report = sinkhorn(problem, options, exec).report;
    EXPECT_FALSE(report.converged);
    // P = a b^T / m at mass m, here of 0.1 to 4e-9.
    EXPECT_NEAR(report.dual_value, 0.01 * (0.1 * 0.1 - 0.1 - 0.1 * std::log(0.1)), 1e-9);
  }

  Exec exec;
  Operator<double> op(problem, kernels::Precision::accurate, exec);
  Alternation<double> alternation(problem, op, true, exec);
  alternation.start({}, exec);
  alternation.set_epsilon(0.01);
  Mixing<double> mixing(problem, alternation, exec);
  mixing.begin();
  for (int step = 0; step < 40; ++step) {
    alternation.lead(1, exec);
    alternation.sweep_following(exec);
    mixing.follow(1);
    EXPECT_LT(std::abs(alternation.following().potential[0]), 1) << step;
  }

  // A start that is as far apart: the value is that of the pair as it is returned.
  options.acceleration = Acceleration::none;
  options.max_iterations = 1;
  const std::vector<double> apart{1e4};
  EXPECT_NEAR(sinkhorn(problem, options, exec, {{}, {apart.data(), 1}}).report.dual_value,
              0.01 * (0.1 * 0.1 - 0.1 - 0.1 * std::log(0.1)), 1e-9);
}

// Of two Balanced sides nothing sees where constants go, the dual included. By what rounding left
// of them in its matrix a correction once moved g by 3e6 and f back, and a solve took 8e-6 for
// 1e-6.
TEST(Mixing, ACorrectionLeavesConstantsAlone) {
  constexpr double kEps = 2e-5;  // 1e-4 of the mean cost
  // Four numbers of size 1 are rounded in log P; twice that of a sum of both sides, and to spare.
  constexpr double kRounding = 16 * kUnit / kEps;
  testing::on_every_device([] {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      SCOPED_TRACE(seed);
      const auto clouds = testing::small_epsilon<double>("cube3d", 300, seed);
      testing::PlacedClouds<double> in(clouds, Balanced{}, Balanced{});
      SinkhornOptions options;
      options.epsilon = kEps;
      const auto solve = [&] {
        auto result = sinkhorn(in.problem, options, in.exec);
        for (const SinkhornCheck& check : result.report.trace)
          EXPECT_NEAR(check.transported_mass, 1, kRounding) << check.iterations;
        EXPECT_NEAR(
            testing::marginal_error(clouds, testing::back(result.f), testing::back(result.g), kEps),
            result.report.marginal_error, kRounding);
        return std::move(result.report);
      };
      EXPECT_TRUE(solve().converged);
      options.acceleration = Acceleration::anderson;
      options.max_iterations = 150;
      EXPECT_FALSE(solve().converged);
    }
  });
}

// I2: one entry of every fourth mix is put off by 15 eps. Each is undone, and the solve ends.
TEST(Mixing, ABadMixIsUndone) {
  testing::on_every_device([] {
    for (const int kind : {0, 3, 4}) {
      const auto mix = mixtures()[kind];
      SCOPED_TRACE(mix.name);
      constexpr double kEps = 0.02;
      testing::PlacedClouds<double> in(
          random_clouds<double>(60, 50, 2, 7 + kind, mix.mass_a, mix.mass_b), mix.a, mix.b);
      Operator<double> op(in.problem, kernels::Precision::accurate, in.exec);
      Alternation<double> alternation(in.problem, op, true, in.exec);
      alternation.start({}, in.exec);
      alternation.set_epsilon(kEps);
      Mixing<double> mixing(in.problem, alternation, in.exec);
      double dual = -kInfinity, error = 1;
      int bad = 0, undone = 0;
      bool spoilt = false;
      for (int k = 0; k < 500 && error > 1e-10; ++k) {
        alternation.lead(1, in.exec);
        alternation.sweep_following(in.exec);
        const auto check = alternation.check(in.exec);
        const bool was_spoilt = std::exchange(spoilt, false);
        if (mixing.undone(check)) {
          ++undone;
          bad += was_spoilt;
          continue;
        }
        ASSERT_FALSE(was_spoilt) << k;
        ASSERT_GE(check.dual, dual - 16 * kUnit * (std::abs(dual) + kEps * check.mass)) << k;
        dual = check.dual;
        error = check.marginal_error;
        if (k == 5) mixing.begin();
        mixing.follow(1);
        if (k > 5 && k % 4 == 0) {
          kernels::shift<double>(alternation.moved(), 1, 15 * kEps, in.exec);
          spoilt = true;
        }
      }
      EXPECT_GT(bad, 2);
      EXPECT_LE(error, 1e-10);
    }
  });
}

template <class T>
class DenseNewton : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DenseNewton, Scalars);

// Products and squares against the definitions on the dense plan of the pair they belong to.
TYPED_TEST(DenseNewton, AnswersAsTheDensePlanDoes) {
  using T = TypeParam;
  for (const auto& mix : mixtures()) {
    SCOPED_TRACE(mix.name);
    const double eps = 0.05;
    const auto clouds = random_clouds<T>(40, 33, 2, 7, mix.mass_a, mix.mass_b);
    ProblemOptions loose;
    loose.mass_tolerance = 1e-5;
    const auto problem = clouds.problem(mix.a, mix.b, SquaredEuclidean{}, loose);
    Exec exec;
    Operator<T> op(problem, kernels::Precision::accurate, exec);
    Alternation<T> alternation(problem, op, true, exec);
    alternation.start({}, exec);
    alternation.set_epsilon(eps);
    for (int k = 0; k < 3; ++k) {
      alternation.lead(1, exec);
      alternation.sweep_following(exec);
      alternation.follow(1, exec);
    }
    DenseModel<T> model(alternation, nullptr, exec);
    const auto& moved = alternation.following();
    auto g = gathered(VectorView<const double>(moved.potential, moved.weight.size), exec);
    Buffer<double> q(g.size()), got(g.size()), squares(g.size()), v(g.size()), slopes(3 * g.size());
    kernels::SlopeArgs::Result sums;
    const auto side = model.side();
    model.respond({.n = side.size,
                   .g = g.data(),
                   .q = q.data(),
                   .slope = {side.weight, g.data(), q.data(), side.penalty, eps, slopes.data(),
                             slopes.data() + side.size, slopes.data() + 2 * side.size, &sums}},
                  nullptr, exec);
    const double rows = model.dual({});
    for (std::int64_t j = 0; j < v.size(); ++j) v[j] = std::cos(static_cast<double>(j));
    model.product(v.data(), got.data(), exec);
    model.squares(squares.data(), exec);

    SplitPair<T> pair;
    const auto check = alternation.check(exec);
    alternation.copy_pair(check, pair, exec);
    const auto result = std::move(pair).with({});
    const reference::DensePair dense{clouds.costs(),
                                     testing::to_double(clouds.a),
                                     testing::to_double(clouds.b),
                                     testing::to_double(result.f),
                                     testing::to_double(result.g),
                                     eps,
                                     mix.a,
                                     mix.b};
    const bool swapped = alternation.leading().side == Side::target;
    const auto P = dense.plan();
    const auto p = swapped ? dense.columns(P) : dense.rows(P);
    const auto totals = swapped ? dense.rows(P) : dense.columns(P);
    const std::size_t n = p.size(), m = totals.size();
    const auto entry = [&](std::size_t i, std::size_t j) {
      return swapped ? P[j * n + i] : P[i * m + j];
    };
    const Marginal& lead = swapped ? mix.b : mix.a;
    const auto& potential = swapped ? dense.g : dense.f;
    std::vector<double> curvature(p);  // D1
    for (std::size_t i = 0; i < n; ++i) {
      if (const auto* kl = std::get_if<KL>(&lead)) curvature[i] *= 1 + eps / kl->rho;
      if (const auto* tv = std::get_if<TV>(&lead))
        if (std::abs(potential[i]) >= static_cast<T>(tv->lambda)) curvature[i] = kInfinity;
    }
    // Scores of size 3 lose 4 u each, and sums of positive terms no more.
    const double tolerance = 64 * std::numeric_limits<T>::epsilon() / eps;
    for (std::size_t j = 0; j < m; ++j) {
      double product = 0, square = 0;
      for (std::size_t i = 0; i < n; ++i) {
        double along = 0;
        for (std::size_t k = 0; k < m; ++k) along += entry(i, k) * v[k];
        product += entry(i, j) * along / curvature[i];
        square += entry(i, j) * entry(i, j) / curvature[i];
      }
      const double size = totals[j];
      EXPECT_NEAR(q[j], totals[j], tolerance * size) << j;
      EXPECT_NEAR(got[j], product, tolerance * size) << j;
      EXPECT_NEAR(squares[j], square, tolerance * size) << j;
    }
    const double total = reference::DensePair::sum(totals);
    const auto& g_side = swapped ? dense.f : dense.g;
    EXPECT_NEAR(rows +
                    reference::DensePair::conjugate(swapped ? dense.a : dense.b, g_side,
                                                    swapped ? mix.a : mix.b) -
                    eps * total,
                dense.dual(), tolerance);
  }
}

// The dual of the unregularised problem at f_i = min_j c_ij - g_j is the cost of the monotone plan.
TEST(ClosedForm, SortingSolvesTheLine) {
  for (const Cost& cost :
       {Cost{SquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}}, Cost{Dot{}}})
    for (const bool uniform : {true, false}) {
      auto clouds = random_clouds<double>(40, uniform ? 40 : 27, 1, 3, 1, 1);
      if (uniform) {
        std::fill(clouds.a.begin(), clouds.a.end(), 1.0 / 40);
        std::fill(clouds.b.begin(), clouds.b.end(), 1.0 / 40);
      }
      clouds.b[5] = clouds.b[6] = 0;
      double mass = 0;
      for (const double b : clouds.b) mass += b;
      for (double& b : clouds.b) b /= mass;
      const HostCloud x{clouds.x, clouds.a, 1}, y{clouds.y, clouds.b, 1};
      const auto g = sorted_potential(x, y, cost);
      const auto C = clouds.costs(cost);
      double dual = 0;
      for (std::int64_t j = 0; j < clouds.m; ++j) dual += clouds.b[j] * g[j];
      for (std::int64_t i = 0; i < clouds.n; ++i) {
        double least = kInfinity;
        for (std::int64_t j = 0; j < clouds.m; ++j)
          if (clouds.b[j] > 0) least = std::min(least, C[i * clouds.m + j] - g[j]);
        dual += clouds.a[i] * least;
      }
      // North-west corner of the sorted clouds.
      std::vector<int> row(clouds.n), column(clouds.m);
      std::iota(row.begin(), row.end(), 0);
      std::iota(column.begin(), column.end(), 0);
      std::sort(row.begin(), row.end(), [&](int i, int j) { return clouds.x[i] < clouds.x[j]; });
      std::sort(column.begin(), column.end(),
                [&](int i, int j) { return clouds.y[i] < clouds.y[j]; });
      double primal = 0;
      auto a = clouds.a, b = clouds.b;
      for (std::size_t i = 0, j = 0; i < row.size() && j < column.size();) {
        const double moved = std::min(a[row[i]], b[column[j]]);
        primal += moved * C[row[i] * clouds.m + column[j]];
        a[row[i]] -= moved;
        b[column[j]] -= moved;
        b[column[j]] <= a[row[i]] ? ++j : ++i;
      }
      EXPECT_NEAR(dual, primal, 1e-13) << cost_name(cost);
    }
}

// Grids that carry two Gaussians to 4 standard deviations: the solver's g is the closed form's, but
// for what the cut tails move.
TEST(ClosedForm, GaussiansHaveAQuadraticPotential) {
  constexpr int kSide = 33;
  constexpr double kEps = 0.3;
  HostCloud x{{}, {}, 2}, y{{}, {}, 2};
  for (int i = 0; i < kSide; ++i)
    for (int j = 0; j < kSide; ++j) {
      const double u = (i - kSide / 2) / 4.0, v = (j - kSide / 2) / 4.0;
      // Correlated with 1/2 and -1/4, of variances 1, 0.6 and 0.5, 0.9.
      const auto add = [&](HostCloud& cloud, double s11, double s12, double s22, double shift) {
        const double det = s11 * s22 - s12 * s12;
        const double square = (s22 * u * u - 2 * s12 * u * v + s11 * v * v) / det;
        cloud.points.insert(cloud.points.end(), {u + shift, v - shift});
        cloud.weights.push_back(std::exp(-square / 2));
      };
      add(x, 1, 0.5, 0.6, 0);
      add(y, 0.5, -0.25, 0.9, 0.4);
    }
  for (HostCloud* cloud : {&x, &y}) {
    double mass = 0;
    for (const double w : cloud->weights) mass += w;
    for (double& w : cloud->weights) w /= mass;
  }
  const std::int64_t n = x.size();
  const Problem<double> problem(
      PointCloud<double>{{x.points.data(), n, 2}, {y.points.data(), n, 2}, HalfSquaredEuclidean{}},
      {x.weights.data(), n}, {y.weights.data(), n}, Balanced{}, Balanced{});
  Exec exec;
  SinkhornOptions options;
  options.epsilon = kEps;
  options.initializer = Initializer::gaussian;
  options.tolerance = 1e-9;
  const auto solved = sinkhorn(problem, options, exec);
  const auto g = gaussian_potential(x, y, 0.5, kEps);
  double shift = 0, size = 0;
  for (std::int64_t j = 0; j < n; ++j) shift += y.weights[j] * (solved.g[j] - g[j]);
  double off = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    off += y.weights[j] * std::abs(solved.g[j] - g[j] - shift);
    size += y.weights[j] * std::abs(g[j]);
  }
  EXPECT_LE(off, 2e-3 * size);
  // It began there.
  options.initializer = Initializer::zero;
  EXPECT_LT(solved.report.passes, sinkhorn(problem, options, exec).report.passes);
}

TEST(ClosedForm, IsRefusedWhereItDoesNotKnowTheProblem) {
  const auto clouds = random_clouds<double>(20, 20, 2, 3, 1, 1);
  SinkhornOptions options;
  options.epsilon = 0.1;
  Exec exec;
  options.initializer = Initializer::sorting;
  EXPECT_THROW(sinkhorn(clouds.problem(KL{1}, KL{1}), options, exec), NotAvailable);
  options.initializer = Initializer::gaussian;
  EXPECT_THROW(sinkhorn(clouds.problem(KL{1}, KL{1}, Euclidean{}), options, exec), NotAvailable);
  EXPECT_TRUE(sinkhorn(clouds.problem(KL{1}, KL{1}), options, exec).report.converged);
}

TEST(Subsample, IsAStartLikeAnyOther) {
  const auto all = mixtures();
  for (const auto& mix : {all[0], all[3], all[8]}) {
    SCOPED_TRACE(mix.name);
    auto clouds = random_clouds<double>(500, 480, 2, 7, mix.mass_a, mix.mass_b);
    SinkhornOptions options;
    options.epsilon = 2e-3;
    const auto solved = [&](Initializer initializer, std::uint64_t seed) {
      options.initializer = initializer;
      options.seed = seed;
      Exec exec;
      auto result = sinkhorn(clouds.problem(mix.a, mix.b), options, exec);
      EXPECT_TRUE(result.report.converged);
      return result;
    };
    const auto zero = solved(Initializer::zero, 0), some = solved(Initializer::subsample, 0),
               again = solved(Initializer::subsample, 0), other = solved(Initializer::subsample, 1);
    ASSERT_EQ(some.report.phases[0].name, "subsample");
    EXPECT_LT(some.report.passes, zero.report.passes);
    EXPECT_TRUE(std::equal(some.f.begin(), some.f.end(), again.f.begin()));
    EXPECT_FALSE(std::equal(some.f.begin(), some.f.end(), other.f.begin()));
    EXPECT_NEAR(some.report.dual_value, zero.report.dual_value,
                1e-6 * (std::abs(zero.report.dual_value) + options.epsilon));
  }
}

// A few points have all of the mass: they are what is drawn.
TEST(Subsample, DrawsByWeight) {
  auto clouds = random_clouds<double>(400, 300, 2, 7, 1, 1);
  for (auto* weights : {&clouds.a, &clouds.b}) {
    std::fill(weights->begin(), weights->end(), 0.0);
    for (int i = 0; i < 5; ++i) (*weights)[37 * i + 11] = 0.2;
  }
  SinkhornOptions options;
  options.epsilon = 0.01;
  options.initializer = Initializer::subsample;
  Exec exec;
  const auto result = sinkhorn(clouds.problem(Balanced{}, Balanced{}), options, exec);
  EXPECT_TRUE(result.report.converged);
  EXPECT_EQ(result.report.phases[0].why, "5 and 5 points");
  // Then the subsample was the problem itself.
  EXPECT_LE(result.report.passes, 60);
}

TEST(Subsample, IsRefusedWhereItHasNoMeaning) {
  const std::vector<double> costs(12, 1.0);
  const Problem<double> matrix(CostMatrix<double>{{costs.data(), 3, 4}}, {}, {}, Balanced{},
                               Balanced{});
  SinkhornOptions options;
  options.epsilon = 0.1;
  options.initializer = Initializer::subsample;
  Exec exec;
  EXPECT_THROW(sinkhorn(matrix, options, exec), NotAvailable);
  const std::vector<double> g(4, 0.0);
  EXPECT_EQ(testing::refusal([&] {
              sinkhorn(matrix, options, exec, {{}, {g.data(), 4}});
            }).argument,
            "initializer");
}
}  // namespace
}  // namespace monge
