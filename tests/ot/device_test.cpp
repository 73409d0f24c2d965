// A problem answers the same wherever its arrays are: every function of the library on each device
// against the CPU. Without a GPU the CPU is held against itself, so that the test itself is run.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "monge/ot/composition.hpp"
#include "monge/ot/derivatives.hpp"
#include "monge/ot/divergence.hpp"
#include "monge/ot/plan.hpp"
#include "monge/ot/reference.hpp"
#include "monge/ot/semi_dual.hpp"
#include "monge/ot/sparsify.hpp"
#include "ot/operator.hpp"
#include "support/devices.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::back;
using testing::Clouds;
using testing::placed;
using testing::PlacedClouds;
using testing::random_clouds;

template <class T>
class OnDevice : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(OnDevice, Scalars);

const std::vector<Cost>& costs() {
  static const std::vector<Cost> all{
      SquaredEuclidean{}, HalfSquaredEuclidean{}, Euclidean{}, Power{1.5}, Cosine{}, Dot{}};
  return all;
}

template <class T>
double unit() {
  return std::numeric_limits<T>::epsilon() / 2;
}

template <class T>
void expect_close(const std::vector<T>& got, const std::vector<T>& want, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], tolerance) << what << " [" << i << "]";
}

// P3: 16 u (max C + eps log n): rounding of a cost, a score and a sum, on either device.
template <class T>
double softmin_bound(const Operator<T>& op, double eps) {
  const double most = std::max(std::abs(op.min_cost()), std::abs(op.max_cost()));
  return 16 * unit<T>() * (most + eps * std::log(static_cast<double>(op.size(Side::source))));
}

TYPED_TEST(OnDevice, OneSoftminAgrees) {
  using T = TypeParam;
  for (const Cost& cost : costs())
    for (const int d : {1, 3, 4, 5, 40}) {
      const auto clouds = random_clouds<T>(300, 260, d, 1);
      const double eps = 0.05 * d;
      std::vector<double> first;
      testing::on_every_device([&] {
        PlacedClouds<T> in(clouds, KL{1}, KL{1}, cost);
        const Operator<T> op(in.problem);
        std::vector<double> h(kernels::padded(260), -std::numeric_limits<double>::infinity());
        std::copy(clouds.y.begin(), clouds.y.begin() + 260, h.begin());
        const auto bias = placed(h, in.exec.device);
        Buffer<double> out(300, in.exec.device);
        op.softmin(Side::source, bias.data(), nullptr, out.data(), eps, in.exec);
        const auto got = back(out);
        if (first.empty()) first = got;
        expect_close(got, first, softmin_bound(op, eps), cost_name(cost));
      });
    }
}

// P3: k plain iterations: each adds the bounds of its two softmins, and neither amplifies the
// other's.
TYPED_TEST(OnDevice, PlainIterationsAgree) {
  using T = TypeParam;
  constexpr int kIterations = 20;
  for (const auto& mix : testing::mixtures())
    for (const Cost& cost : costs()) {
      const auto clouds = random_clouds<T>(120, 90, 3, 2, mix.mass_a, mix.mass_b);
      SinkhornOptions options;
      options.epsilon = 0.1;
      options.max_iterations = kIterations;
      options.tolerance = 1e-30;
      options.annealing = Annealing::off;
      options.acceleration = Acceleration::none;
      std::vector<T> f, g;
      testing::on_every_device([&] {
        PlacedClouds<T> in(clouds, mix.a, mix.b, cost, {.total_mass = {}, .mass_tolerance = 1e-5});
        const auto got = sinkhorn(in.problem, options, in.exec);
        EXPECT_EQ(got.f.device(), in.exec.device);
        EXPECT_EQ(got.g.device(), in.exec.device);
        if (f.empty()) f = back(got.f), g = back(got.g);
        const double bound =
            2 * kIterations * softmin_bound(Operator<T>(in.problem), options.epsilon);
        expect_close(back(got.f), f, bound, mix.name + " f");
        expect_close(back(got.g), g, bound, mix.name + " g");
      });
    }
}

// Annealing, over-relaxation, translation and the mass step: the same answer to the tolerance.
TYPED_TEST(OnDevice, SolvesAgree) {
  using T = TypeParam;
  const double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-9;
  auto all = testing::mixtures();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  all.push_back({"partial", TV{kInf}, TV{kInf}, 1.5, 1.1});
  for (const auto& mix : all) {
    const auto clouds = random_clouds<T>(150, 130, 2, 3, mix.mass_a, mix.mass_b);
    ProblemOptions given;
    given.mass_tolerance = 1e-5;
    if (mix.name == "partial") given.total_mass = 0.6;
    SinkhornOptions options;
    options.epsilon = 0.005;
    options.tolerance = tolerance;
    SinkhornReport first;
    testing::on_every_device([&] {
      PlacedClouds<T> in(clouds, mix.a, mix.b, SquaredEuclidean{}, given);
      const auto got = sinkhorn(in.problem, options, in.exec);
      EXPECT_TRUE(got.report.converged) << mix.name;
      if (first.trace.empty()) first = got.report;
      // The dual is within the square of the residual of its optimum, or what rounding leaves.
      EXPECT_NEAR(got.report.dual_value, first.dual_value, 10 * tolerance) << mix.name;
      EXPECT_NEAR(got.report.transported_mass, first.transported_mass, 10 * tolerance) << mix.name;
      // From its own potentials there is nothing left to do.
      SinkhornOptions warm = options;
      warm.tolerance = 4 * tolerance;
      const auto again = sinkhorn(in.problem, warm, in.exec, Start<T>{got.f.view(), got.g.view()});
      EXPECT_LE(again.report.iterations, 2) << mix.name;
    });
  }
}

// With a coarse basis, which clouds of this size have, and from every start.
TYPED_TEST(OnDevice, EveryAccelerationAgrees) {
  using T = TypeParam;
  const double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-9;
  const auto clouds = random_clouds<T>(300, 280, 2, 3, 1.5, 1.1);
  SinkhornOptions options;
  options.epsilon = 0.002;
  options.tolerance = tolerance;
  double first = std::numeric_limits<double>::quiet_NaN();
  for (const auto acceleration : {Acceleration::over_relaxation, Acceleration::anderson,
                                  Acceleration::newton, Acceleration::automatic})
    for (const auto initializer :
         {Initializer::zero, Initializer::gaussian, Initializer::subsample}) {
      if (acceleration != Acceleration::anderson && initializer != Initializer::zero) continue;
      options.acceleration = acceleration;
      options.initializer = initializer;
      testing::on_every_device([&] {
        PlacedClouds<T> in(clouds, KL{1}, Balanced{}, SquaredEuclidean{});
        const auto got = sinkhorn(in.problem, options, in.exec);
        EXPECT_TRUE(got.report.converged) << to_string(acceleration);
        if (std::isnan(first)) first = got.report.dual_value;
        EXPECT_NEAR(got.report.dual_value, first, 10 * tolerance) << to_string(acceleration);
      });
    }
}

// Everything that a plan says, at the same pair of potentials: that of the CPU.
TYPED_TEST(OnDevice, PlansAgree) {
  using T = TypeParam;
  // Scores are known to 16 u C/eps, entries of the plan by that relative; sums add a few u.
  const double relative = 400 * 16 * unit<T>();
  for (const auto& mix : testing::mixtures())
    for (const Cost& cost : {Cost{SquaredEuclidean{}}, Cost{Cosine{}}}) {
      const auto clouds = random_clouds<T>(70, 50, 3, 4, mix.mass_a, mix.mass_b);
      SinkhornOptions options;
      options.epsilon = 0.05;
      options.max_iterations = 30;
      const ProblemOptions given{.total_mass = {}, .mass_tolerance = 1e-5};
      PlacedClouds<T> host(clouds, mix.a, mix.b, cost, given, Device{});
      const auto solved = sinkhorn(host.problem, options, host.exec);
      const Plan<T> want(host.problem, solved);
      testing::on_every_device([&] {
        const Device device = testing::current_device();
        PlacedClouds<T> in(clouds, mix.a, mix.b, cost, given, device);
        const auto f = solved.f.to(device), g = solved.g.to(device);
        const Plan<T> plan(in.problem, options.epsilon, f.view(), g.view());
        const auto same = [&](const Buffer<T>& got, const Buffer<T>& wanted, const char* what) {
          ASSERT_EQ(got.device(), device) << what;
          double size = 1e-3;
          for (const T value : wanted) size = std::max<double>(size, std::abs(value));
          expect_close(back(got), back(wanted), relative * size, mix.name + " " + what);
        };
        const double size = 10 * relative;
        EXPECT_NEAR(plan.value(in.exec), want.value(host.exec), size);
        EXPECT_NEAR(plan.mass(in.exec), want.mass(host.exec), size);
        const PlanTerms terms = plan.terms(in.exec), wanted = want.terms(host.exec);
        EXPECT_NEAR(terms.linear, wanted.linear, size);
        EXPECT_NEAR(terms.entropy, wanted.entropy, size * 20);
        // A hard constraint that is missed by about its slack may be judged either way.
        if (std::isfinite(wanted.penalty_a) && std::isfinite(terms.penalty_a)) {
          EXPECT_NEAR(terms.penalty_a, wanted.penalty_a, size);
        }
        if (std::isfinite(wanted.penalty_b) && std::isfinite(terms.penalty_b)) {
          EXPECT_NEAR(terms.penalty_b, wanted.penalty_b, size);
        }
        for (const Side side : {Side::source, Side::target}) {
          const auto& values = side == Side::source ? in.y : in.x;
          const auto& on_host = side == Side::source ? host.y : host.x;
          const auto v = in.points(values), w = host.points(on_host);
          same(plan.marginal(side, in.exec), want.marginal(side, host.exec), "marginal");
          same(plan.apply(side, v, in.exec), want.apply(side, w, host.exec), "apply");
          same(plan.apply_squared(side, v, in.exec), want.apply_squared(side, w, host.exec),
               "squared");
          const std::int64_t rows = side == Side::source ? plan.n() : plan.m();
          Buffer<bool> valid(rows, device), valid_host(rows);
          same(plan.barycentric(side, in.exec, valid.data()),
               want.barycentric(side, host.exec, valid_host.data()), "barycentric");
          EXPECT_EQ(back(valid), back(valid_host));
          const auto moments = plan.moments(side, in.exec),
                     moments_host = want.moments(side, host.exec);
          same(moments.mean, moments_host.mean, "mean");
          same(moments.covariance, moments_host.covariance, "covariance");
          const auto z = in.points(side == Side::source ? in.x : in.y);
          const auto z_host = host.points(side == Side::source ? host.x : host.y);
          same(plan.potential(side, z, in.exec), want.potential(side, z_host, host.exec),
               "potential");
          same(plan.map(side, z, in.exec), want.map(side, z_host, host.exec), "map");
        }
        same(plan.dense(in.exec), want.dense(host.exec), "dense");
        const auto top = plan.top_k(3, in.exec), top_host = want.top_k(3, host.exec);
        EXPECT_EQ(back(top.offsets), back(top_host.offsets));
        same(top.values, top_host.values, "top_k");
        const auto sparse = plan.sparse(1e-4, in.exec);
        EXPECT_EQ(sparse.offsets.device(), device);
        for (const T value : back(sparse.values)) EXPECT_GE(value, T(1e-4));
        const auto gradient = monge::gradient(plan, in.exec),
                   gradient_host = monge::gradient(want, host.exec);
        same(gradient.dx, gradient_host.dx, "dx");
        same(gradient.dy, gradient_host.dy, "dy");
        same(gradient.da, gradient_host.da, "da");
        same(gradient.db, gradient_host.db, "db");
        EXPECT_NEAR(gradient.depsilon, gradient_host.depsilon, size * 20);
      });
    }
}

TYPED_TEST(OnDevice, DrawsComeFromThePlan) {
  using T = TypeParam;
  const auto clouds = random_clouds<T>(40, 30, 2, 5, 1, 1);
  testing::on_every_device([&] {
    PlacedClouds<T> in(clouds, KL{1}, KL{1}, SquaredEuclidean{});
    SinkhornOptions options;
    options.epsilon = 0.05;
    const auto solved = sinkhorn(in.problem, options, in.exec);
    const Plan<T> plan(in.problem, solved);
    const auto pairs = plan.draw_pairs(500, 7, in.exec);
    EXPECT_EQ(pairs.source.device(), in.exec.device);
    const auto source = back(pairs.source), target = back(pairs.target);
    const auto dense = back(plan.dense(in.exec));
    for (std::size_t k = 0; k < source.size(); ++k)
      ASSERT_GT(dense[source[k] * 30 + target[k]], T(0)) << k;
    EXPECT_EQ(back(plan.draw_pairs(500, 7, in.exec).target), target);
    for (const auto column : back(plan.draw_targets(2, 8, in.exec))) EXPECT_GE(column, 0);
  });
}

TYPED_TEST(OnDevice, DivergencesAndReferencesAgree) {
  using T = TypeParam;
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-10;
  for (const auto& [a, b] : {std::pair<Marginal, Marginal>{Balanced{}, Balanced{}},
                             {KL{0.8}, KL{0.8}},
                             {KL{0.8}, KL{0.4}}}) {
    const auto clouds = random_clouds<T>(60, 50, 2, 6, 1, 1);
    DivergenceOptions options;
    options.epsilon = 0.05;
    options.tolerance = tolerance;
    options.marginal_a = a;
    options.marginal_b = b;
    options.mass_tolerance = 1e-5;
    options.gradients = true;
    double value = std::numeric_limits<double>::quiet_NaN(), referenced_value = value;
    std::vector<T> dx, db;
    testing::on_every_device([&] {
      PlacedClouds<T> in(clouds, a, b, SquaredEuclidean{},
                         {.total_mass = {}, .mass_tolerance = 1e-5});
      const auto got = divergence(in.source(), in.target(), options, in.exec);
      EXPECT_TRUE(got.converged());
      EXPECT_EQ(got.dx.device(), in.exec.device);
      EXPECT_EQ(got.potential_a.device(), in.exec.device);
      const auto referenced = with_reference(in.problem, options.epsilon, {}, {});
      const auto solved = sinkhorn(*referenced.problem, options, in.exec);
      const auto asked = referenced.map.to_asked(solved);
      const auto gradient =
          monge::gradient(Plan<T>(*referenced.problem, solved), referenced, in.exec);
      EXPECT_EQ(gradient.da.device(), in.exec.device);
      if (dx.empty()) {
        value = got.value;
        dx = back(got.dx);
        db = back(got.db);
        referenced_value = asked.report.dual_value;
      }
      EXPECT_NEAR(got.value, value, 30 * tolerance);
      EXPECT_NEAR(asked.report.dual_value, referenced_value, 100 * tolerance);
      // A gradient's error is of the order of the residual.
      expect_close(back(got.dx), dx, 30 * tolerance, "dx");
      expect_close(back(got.db), db, 30 * tolerance, "db");
    });
  }
}

TYPED_TEST(OnDevice, MatricesAnswerWhereTheyAre) {
  using T = TypeParam;
  const auto clouds = random_clouds<T>(40, 30, 2, 7, 1, 1);
  const auto in_double = clouds.costs();
  std::vector<T> C(in_double.begin(), in_double.end());
  for (std::size_t k = 4; k < C.size(); k += 11) C[k] = std::numeric_limits<T>::infinity();
  double value = std::numeric_limits<double>::quiet_NaN();
  testing::on_every_device([&] {
    const Device device = testing::current_device();
    const auto costs = placed(C, device), a = placed(clouds.a, device),
               b = placed(clouds.b, device);
    const Problem<T> problem(CostMatrix<T>{{costs.data(), 40, 30, 30, 1, device}}, a.view(),
                             b.view(), Balanced{}, Balanced{},
                             {.total_mass = {}, .mass_tolerance = 1e-5});
    SinkhornOptions options;
    options.epsilon = 0.05;
    options.tolerance = sizeof(T) == 4 ? 1e-5 : 1e-10;
    Exec exec;
    exec.device = device;
    const auto got = sinkhorn(problem, options, exec);
    if (std::isnan(value)) value = got.report.dual_value;
    EXPECT_NEAR(got.report.dual_value, value, 10 * options.tolerance);
  });
}

TEST(Devices, ThatDisagreeAreNamed) {
  const auto clouds = random_clouds<float>(5, 4, 2, 8);
  const auto problem = clouds.problem(KL{1}, KL{1});
  SinkhornOptions options;
  options.epsilon = 0.1;
  Exec here, there;
  there.device = {DeviceKind::cuda, 1};
  const auto solve = testing::refusal([&] { sinkhorn(problem, options, there); });
  EXPECT_TRUE(solve.says("cuda:1") && solve.says("cpu")) << solve.message;
  const auto solved = sinkhorn(problem, options, here);
  const Plan<float> plan(problem, solved);
  EXPECT_TRUE(testing::refusal([&] { plan.value(there); }).says("cuda:1"));
  auto z = clouds.source();
  z.device = there.device;
  EXPECT_EQ(testing::refusal([&] { plan.map(Side::source, z, here); }).argument, "z");
  EXPECT_EQ(testing::refusal([&] { plan.apply(Side::target, z, here); }).argument, "v");
  auto f = solved.f.view();
  f.device = there.device;
  EXPECT_EQ(testing::refusal([&] { Plan<float>(problem, 0.1, f, solved.g.view()); }).argument, "f");
  EXPECT_EQ(testing::refusal([&] {
              sinkhorn(problem, options, here, Start<float>{f, {}});
            }).argument,
            "start");
}

TEST(Devices, ASolveIsInterruptedWhereverItRuns) {
  const auto clouds = random_clouds<double>(3000, 3000, 3, 9);
  SinkhornOptions options;
  options.epsilon = 1e-4;
  options.tolerance = 1e-30;
  testing::on_every_device([&] {
    PlacedClouds<double> in(clouds, KL{1}, KL{1}, SquaredEuclidean{});
    in.exec.progress = [](const Progress&) { return false; };
    // It is asked at once on a thread that never asked, else at most every 0.1 s.
    std::thread([&] { EXPECT_THROW(sinkhorn(in.problem, options, in.exec), Interrupted); }).join();
    const std::atomic<bool> stop{true};
    in.exec.progress = nullptr;
    in.exec.stop = &stop;
    EXPECT_THROW(sinkhorn(in.problem, options, in.exec), Interrupted);
  });
}

TEST(Devices, WithoutABackendAreNotAvailable) {
  if (testing::devices().size() > 1) GTEST_SKIP() << "there is a GPU here";
  EXPECT_THROW(Buffer<float>(3, Device{DeviceKind::cuda, 0}), NotAvailable);
  EXPECT_THROW(Buffer<float>(3, 1.0F).to(Device{DeviceKind::cuda, 0}), NotAvailable);
}

TEST(Devices, OutOfMemoryOnAGpuSaysHowMuchAndTheNextSolveWorks) {
  testing::on_every_gpu([&] {
    const Device device = testing::current_device();
    try {
      Buffer<double> buffer(std::int64_t{1} << 40, device);
      FAIL() << "no exception";
    } catch (const DeviceError& error) {
      EXPECT_NE(std::string(error.what()).find("8796093022208 bytes"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("free"), std::string::npos);
    }
    PlacedClouds<float> in(random_clouds<float>(50, 40, 2, 9), KL{1}, KL{1}, SquaredEuclidean{}, {},
                           device);
    SinkhornOptions options;
    options.epsilon = 0.1;
    EXPECT_TRUE(sinkhorn(in.problem, options, in.exec).report.converged);
  });
}

// Both meet the tolerance, so their values differ by its square and rounding, and potentials by
// what the tests of the CPU allow.
TEST(KernelCache, FindsTheStreamedPlanOnEveryDevice) {
  testing::on_every_device([] {
    for (const int dim : {2, 20}) {
      PlacedClouds<double> in(random_clouds<double>(190, 171, dim, 5), KL{1}, Balanced{},
                              SquaredEuclidean{});
      SinkhornOptions options;
      options.epsilon = 0.004 * dim;
      options.tolerance = 1e-12;
      options.kernel_cache = 0;
      const auto streamed = sinkhorn(in.problem, options, in.exec);
      options.kernel_cache = kAutomaticCache;
      const auto absorbed = sinkhorn(in.problem, options, in.exec);
      EXPECT_EQ(streamed.report.absorbed, 0);
      EXPECT_GT(absorbed.report.absorbed, 0);
      EXPECT_TRUE(streamed.report.converged && absorbed.report.converged);
      EXPECT_NEAR(absorbed.report.dual_value, streamed.report.dual_value, 1e-10);
      const auto f = absorbed.f.to(Device{}), want = streamed.f.to(Device{});
      for (std::int64_t i = 0; i < want.size(); ++i) ASSERT_NEAR(f[i], want[i], 1e-9) << i;
    }
  });
}
// Sums of up to 150 weights exp(score / eps), each wrong by at most 16 u max C / eps, which is
// below 16 u 4 / 0.1 here; the hard problem moves by the rounding of its costs alone.
TYPED_TEST(OnDevice, WhatIsDerivedFromProblemsAndPlansAgrees) {
  using T = TypeParam;
  constexpr double kEpsilon = 0.1;
  const auto clouds = random_clouds<T>(150, 110, 3, 2);
  const auto g = testing::random_vector<T>(110, 5, 0, -0.1, 0.1);
  const auto v = testing::random_vector<T>(150, 6, 0, -1, 1);
  std::vector<std::vector<T>> first;
  testing::on_every_device([&] {
    const Device device = testing::current_device();
    PlacedClouds<T> in(clouds, KL{1}, KL{0.5}, SquaredEuclidean{}, {}, device);
    const auto potential = placed(g, device), values = placed(v, device);
    const auto hard = c_transform<T>(in.problem, Side::source, potential.view(), in.exec);
    const auto soft = semi_dual<T>(in.problem, kEpsilon, potential.view(), in.exec);
    const auto of_hard = semi_dual<T>(in.problem, 0, potential.view(), in.exec);
    const Problem<T> onward(PointCloud<T>{in.points(in.y), in.points(in.x), SquaredEuclidean{}},
                            in.b.view(), in.a.view(), KL{1}, KL{1});
    const Plan<T> there(in.problem, kEpsilon, soft.f.view(), potential.view()),
        back_again(onward, kEpsilon, potential.view(), soft.f.view());
    const Composition<T> both({&there, &back_again}, in.exec);
    const auto kept = sparsify<T>(there, KeepMass{0.5}, in.exec);
    const std::vector<std::vector<T>> got{
        back(hard.values),
        back(soft.f),
        back(soft.dg),
        back(soft.dy),
        back(both.apply(Side::source, {values.data(), 150, 1, 1, 1, device}, in.exec)),
        {static_cast<T>(soft.value), static_cast<T>(of_hard.value), static_cast<T>(kept.share)}};
    if (first.empty()) first = got;
    for (std::size_t k = 0; k < got.size(); ++k)
      expect_close(got[k], first[k], 16 * unit<T>() * 4 / kEpsilon * 8, std::to_string(k));
    EXPECT_EQ(hard.column.device(), device);
    EXPECT_EQ(of_hard.dy.device(), device);
    EXPECT_EQ(kept.plan.values.device(), device);
  });
}
}  // namespace
}  // namespace monge
