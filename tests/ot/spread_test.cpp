#include "ot/spread.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/placed_clouds.hpp"

namespace monge {
namespace {
template <class T>
class Spread : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Spread, Scalars);

// Partners of a row, from the squares of its plan: where few carry it, and where nearly all do.
TYPED_TEST(Spread, CountsPartnersBySquares) {
  using T = TypeParam;
  testing::on_every_device([] {
    for (const double eps : {1.0, 1e-2, 1e-3}) {
      testing::PlacedClouds<T> in(testing::random_clouds<T>(70, 90, 2, 3, 1, 1), Balanced{},
                                  Balanced{});
      Operator<T> op(in.problem);
      Alternation<T> alternation(in.problem, op, true, in.exec);
      alternation.start({}, in.exec);
      alternation.set_epsilon(eps);
      for (int step = 0; step < 20; ++step) {
        alternation.lead(1, in.exec);
        alternation.sweep_following(in.exec);
        alternation.follow(1, in.exec);
      }
      const auto costs = in.host.costs();
      const auto &rows = alternation.leading(), &columns = alternation.following();
      ASSERT_EQ(rows.side, Side::source);
      const auto n = static_cast<std::size_t>(rows.weight.size),
                 m = static_cast<std::size_t>(columns.weight.size);
      const auto g =
          testing::back(columns.potential, columns.weight.size, testing::current_device());
      constexpr int kBest = 8;
      double want = 0, mass = 0;
      for (std::size_t i = 0; i < n; ++i) {
        std::vector<double> score(m);
        for (std::size_t j = 0; j < m; ++j)
          score[j] = (g[j] - costs[i * m + j]) / eps + std::log(in.host.b[j]);
        const double top = *std::max_element(score.begin(), score.end());
        double sum = 0, squares = 0;
        for (const double s : score) {
          sum += std::exp(s - top);
          squares += std::exp(2 * (s - top));
        }
        want += in.host.a[i] * std::min(1.0, kBest * squares / (sum * sum));
        mass += in.host.a[i];
      }
      const auto passes = alternation.passes();
      // Scores of float are off by some 1e-7 / eps.
      EXPECT_NEAR(best_share(alternation, kBest, in.exec), want / mass,
                  sizeof(T) == 4 ? 1e-6 / eps : 1e-10);
      EXPECT_EQ(alternation.passes(), passes + 2);
      EXPECT_GT(want / mass, eps > 0.1 ? 0 : 0.2);
    }
  });
}
}  // namespace
}  // namespace monge
