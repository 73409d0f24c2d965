#include "monge/core/random.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace monge {
namespace {
// Known answers of the authors' distribution (Random123, kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, IsAConstantExpression) {
  static_assert(philox({0, 0, 0, 0}, 0)[0] == 0x6627e8d5);
  static_assert(philox_uniform(1, 2, 3) > 0 && philox_uniform(1, 2, 3) < 1);
}

TEST(PhiloxUniform, StreamsDrawsAndSeedsDiffer) {
  const double u = philox_uniform(1, 2, 3);
  EXPECT_NE(u, philox_uniform(2, 2, 3));
  EXPECT_NE(u, philox_uniform(1, 3, 3));
  EXPECT_NE(u, philox_uniform(1, 2, 4));
  const std::uint64_t high = std::uint64_t{1} << 32;  // the upper halves count too
  EXPECT_NE(u, philox_uniform(1 + high, 2, 3));
  EXPECT_NE(u, philox_uniform(1, 2 + high, 3));
  EXPECT_NE(u, philox_uniform(1, 2, 3 + high));
}

// Mean and variance of N uniforms lie within 5 standard deviations of 1/2 and 1/12; the variance
// of the sample variance is (1/80 - 1/144) / N.
TEST(PhiloxUniform, HasTheMomentsOfAUniform) {
  const int count = 200000;
  double sum = 0, squares = 0;
  for (int t = 0; t < count; ++t) {
    const double u = philox_uniform(7, 11, t);
    ASSERT_GT(u, 0);
    ASSERT_LT(u, 1);
    sum += u - 0.5;
    squares += (u - 0.5) * (u - 0.5);
  }
  EXPECT_NEAR(sum / count, 0, 5 * std::sqrt(1.0 / 12 / count));
  EXPECT_NEAR(squares / count, 1.0 / 12, 5 * std::sqrt((1.0 / 80 - 1.0 / 144) / count));
}
}  // namespace
}  // namespace monge
