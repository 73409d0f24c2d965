#include "monge/ot/composition.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "support/solved.hpp"

namespace monge {
namespace {
using reference::Vector;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;
using testing::tight;

// A chain 11 -> 17 -> 13 -> 9 of which two measures beside each other are the same.
struct Chain {
  std::vector<std::int64_t> sizes{11, 17, 13, 9};
  std::vector<std::vector<double>> points, weights;
  std::vector<std::unique_ptr<Problem<double>>> problems;
  std::vector<std::unique_ptr<Plan<double>>> plans;
  std::vector<const Plan<double>*> all;

  Chain(Marginal a, Marginal b, bool zero, std::uint64_t seed = 9) {
    Exec exec;
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      points.push_back(random_vector<double>(sizes[k] * 2, seed, k));
      weights.push_back(testing::random_weights<double>(sizes[k], 1.3, seed, 10 + k));
      if (zero && (k == 1 || k == 2)) weights[k][4] += std::exchange(weights[k][3], 0);
    }
    for (std::size_t k = 0; k + 1 < sizes.size(); ++k) {
      problems.push_back(std::make_unique<Problem<double>>(
          PointCloud<double>{{points[k].data(), sizes[k], 2},
                             {points[k + 1].data(), sizes[k + 1], 2}},
          VectorView<const double>(weights[k].data(), sizes[k]),
          VectorView<const double>(weights[k + 1].data(), sizes[k + 1]), a, b));
      const auto result = sinkhorn(*problems.back(), tight(0.05, 1e-9), exec);
      plans.push_back(std::make_unique<Plan<double>>(*problems.back(), result));
      all.push_back(plans.back().get());
    }
  }

  // The dense product of the first `count` plans.
  Vector product(std::size_t count, Exec& exec) const {
    auto first = all[0]->dense(exec);
    Vector left(first.begin(), first.end());
    for (std::size_t k = 1; k < count; ++k) {
      const auto right = all[k]->dense(exec);
      const std::int64_t n = sizes[0], s = sizes[k], m = sizes[k + 1];
      Vector out(n * m);
      for (std::int64_t t = 0; t < s; ++t) {
        double mass = 0;
        for (std::int64_t j = 0; j < m; ++j) mass += right[t * m + j];
        for (std::int64_t i = 0; i < n && mass > 0; ++i)
          for (std::int64_t j = 0; j < m; ++j)
            out[i * m + j] += left[i * s + t] * right[t * m + j] / mass;
      }
      left = out;
    }
    return left;
  }
};

void expect_relative(const Buffer<double>& got, const Vector& want, const char* what) {
  double most = 0;
  for (const double w : want) most = std::max(most, std::abs(w));
  testing::expect_near(got, want, 1e-12 * most, what);
}

// L2.
TEST(Composition, IsTheDenseProduct) {
  Exec exec;
  for (const bool zero : {false, true})
    for (const auto& [a, b] :
         {std::pair<Marginal, Marginal>{Balanced{}, Balanced{}}, {KL{0.5}, KL{0.2}}})
      for (const auto& [count, seed] : {std::pair<std::size_t, int>{2, 9}, {3, 10}, {3, 11}}) {
        const Chain chain(a, b, zero, seed);
        const Composition<double> both({chain.all.begin(), chain.all.begin() + count}, exec);
        const Vector want = chain.product(count, exec);
        const std::int64_t n = both.n(), m = both.m(), k = 3;
        ASSERT_EQ(n, 11);
        ASSERT_EQ(m, chain.sizes[count]);
        expect_relative(both.dense(exec), want, "dense");
        const auto v = random_vector<double>(m * k, 4, 0, -1, 1),
                   u = random_vector<double>(n * k, 4, 1, -1, 1);
        Vector forward(n * k), back(m * k), rows(n), columns(m);
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t j = 0; j < m; ++j) {
            rows[i] += want[i * m + j];
            columns[j] += want[i * m + j];
            for (std::int64_t c = 0; c < k; ++c) {
              forward[i * k + c] += want[i * m + j] * v[j * k + c];
              back[j * k + c] += want[i * m + j] * u[i * k + c];
            }
          }
        expect_relative(both.apply(Side::source, {v.data(), m, k}, exec), forward, "P Q V");
        expect_relative(both.apply(Side::target, {u.data(), n, k}, exec), back, "(P Q)^T U");
        expect_relative(both.marginal(Side::source, exec), rows, "rows");
        expect_relative(both.marginal(Side::target, exec), columns, "columns");
        // All that the first plan sends goes on.
        const auto sent = chain.all[0]->marginal(Side::source, exec);
        expect_relative(sent, rows, "mass is kept");
      }
}

TEST(Composition, RefusesSidesThatDiffer) {
  Exec exec;
  const Chain chain(KL{1}, KL{1}, false), other(KL{1}, KL{1}, true);
  const auto compose = [&](std::vector<const Plan<double>*> plans) {
    return refusal([&] { Composition<double>(plans, exec); });
  };
  EXPECT_TRUE(
      compose({chain.all[0], chain.all[2]}).says("ends in 17 points but plan 1 begins with 13"));
  const auto weights = compose({chain.all[0], other.all[1]});
  EXPECT_EQ(weights.index, 1);
  EXPECT_TRUE(weights.says("the same measure")) << weights.message;
  EXPECT_TRUE(compose({chain.all[0]}).says("wanted at least two"));
  EXPECT_EQ(refusal([&] {
              Composition<double>({chain.all[0], chain.all[1]}, exec).dense(exec, 10);
            }).argument,
            "limit");
}
}  // namespace
}  // namespace monge
