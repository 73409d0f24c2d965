#include "monge/ot/sparsify.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "support/solved.hpp"

namespace monge {
namespace {
using testing::random_clouds;
using testing::refusal;

template <class T>
class Sparsify : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Sparsify, Scalars);

// Exactly the entries of the dense plan that are at least the threshold of the rule.
template <class T>
void expect_kept(const testing::Solved<T>& s, const std::vector<T>& dense, const Keep& keep,
                 double threshold) {
  Exec exec;
  const auto got = sparsify(*s.plan, keep, exec);
  EXPECT_EQ(got.threshold, threshold);
  double kept = 0, all = 0;
  const std::int64_t m = s.clouds.m;
  for (std::int64_t i = 0; i < s.clouds.n; ++i) {
    std::int64_t e = got.plan.offsets[i];
    for (std::int64_t j = 0; j < m; ++j) {
      const T p = dense[i * m + j];
      all += p;
      if (p < threshold) continue;
      kept += p;
      ASSERT_LT(e, got.plan.offsets[i + 1]);
      EXPECT_EQ(got.plan.columns[e], j);
      EXPECT_EQ(got.plan.values[e++], p);
    }
    EXPECT_EQ(e, got.plan.offsets[i + 1]);
  }
  EXPECT_NEAR(got.share, kept / all, 1e-5);
}

TYPED_TEST(Sparsify, KeepsExactlyWhatItsRuleSays) {
  using T = TypeParam;
  Exec exec;
  for (const double epsilon : {0.3, 0.01}) {
    auto how = testing::tight(epsilon, 1e-5);
    auto clouds = random_clouds<T>(61, 83, 2, 4);
    clouds.a[7] = 0;
    const testing::Solved<T> s(std::move(clouds), KL{1}, KL{1}, how);
    const auto found = s.plan->dense(exec);
    const std::vector<T> dense(found.begin(), found.end());
    auto sorted = dense;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (const double percentile : {99.9, 98.0, 90.0}) {
      const auto k = static_cast<std::int64_t>(std::ceil((1 - percentile / 100) * 61 * 83 - 0.5));
      expect_kept<T>(s, dense, KeepPercentile{percentile}, sorted[k - 1]);
    }
    double least = 1;
    for (std::int64_t i = 0; i < 61; ++i)
      if (i != 7)
        least = std::min<double>(
            least, *std::max_element(dense.begin() + i * 83, dense.begin() + (i + 1) * 83));
    expect_kept<T>(s, dense, KeepRows{}, least);
    for (const double share : {0.3, 0.9}) {
      double sum = 0;
      std::size_t e = 0;
      while ((sum += sorted[e]) < share * s.plan->mass(exec)) ++e;
      expect_kept<T>(s, dense, KeepMass{share}, sorted[e]);
    }
    EXPECT_NEAR(sparsify<T>(*s.plan, KeepMass{1}, exec).share, 1, 1e-5);
  }
}

TEST(SparsifyRefusals, SayWhatIsWrong) {
  Exec exec;
  const testing::Solved<double> s(random_clouds<double>(9, 8, 2, 4), KL{1}, KL{1},
                                  testing::tight(0.1));
  const auto argument = [&](const Keep& keep, std::int64_t limit = 1000) {
    return refusal([&] { sparsify(*s.plan, keep, exec, limit); }).argument;
  };
  EXPECT_EQ(argument(KeepMass{0}), "mass");
  EXPECT_EQ(argument(KeepMass{1.1}), "mass");
  EXPECT_EQ(argument(KeepPercentile{100}), "percentile");
  EXPECT_EQ(argument(KeepPercentile{10}, 20), "percentile");
}
}  // namespace
}  // namespace monge
