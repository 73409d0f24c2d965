// The dense Hessian: against Hessian products, in parts, and the factorisation it stands on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "ot/derivatives/cholesky.hpp"
#include "support/golden.hpp"
#include "support/runs.hpp"
#include "support/tangents.hpp"

namespace monge {
namespace {
using testing::Moving;
using testing::norm;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

const SolveOptions kExact{.tolerance = 1e-14};

// Every column of the Hessian is a product.
void expect_columns_are_products(const Linearization<double>& at, Side side, double tolerance,
                                 const std::string& what) {
  Exec exec;
  const std::int64_t n = side == Side::source ? at.n() : at.m(), d = at.dim(), size = n * d;
  const auto dense = hessian(at, side, {}, exec);
  EXPECT_EQ(dense.dropped_modes, 0) << what;
  std::vector<double> axes(size * size, 0.0);
  for (std::int64_t e = 0; e < size; ++e) axes[e * size + e] = 1;
  Tangent<double> along{.count = static_cast<int>(size)};
  const MatrixView<const double> points(axes.data(), size * n, d);
  (side == Side::source ? along.dx : along.dy) = points;
  const auto products =
      hvp(at, along, side == Side::source ? Wrt::source : Wrt::target, kExact, exec);
  const auto& rows = side == Side::source ? products.dx : products.dy;
  double largest = 0;
  for (std::int64_t e = 0; e < size * size; ++e) largest = std::max(largest, std::abs(rows[e]));
  for (std::int64_t e = 0; e < size * size; ++e)
    ASSERT_NEAR(dense.value[e], rows[e], tolerance * largest) << what << " " << e;
}

TEST(Hessian, IsWhatProductsAre) {
  Exec exec;
  for (const auto& mix : testing::mixtures()) {
    const Moving problem{random_clouds<double>(9, 7, 2, 51, mix.mass_a, mix.mass_b), mix.a, mix.b};
    const auto solved = problem.at();
    const auto at = linearize(*solved.plan, exec);
    expect_columns_are_products(at, Side::source, 1e-12, mix.name);
    expect_columns_are_products(at, Side::target, 1e-12, mix.name);
  }
}

TEST(Hessian, OfEveryCost) {
  Exec exec;
  for (const Cost& cost : {Cost{HalfSquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}},
                           Cost{Power{3}}, Cost{Cosine{}}, Cost{Dot{}}}) {
    const auto mix = testing::mixtures()[1];
    const Moving problem{random_clouds<double>(6, 8, 3, 52, mix.mass_a, mix.mass_b), mix.a, mix.b,
                         cost};
    const auto solved = problem.at();
    expect_columns_are_products(linearize(*solved.plan, exec), Side::source, 1e-12,
                                cost_name(cost));
  }
}

// sum_k H[i, s, k, t] = 2 r_i delta_st, balanced: the error that the largest sums show.
TEST(Hessian, KeepsTheRowIdentity) {
  Exec exec;
  for (const double eps : {0.1, 0.01}) {
    const Moving problem{testing::cubes<double>(70, 90, 2), Balanced{}, Balanced{},
                         SquaredEuclidean{}, eps};
    const auto solved = problem.at();
    const auto dense = hessian(linearize(*solved.plan, exec), Side::source, {}, exec);
    const auto r = solved.plan->marginal(Side::source, exec);
    for (int i = 0; i < 70; ++i)
      for (int s = 0; s < 2; ++s)
        for (int t = 0; t < 2; ++t) {
          double sum = 0;
          for (int k = 0; k < 70; ++k) sum += dense.value[((i * 2 + s) * 70 + k) * 2 + t];
          EXPECT_NEAR(sum, s == t ? 2 * r[i] : 0, 1e-12);
        }
  }
}

// Clusters that no mass links: two modes more than the constants, which no product sees.
TEST(Hessian, OfSeparatedClusters) {
  Exec exec;
  auto clouds = random_clouds<double>(12, 12, 2, 53, 1, 1);
  for (int i = 0; i < 12; ++i) clouds.x[2 * i] += 100 * (i / 4), clouds.y[2 * i] += 100 * (i / 4);
  clouds.a.assign(12, 1.0 / 12);
  clouds.b.assign(12, 1.0 / 12);
  const Moving problem{clouds, Balanced{}, Balanced{}};
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const auto dense = hessian(at, Side::source, {}, exec);
  EXPECT_EQ(dense.dropped_modes, 2);
  const auto v = random_vector<double>(24, 54, 0, -1);
  const auto product = hvp(at, {.dx = {v.data(), 12, 2}}, Wrt::source, kExact, exec);
  for (int e = 0; e < 24; ++e) {
    double sum = 0;
    for (int k = 0; k < 24; ++k) sum += dense.value[e * 24 + k] * v[k];
    EXPECT_NEAR(sum, product.dx[e], 1e-8 * norm(product.dx));
  }
}

TEST(Hessian, PointsOfWeightZeroHaveNone) {
  Exec exec;
  auto clouds = random_clouds<double>(5, 6, 2, 55);
  clouds.a[2] = 0, clouds.b[1] = 0;
  const Moving problem{clouds, KL{0.5}, KL{1}};
  const auto solved = problem.at();
  expect_columns_are_products(linearize(*solved.plan, exec), Side::source, 1e-12, "zeros");
}

TEST(Hessian, RefusesWhatIsTooLarge) {
  Exec exec;
  const Moving problem{random_clouds<double>(6, 5, 2, 56, 1, 1), Balanced{}, Balanced{}};
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const auto said = refusal([&] { hessian(at, Side::source, {.limit = 143}, exec); });
  EXPECT_EQ(said.argument, "limit");
  EXPECT_TRUE(said.says("144")) << said.message;
}

// Of sizes around the panels: U^T U = S, U^T (U^-T z) = z.
TEST(Cholesky, FactorsAndSolves) {
  testing::on_every_target([] {
    Exec exec;
    for (const std::int64_t n : {1, 5, 64, 65, 150}) {
      const auto w = random_vector<double>(n * n, 57, n, -1);
      std::vector<double> s(n * n, 0.0);
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          for (std::int64_t l = 0; l < n; ++l) s[i * n + j] += w[i * n + l] * w[j * n + l] / n;
          if (i == j) s[i * n + j] += 1;
        }
      auto u = s;
      ASSERT_TRUE(cholesky(u, n, 1e-13, exec));
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = i; j < n; ++j) {
          double sum = 0;
          for (std::int64_t l = 0; l <= i; ++l) sum += u[l * n + i] * u[l * n + j];
          EXPECT_NEAR(sum, s[i * n + j], 1e-13);
        }
      const auto z = random_vector<double>(n * 7, 58, n, -1);
      auto x = z;
      solve_transposed(u, n, x, 7, exec);
      for (std::int64_t i = 0; i < n; ++i)
        for (int c = 0; c < 7; ++c) {
          double sum = 0;
          for (std::int64_t l = 0; l <= i; ++l) sum += u[l * n + i] * x[l * 7 + c];
          EXPECT_NEAR(sum, z[i * 7 + c], 1e-12);
        }
    }
    std::vector<double> indefinite{1, 2, 2, 1};
    EXPECT_FALSE(cholesky(indefinite, 2, 1e-13, exec));
  });
}
}  // namespace
}  // namespace monge
