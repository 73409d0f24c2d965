#include "kernels/gram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/devices.hpp"
#include "support/problems.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
template <class T>
class Gram : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Gram, Scalars);

// Sums of n products in double: n u of the sum of their sizes.
TYPED_TEST(Gram, MatchesReferenceOnEveryDevice) {
  using T = TypeParam;
  for (const auto& [n, k] : {std::pair(1, 1), {31, 3}, {33, 64}, {9000, 7}, {20001, 60}}) {
    const auto v = testing::random_vector<T>(std::int64_t{n} * k, 5, 0, -1, 1);
    auto w = testing::random_vector<double>(n, 5, 1);
    w[0] = 0;
    std::vector<long double> want(k * k, 0), size(k * k, 0);
    for (int i = 0; i < n; ++i)
      for (int c = 0; c < k; ++c)
        for (int e = 0; e < k; ++e) {
          const long double term = static_cast<long double>(w[i]) * v[i * std::int64_t{k} + c] *
                                   v[i * std::int64_t{k} + e];
          want[c * k + e] += term;
          size[c * k + e] += std::abs(term);
        }
    testing::expect_same_on_any_threads([&, n = n, k = k](int threads) {
      testing::Placed on;
      std::vector<double> out(k * k, testing::poison<double>());
      Exec exec = on.exec();
      exec.threads = threads;
      kernels::gram<T>({on.in(v), on.in(w), n, k, out.data()}, exec);
      for (int e = 0; e < k * k; ++e)
        EXPECT_NEAR(out[e], static_cast<double>(want[e]),
                    n * std::numeric_limits<double>::epsilon() * static_cast<double>(size[e]));
      return out;
    });
  }
}
}  // namespace
}  // namespace monge
