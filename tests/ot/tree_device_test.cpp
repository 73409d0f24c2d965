// Trees, bounds and masks on every device: the same order and the same choice wherever potentials
// have the same bits, a certificate that holds, and the solve by them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "monge/ot/plan.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "ot/operator.hpp"
#include "ot/split_pair.hpp"
#include "support/devices.hpp"
#include "support/placed_clouds.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using testing::back;
using testing::Clouds;
using testing::cubes;
using testing::placed;
using testing::PlacedClouds;
using testing::random_clouds;
using testing::random_vector;

/// Coordinates among few whole numbers: many points share one.
template <class T>
Clouds<T> whole_clouds(std::int64_t n, std::int64_t m, std::int64_t d) {
  auto out = random_clouds<T>(n, m, d, 4, 1, 1);
  for (auto* side : {&out.x, &out.y})
    for (T& v : *side) v = std::floor(24 * v) - 12;
  return out;
}

SinkhornOptions options_of(double epsilon, double tolerance, Sweeps geometry) {
  SinkhornOptions options;
  options.epsilon = epsilon;
  options.tolerance = tolerance;
  options.geometry = geometry;
  return options;
}
}  // namespace

template <class T>
class TreeOnDevice : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TreeOnDevice, Scalars);

// T6. Order, boxes, masses, planes and lists, bit for bit.
TYPED_TEST(TreeOnDevice, ChoosesTheSame) {
  using T = TypeParam;
  for (const std::int64_t n : {1, 7, 9, 16, 17, 63, 65, 1000, 5000})
    for (const int d : {1, 2, 3}) {
      SCOPED_TRACE(std::to_string(n) + " points, dimension " + std::to_string(d));
      const std::int64_t m = 2 * n + 3;
      const auto clouds = whole_clouds<T>(n, m, d);
      auto f = random_vector<T>(n, 3, 5, -40, 40), g = random_vector<T>(m, 3, 6, -40, 40);
      for (auto* values : {&f, &g})
        for (T& v : *values) v = std::floor(v);
      std::vector<std::int32_t> order;
      std::vector<std::int32_t> blocks[2];
      std::vector<double> loss[2];
      double kept = 0, lost = 0;
      testing::on_every_device([&] {
        PlacedClouds<T> in(clouds, KL{1}, KL{1});
        const Forest<T> forest(in.problem, in.exec);
        const auto f_on = placed(f), g_on = placed(g);
        const Mask<T> mask(forest, f_on.data(), g_on.data(), 6, 1e-5, in.exec);
        const auto order_here = back(forest.target.order(), m, in.exec.device);
        const bool first = order.empty();
        if (first) order = order_here;
        EXPECT_EQ(order_here, order);
        for (const Side side : {Side::source, Side::target}) {
          const auto loss_here = back(mask.losses(side));
          const auto& list = mask.list(side);
          const auto offsets = back(list.offsets, std::ssize(loss_here) + 1, in.exec.device);
          const auto blocks_here = back(list.blocks, offsets.back(), in.exec.device);
          const int s = side == Side::source ? 0 : 1;
          if (first) {
            blocks[s] = blocks_here;
            loss[s] = loss_here;
          }
          EXPECT_EQ(blocks_here, blocks[s]);
          EXPECT_EQ(loss_here, loss[s]);
        }
        if (first) {
          kept = mask.kept();
          lost = mask.lost();
          if (n > 1000 && d > 1) {
            EXPECT_LT(kept, 0.9);
          }
        }
        EXPECT_EQ(mask.kept(), kept);
        EXPECT_NEAR(mask.lost(), lost, 1e-12 * lost);
      });
    }
}

// T1. Bounds made on a device are above every score.
TYPED_TEST(TreeOnDevice, BoundIsAboveEveryScore) {
  using T = TypeParam;
  const auto clouds = random_clouds<T>(200, 300, 3, 12);
  const auto f = random_vector<T>(200, 8, 1, -2, 2), g = random_vector<T>(300, 8, 2, -2, 2);
  testing::on_every_device([&] {
    PlacedClouds<T> in(clouds, KL{1}, KL{1});
    const Forest<T> forest(in.problem, in.exec);
    const auto read = [&](const Tree<T>& tree, const std::vector<T>& potential, auto&& body) {
      const auto nodes = tree.nodes();
      const std::int64_t all = nodes.first[nodes.levels];
      const auto values = placed(potential);
      body(back(nodes.boxes, all, in.exec.device), back(tree.planes(values.data(), in.exec)),
           back(tree.order(), tree.size(), in.exec.device));
    };
    read(forest.source, f, [&](const auto& a_boxes, const auto& a_planes, const auto& a_order) {
      read(forest.target, g, [&](const auto& b_boxes, const auto& b_planes, const auto& b_order) {
        for (std::size_t i = 0; i < a_order.size(); ++i)
          for (std::size_t j = 0; j < b_order.size(); ++j) {
            long double score = static_cast<long double>(f[a_order[i]]) + g[b_order[j]];
            for (int k = 0; k < 3; ++k) {
              const long double by = static_cast<long double>(clouds.x[a_order[i] * 3 + k]) -
                                     clouds.y[b_order[j] * 3 + k];
              score -= by * by;
            }
            const std::size_t a = i / kernels::kLeaf, b = j / kernels::kLeaf;
            ASSERT_GE(kernels::pair_bound(a_boxes[a], a_planes[a], b_boxes[b], b_planes[b], 1),
                      score);
          }
      });
    });
  });
}

// T2. The marginal that sweeps of a device lose, in all, is within the certificate.
TYPED_TEST(TreeOnDevice, LossIsCertified) {
  using T = TypeParam;
  const double eps = 0.004;
  const auto clouds = cubes<T>(3000, 2300, 3);
  testing::on_every_device([&] {
    PlacedClouds<T> in(clouds, Balanced{}, Balanced{});
    const auto solved = sinkhorn(in.problem, options_of(eps, 0.05, Sweeps::dense), in.exec);
    const Plan<T> all(in.problem, solved);
    for (const double delta : {1e-2, 1e-4, 1e-6}) {
      auto result = solved.report;
      const auto forest = std::make_shared<const Forest<T>>(in.problem, in.exec);
      const Mask<T> mask(*forest, solved.f.data(), solved.g.data(), eps, delta, in.exec);
      EXPECT_LE(mask.lost(), delta);
      EXPECT_GT(mask.lost(), delta / 100);
      EXPECT_LT(mask.kept(), 0.8);
      Operator<T> op(in.problem);
      op.plant(forest, in.exec);
      const auto f_wide = joined(solved.f, {}, in.exec), g_wide = joined(solved.g, {}, in.exec);
      op.truncate(f_wide.data(), g_wide.data(), eps, 32 * delta, in.exec);
      double lost = 0;
      for (const Side side : {Side::source, Side::target}) {
        const auto p = back(all.marginal(side, in.exec));
        // The marginal by what the mask keeps, from a softmin.
        const bool source = side == Side::source;
        const std::int64_t n = op.size(side), m = op.size(other(side));
        const auto& across = source ? clouds.b : clouds.a;
        const auto g = back(source ? solved.g : solved.f), f = back(source ? solved.f : solved.g);
        std::vector<double> h(kernels::padded(m), -std::numeric_limits<double>::infinity());
        for (std::int64_t j = 0; j < m; ++j) h[j] = g[j] + eps * std::log(double{across[j]});
        const auto h_on = placed(h);
        Buffer<double> s(n, in.exec.device);
        op.softmin(side, h_on.data(), nullptr, s.data(), eps, in.exec);
        const auto softmin = back(s);
        const auto& own = source ? clouds.a : clouds.b;
        for (std::int64_t i = 0; i < n; ++i)
          lost += p[i] - own[i] * std::exp((f[i] - softmin[i]) / eps);
      }
      // Scores in T: of size at most about 3 over eps.
      const double rounding = 16 * 3 / eps * std::numeric_limits<T>::epsilon();
      EXPECT_LE(lost, mask.lost() + rounding);
      EXPECT_GE(lost, -rounding);
    }
  });
}

// T3. The solve by trees of a device against all pairs on the same: both are within the tolerance.
TEST(TreeOnDeviceSlow, SolvesAsAllPairsDo) {
  const double eps = 0.002, tolerance = 1e-9;
  const auto clouds = random_clouds<double>(1100, 4200, 2, 3, 0.8, 1.1);
  testing::on_every_device([&] {
    PlacedClouds<double> in(clouds, KL{0.7}, Balanced{}, HalfSquaredEuclidean{});
    auto tree_options = options_of(eps, tolerance, Sweeps::tree);
    tree_options.verify = true;
    const auto dense = sinkhorn(in.problem, options_of(eps, tolerance, Sweeps::dense), in.exec),
               tree = sinkhorn(in.problem, tree_options, in.exec);
    ASSERT_TRUE(dense.report.converged);
    ASSERT_TRUE(tree.report.converged);
    EXPECT_EQ(tree.report.geometry, Sweeps::tree);
    EXPECT_LT(tree.report.kept, 0.9);
    EXPECT_GT(tree.report.truncation, 0);
    EXPECT_LE(tree.report.marginal_error + tree.report.truncation, tolerance);
    EXPECT_LE(tree.report.verified, tree.report.truncation + 1e-14);
    EXPECT_NEAR(tree.report.dual_value, dense.report.dual_value, 1e-8);
    const auto f = back(tree.f), want = back(dense.f);
    for (std::size_t i = 0; i < f.size(); ++i) ASSERT_NEAR(f[i], want[i], 1e-5);

    const Plan<double> all(in.problem, dense), kept(in.problem, tree);
    EXPECT_LE(kept.truncation(), tree.report.truncation);
    EXPECT_NEAR(kept.value(in.exec), all.value(in.exec), 1e-8);
    const auto map = back(kept.barycentric(Side::source, in.exec)),
               map_want = back(all.barycentric(Side::source, in.exec));
    for (std::size_t i = 0; i < map.size(); ++i) ASSERT_NEAR(map[i], map_want[i], 1e-4);
  });
}

// T5. Two clusters, equal points, an outlier, an epsilon beyond the diameter: right, or honest.
TEST(TreeOnDeviceSlow, HostileClouds) {
  for (int kind = 0; kind < 4; ++kind) {
    SCOPED_TRACE(kind);
    auto clouds = random_clouds<double>(500, 900, 3, 9, 1, 1);
    if (kind == 0)
      for (auto* side : {&clouds.x, &clouds.y})
        for (std::size_t i = 0; i < side->size() / 2; ++i) (*side)[i] += 50;
    if (kind == 1)
      for (auto* side : {&clouds.x, &clouds.y}) std::fill(side->begin(), side->end(), 0.5);
    if (kind == 2) clouds.x[5] = 40;
    const double eps = kind == 3 ? 20 : 0.01;
    testing::on_every_device([&] {
      const Marginal soft = KL{0.5};
      PlacedClouds<double> in(clouds, kind == 2 ? soft : Balanced{}, kind == 2 ? soft : Balanced{},
                              SquaredEuclidean{}, {.total_mass = {}, .mass_tolerance = 1e-9});
      auto options = options_of(eps, 1e-6, Sweeps::tree);
      options.max_iterations = 400;
      options.verify = true;
      const auto tree = sinkhorn(in.problem, options, in.exec);
      options.geometry = Sweeps::dense;
      const auto dense = sinkhorn(in.problem, options, in.exec);
      if (tree.report.converged && dense.report.converged) {
        EXPECT_NEAR(tree.report.dual_value, dense.report.dual_value,
                    1e-5 * (1 + std::abs(dense.report.dual_value)));
      } else {
        EXPECT_FALSE(dense.report.converged) << to_string(tree.report.status);
      }
    });
  }
}

// T6. Again, the same bits.
TEST(TreeOnDeviceSlow, RepeatsItself) {
  const auto clouds = cubes<float>(5000, 4100, 2);
  testing::on_every_device([&] {
    PlacedClouds<float> in(clouds, Balanced{}, KL{1});
    const auto run = [&] {
      return sinkhorn(in.problem, options_of(1e-3, 1e-4, Sweeps::tree), in.exec);
    };
    const auto one = run(), other = run();
    ASSERT_TRUE(one.report.converged);
    EXPECT_EQ(back(one.f), back(other.f));
    EXPECT_EQ(back(one.g), back(other.g));
    EXPECT_EQ(one.report.truncation, other.report.truncation);
  });
}

// See docs/benchmarks.md, where trees pay: the CPU's rule is in multiscale_test.cpp.
TEST(TreeOnDevice, ChosenWhereItPays) {
  testing::on_every_gpu([&] {
    const auto geometry = [&](std::int64_t n, double eps) {
      PlacedClouds<float> in(cubes<float>(n, n, 3), Balanced{}, Balanced{}, SquaredEuclidean{},
                             {.total_mass = {}, .mass_tolerance = 1e-3});
      return sinkhorn(in.problem, options_of(eps, 1e-2, Sweeps::automatic), in.exec)
          .report.geometry;
    };
    EXPECT_EQ(geometry(20000, 4e-4), Sweeps::dense);
    EXPECT_EQ(geometry(40000, 4e-4), Sweeps::tree);
    EXPECT_EQ(geometry(40000, 0.1), Sweeps::dense);
  });
}
}  // namespace monge
