#include "ot/small_matrix.hpp"

#include <gtest/gtest.h>

#include "support/problems.hpp"

namespace monge {
namespace {
/// Z^T diag(w) Z of `rank` columns Z of 40 entries, and columns that are sums of two of them or 0.
SmallMatrix gram(std::int64_t d, std::int64_t rank) {
  constexpr std::int64_t kRows = 40;
  const auto z = testing::random_vector<double>(kRows * rank, 1, d, -1, 1);
  const auto w = testing::random_vector<double>(kRows, 2, d, 0.1, 1);
  const auto entry = [&](std::int64_t i, std::int64_t c) {
    if (c < rank) return z[i * rank + c];
    return c % 2 ? 0.0 : 3 * z[i * rank] - z[i * rank + c % rank];
  };
  SmallMatrix out(d * d, 0.0);
  for (std::int64_t i = 0; i < kRows; ++i)
    for (std::int64_t c = 0; c < d; ++c)
      for (std::int64_t e = 0; e < d; ++e) out[c * d + e] += w[i] * entry(i, c) * entry(i, e);
  return out;
}

// The four properties of Penrose, to rounding of sums of 20 with entries up to 100, times a
// condition of 100 at most.
TEST(SmallMatrix, PseudoInverse) {
  for (const auto& [d, rank] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {8, 8}, {20, 15}, {6, 1}}) {
    SCOPED_TRACE(std::to_string(d) + " of rank " + std::to_string(rank));
    const SmallMatrix a = gram(d, rank), g = pseudo_inverse(a, d, 1e-10);
    const SmallMatrix ag = product(a, g, d), aga = product(ag, a, d), gag = product(g, ag, d);
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j < d; ++j) {
        EXPECT_NEAR(aga[i * d + j], a[i * d + j], 1e-9);
        EXPECT_NEAR(gag[i * d + j], g[i * d + j], 1e-9);
        EXPECT_NEAR(ag[i * d + j], ag[j * d + i], 1e-9);
        EXPECT_NEAR(g[i * d + j], g[j * d + i], 1e-9);
      }
  }
  EXPECT_EQ(pseudo_inverse({0, 0, 0, 0}, 2, 1e-10), SmallMatrix(4, 0.0));
}

// What a matrix sees of a direction by rounding alone, no inverse of it does, once it is taken out;
// all that is orthogonal to it stays.
TEST(SmallMatrix, TakesOutADirection) {
  constexpr std::int64_t kSize = 8;
  std::vector<double> u(kSize);
  for (std::int64_t i = 0; i < kSize; i += 2) u[i] = i % 4 ? 0.5 : -0.5;
  const auto along = [&](const SmallMatrix& a, std::int64_t i) {
    double sum = 0;
    for (std::int64_t j = 0; j < kSize; ++j) sum += a[i * kSize + j] * u[j];
    return sum;
  };
  SmallMatrix without = gram(kSize, kSize);
  take_out(u, without);
  SmallMatrix a = without;
  for (std::int64_t i = 0; i < kSize; ++i)
    for (std::int64_t j = 0; j < kSize; ++j) a[i * kSize + j] += 1e-9 * u[i] * u[j];
  take_out(u, a);
  const SmallMatrix g = pseudo_inverse(a, kSize, 1e-12);
  for (std::int64_t i = 0; i < kSize; ++i) {
    EXPECT_NEAR(along(a, i), 0, 1e-14);
    EXPECT_NEAR(along(g, i), 0, 1e-12);
    for (std::int64_t j = 0; j < kSize; ++j)
      EXPECT_NEAR(a[i * kSize + j], without[i * kSize + j], 1e-14);
  }
}
}  // namespace
}  // namespace monge
