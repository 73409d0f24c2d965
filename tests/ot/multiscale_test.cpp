// The solve by trees against that over all pairs: the same pair within its certificate, which is
// part of the residual; on hostile clouds too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/plan.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "ot/truncation.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::cubes;
using testing::random_clouds;
using testing::random_vector;

SinkhornOptions options_of(double epsilon, double tolerance, Sweeps geometry) {
  SinkhornOptions options;
  options.epsilon = epsilon;
  options.tolerance = tolerance;
  options.geometry = geometry;
  return options;
}

template <class Values>
double largest_difference(const Values& a, const Values& b) {
  double most = 0;
  for (std::int64_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(double{a[i]} - double{b[i]}));
  return most;
}

struct Mixture {
  Marginal a, b;
  double mass_a, mass_b;
};
}  // namespace

// T3. Both solves end within the tolerance of the solution, so of each other.
TEST(MultiscaleSlow, AgreesWithAllPairs) {
  const double eps = 0.002, tolerance = 1e-9;
  std::uint64_t seed = 2;
  for (const Mixture& mixture :
       {Mixture{Balanced{}, Balanced{}, 1.3, 1.3}, Mixture{KL{0.7}, Balanced{}, 0.8, 1.1},
        Mixture{KL{1.2}, KL{0.3}, 1.5, 1.1}, Mixture{TV{0.2}, KL{0.8}, 1.5, 1.1}}) {
    const auto clouds =
        random_clouds<double>(1100, 4200, 2, ++seed, mixture.mass_a, mixture.mass_b);
    const auto problem = clouds.problem(mixture.a, mixture.b, HalfSquaredEuclidean{});
    SCOPED_TRACE(to_string(mixture.a) + " " + to_string(mixture.b));
    Exec exec;
    auto tree_options = options_of(eps, tolerance, Sweeps::tree);
    tree_options.verify = true;
    const auto dense = sinkhorn(problem, options_of(eps, tolerance, Sweeps::dense), exec),
               tree = sinkhorn(problem, tree_options, exec);
    ASSERT_TRUE(dense.report.converged);
    ASSERT_TRUE(tree.report.converged);
    EXPECT_EQ(tree.report.geometry, Sweeps::tree);
    EXPECT_EQ(dense.report.truncation, 0);
    EXPECT_LT(tree.report.kept, 0.9);
    EXPECT_GT(tree.report.truncation, 0);
    EXPECT_LE(tree.report.marginal_error + tree.report.truncation, tolerance);
    EXPECT_LE(tree.report.verified, tree.report.truncation + 1e-14);

    const Plan<double> all(problem, dense), kept(problem, tree);
    EXPECT_EQ(all.truncation(), 0);
    EXPECT_LE(kept.truncation(), tree.report.truncation);
    // A residual of L1 norm r moves the value by at most r times the range of the potentials, and a
    // potential by that over the contraction of the problem: 1e4 is ample here.
    EXPECT_NEAR(kept.value(exec), all.value(exec), 1e-8);
    EXPECT_NEAR(tree.report.dual_value, dense.report.dual_value, 1e-8);
    EXPECT_LT(largest_difference(tree.f, dense.f), 1e-5);
    EXPECT_LT(largest_difference(tree.g, dense.g), 1e-5);
    for (const Side side : {Side::source, Side::target}) {
      const auto p = kept.marginal(side, exec), q = all.marginal(side, exec);
      double off = 0;
      for (std::int64_t i = 0; i < p.size(); ++i) off += std::abs(p[i] - q[i]);
      EXPECT_LE(off, 3 * tolerance * tree.report.transported_mass);
      EXPECT_LT(largest_difference(kept.barycentric(side, exec), all.barycentric(side, exec)),
                1e-4);
      EXPECT_LT(largest_difference(kept.moments(side, exec).covariance,
                                   all.moments(side, exec).covariance),
                1e-4);
    }
    const auto some = gradient(kept, exec), want = gradient(all, exec);
    EXPECT_LT(largest_difference(some.dx, want.dx), 1e-7);
    EXPECT_LT(largest_difference(some.da, want.da), 1e-4);
    // Entries of the plan stand under the caller's indices.
    const auto top = kept.top_k(2, exec), top_want = all.top_k(2, exec);
    ASSERT_EQ(top.columns.size(), top_want.columns.size());
    EXPECT_TRUE(std::equal(top.columns.begin(), top.columns.end(), top_want.columns.begin()));
    const auto sparse = kept.sparse(1e-6, exec), sparse_want = all.sparse(1e-6, exec);
    ASSERT_NEAR(static_cast<double>(sparse.columns.size()),
                static_cast<double>(sparse_want.columns.size()), 5);
    for (std::int64_t i = 0; i < sparse.n; ++i)
      EXPECT_TRUE(std::is_sorted(sparse.columns.begin() + sparse.offsets[i],
                                 sparse.columns.begin() + sparse.offsets[i + 1]));
    const auto drawn = kept.draw_targets(1, 3, exec);
    for (const auto j : drawn) ASSERT_TRUE(j >= 0 && j < problem.m());
  }
}

// T4. At eps = 0.02^2, certified to 3e-5; and of the same pair what a budget of 1e-6 keeps.
TEST(MultiscaleSlow, KeepsFewPairs) {
  const auto clouds = cubes<float>(20000, 20000, 3);
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  Exec exec;
  const auto result = sinkhorn(problem, options_of(4e-4, 3e-4, Sweeps::tree), exec);
  ASSERT_TRUE(result.report.converged);
  EXPECT_LE(result.report.kept, 0.06);
  const Forest<float> forest(problem, exec);
  const Mask<float> mask(forest, result.f.data(), result.g.data(), 4e-4, 1e-6, exec);
  EXPECT_LE(mask.lost(), 1e-6);
  EXPECT_LE(mask.kept(), 0.06);
}

// T5. Right, or an honest status.
TEST(MultiscaleSlow, HostileClouds) {
  using Change = std::function<void(Clouds<double>&)>;
  struct Case {
    const char* name;
    double eps;
    Marginal a, b;
    Change change;
  };
  const Case cases[] = {
      {"two distant clusters", 0.01, Balanced{}, Balanced{},
       [](Clouds<double>& c) {
         for (std::size_t i = 0; i < c.x.size() / 2; ++i) c.x[i] += 50;
         for (std::size_t i = 0; i < c.y.size() / 2; ++i) c.y[i] += 50;
       }},
      {"all equal", 0.01, Balanced{}, Balanced{},
       [](Clouds<double>& c) {
         std::fill(c.x.begin(), c.x.end(), 0.5);
         std::fill(c.y.begin(), c.y.end(), 0.5);
       }},
      {"a line", 0.01, Balanced{}, Balanced{},
       [](Clouds<double>& c) {
         for (std::size_t i = 0; i < c.x.size(); ++i) c.x[i] = c.x[i / 3 * 3];
         for (std::size_t i = 0; i < c.y.size(); ++i) c.y[i] = c.y[i / 3 * 3];
       }},
      {"one far outlier", 0.01, KL{0.5}, KL{0.5}, [](Clouds<double>& c) { c.x[5] = 40; }},
      {"eps beyond the diameter", 20, Balanced{}, Balanced{}, [](Clouds<double>&) {}},
      {"potentials with a jump", 0.01, TV{0.05}, TV{0.05},
       [](Clouds<double>& c) {
         for (std::size_t i = 0; i < c.x.size() / 2; ++i) c.x[i] += 3;
       }},
      {"masses over 12 orders", 0.01, Balanced{}, Balanced{},
       [](Clouds<double>& c) {
         double a = 0, b = 0;
         for (std::size_t i = 0; i < c.a.size(); ++i) a += c.a[i] = std::pow(10, -12 * c.x[3 * i]);
         for (std::size_t j = 0; j < c.b.size(); ++j)
           b += c.b[j] = std::pow(10, -12 * (c.y[3 * j] - 0.3));
         for (double& v : c.a) v /= a;
         for (double& v : c.b) v /= b;
       }},
      {"zero weights", 0.01, Balanced{}, Balanced{},
       [](Clouds<double>& c) {
         double a = 0;
         for (std::size_t i = 0; i < c.a.size(); ++i) {
           if (i % 3 == 0) c.a[i] = 0;
           a += c.a[i];
         }
         for (double& v : c.a) v /= a;
       }},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    auto clouds = random_clouds<double>(500, 900, 3, 9, 1, 1);
    one.change(clouds);
    const auto problem = clouds.problem(one.a, one.b, SquaredEuclidean{},
                                        {.total_mass = {}, .mass_tolerance = 1e-9});
    Exec exec;
    auto options = options_of(one.eps, 1e-6, Sweeps::tree);
    options.max_iterations = 400;
    options.verify = true;
    const auto tree = sinkhorn(problem, options, exec);
    options.geometry = Sweeps::dense;
    const auto dense = sinkhorn(problem, options, exec);
    if (!tree.report.converged) {
      EXPECT_FALSE(dense.report.converged) << to_string(tree.report.status);
      continue;
    }
    const double scale = 1 + std::abs(dense.report.dual_value);
    if (dense.report.converged) {
      EXPECT_NEAR(tree.report.dual_value, dense.report.dual_value, 1e-5 * scale);
    }
    // What the true plan of the pair lacks, by all pairs.
    const Plan<double> all(problem, tree.report.epsilon, tree.f.view(), tree.g.view());
    EXPECT_NEAR(all.mass(exec), tree.report.transported_mass, 1e-6 * tree.report.transported_mass);
  }
}

// T6. Any number of threads, and again.
TEST(MultiscaleSlow, RepeatsItself) {
  const auto clouds = cubes<float>(5000, 4100, 2);
  const auto problem = clouds.problem(Balanced{}, KL{1});
  const auto run = [&](int threads) {
    Exec exec;
    exec.threads = threads;
    return sinkhorn(problem, options_of(1e-3, 1e-4, Sweeps::tree), exec);
  };
  const auto one = run(1);
  ASSERT_TRUE(one.report.converged);
  for (const int threads : {1, 2, 5}) {
    const auto other = run(threads);
    EXPECT_TRUE(std::equal(one.f.begin(), one.f.end(), other.f.begin()));
    EXPECT_TRUE(std::equal(one.g.begin(), one.g.end(), other.g.begin()));
    EXPECT_EQ(one.report.truncation, other.report.truncation);
  }
}

TEST(Multiscale, ChosenWhereItVisitsFew) {
  Exec exec;
  const auto geometry = [&](const Problem<float>& problem, double eps) {
    SinkhornOptions options = options_of(eps, 1e-2, Sweeps::automatic);
    return sinkhorn(problem, options, exec).report.geometry;
  };
  const auto large = cubes<float>(4200, 4200, 2), small = cubes<float>(300, 300, 2);
  EXPECT_EQ(geometry(large.problem(Balanced{}, Balanced{}), 3e-4), Sweeps::tree);
  EXPECT_EQ(geometry(large.problem(Balanced{}, Balanced{}), 1), Sweeps::dense);
  EXPECT_EQ(geometry(large.problem(Balanced{}, Balanced{}, Euclidean{}), 1), Sweeps::dense);
  EXPECT_EQ(geometry(small.problem(Balanced{}, Balanced{}), 3e-4), Sweeps::dense);
  SinkhornOptions options = options_of(0.1, 1e-2, Sweeps::tree);
  EXPECT_THROW(sinkhorn(small.problem(Balanced{}, Balanced{}, Dot{}), options, exec), NotAvailable);
}
}  // namespace monge
