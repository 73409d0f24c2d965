#include "monge/ot/labels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/solved.hpp"

namespace monge {
namespace {
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

template <class T>
struct Case {
  testing::Clouds<T> clouds;
  std::int64_t rows, cols;
  std::vector<double> table;
  std::vector<std::int64_t> s, t;
  double lambda_x = 0.7, lambda_y = 1.3;

  // Entries of either sign, no symmetry.
  Case(std::int64_t rows, std::int64_t cols, std::int64_t d, double mass_a = 1.5, double mass_b = 1)
      : clouds(random_clouds<T>(23, 31, d, 1, mass_a, mass_b)),
        rows(rows),
        cols(cols),
        table(random_vector<double>(rows * cols, 3, 0, -0.3, 0.6)) {
    for (std::int64_t i = 0; i < clouds.n; ++i) s.push_back(i * 7 % rows);
    for (std::int64_t j = 0; j < clouds.m; ++j) t.push_back(j * 5 % cols);
  }
  LabelledClouds<T> labelled(Exec& exec) const {
    return with_labels<T>(clouds.source(), {s.data(), clouds.n}, clouds.target(),
                          {t.data(), clouds.m}, {table.data(), rows, cols}, lambda_x, lambda_y,
                          exec);
  }
  // By the definition.
  std::vector<T> costs() const {
    auto C = clouds.costs();
    std::vector<T> out;
    for (std::int64_t i = 0; i < clouds.n; ++i)
      for (std::int64_t j = 0; j < clouds.m; ++j)
        out.push_back(
            static_cast<T>(lambda_x * C[i * clouds.m + j] + lambda_y * table[s[i] * cols + t[j]]));
    return out;
  }
};

// The plan, the value and the potentials are those of the matrix of these costs, whatever the
// marginals are: nothing was added to a cost.
TEST(Labels, AreTheCostsOfTheirDefinition) {
  Exec exec;
  const double kInfinity = std::numeric_limits<double>::infinity();
  for (const auto& [rows, cols] : {std::pair<int, int>{3, 5}, {5, 3}, {4, 4}, {1, 2}})
    for (auto mix : testing::mixtures()) {
      const bool partial = rows == 4 && mix.name == "tv tv";
      if (partial) mix.a = mix.b = TV{kInfinity};
      const Case<double> c(rows, cols, 2, mix.mass_a, mix.mass_b);
      const ProblemOptions how{.total_mass = partial ? std::optional(0.6) : std::nullopt};
      const auto labelled = c.labelled(exec);
      const auto C = c.costs();
      const Problem<double> points(labelled.cloud(), c.clouds.source_weights(),
                                   c.clouds.target_weights(), mix.a, mix.b, how),
          matrix(CostMatrix<double>{{C.data(), c.clouds.n, c.clouds.m}}, c.clouds.source_weights(),
                 c.clouds.target_weights(), mix.a, mix.b, how);
      const auto options = testing::tight(0.1, 1e-12);
      const auto got = sinkhorn(points, options, exec), want = sinkhorn(matrix, options, exec);
      EXPECT_NEAR(got.report.dual_value, want.report.dual_value, 1e-11) << mix.name;
      testing::expect_near(Plan<double>(points, got).dense(exec),
                           testing::to_double(Plan<double>(matrix, want).dense(exec)), 1e-12,
                           mix.name);
    }
}

// Single costs to a few roundings of what is summed: at most (d + 2 + labels + 4) u of the terms.
TEST(Labels, CostsAreAsExactAsFloat) {
  Exec exec;
  Case<float> c(4, 6, 3);
  for (auto& v : c.clouds.x) v += 100;  // far from 0: they are centred
  for (auto& v : c.clouds.y) v += 100;
  const auto labelled = c.labelled(exec);
  const auto C = Case<float>(c).costs();
  double worst = 0;
  for (std::int64_t i = 0; i < c.clouds.n; ++i)
    for (std::int64_t j = 0; j < c.clouds.m; ++j) {
      float dot = 0;
      for (std::int64_t k = 0; k < labelled.dim; ++k)
        dot -= labelled.x[i * labelled.dim + k] * labelled.y[j * labelled.dim + k];
      worst = std::max(worst, std::abs(static_cast<double>(dot) - C[i * c.clouds.m + j]));
    }
  // Terms: 2 lambda |x||y|, lambda |x|^2, lambda |y|^2 <= 0.7 * 3 * 4, and lambda_y |W| < 1.
  EXPECT_LT(worst, 13 * 0x1p-24 * 9);
}

TEST(Labels, GradientsAreThoseOfThePoints) {
  Exec exec;
  for (const auto& [rows, cols] : {std::pair<int, int>{3, 5}, {5, 3}}) {
    const Case<double> c(rows, cols, 3);
    const auto labelled = c.labelled(exec);
    const Problem<double> problem(labelled.cloud(), c.clouds.source_weights(),
                                  c.clouds.target_weights(), KL{1}, KL{0.5});
    const auto result = sinkhorn(problem, testing::tight(0.1), exec);
    const Plan<double> plan(problem, result);
    const auto got = labelled.in_points(gradient(plan, exec), exec);
    const auto P = plan.dense(exec);
    const auto [n, m, d] = std::tuple(c.clouds.n, c.clouds.m, c.clouds.d);
    std::vector<double> dx(n * d), dy(m * d);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < m; ++j)
        for (std::int64_t k = 0; k < d; ++k) {
          const double step =
              2 * c.lambda_x * P[i * m + j] * (c.clouds.x[i * d + k] - c.clouds.y[j * d + k]);
          dx[i * d + k] += step;
          dy[j * d + k] -= step;
        }
    testing::expect_near(got.dx, dx, 1e-14, "dx");
    testing::expect_near(got.dy, dy, 1e-14, "dy");
  }
}

TEST(Labels, RefuseWhatIsMalformed) {
  Exec exec;
  const Case<double> good(3, 4, 2);
  const auto argument = [&](const auto& change) {
    Case<double> c = good;
    change(c);
    const auto said = refusal([&] { c.labelled(exec); });
    return std::pair{said.argument, said.index};
  };
  using Found = std::pair<std::string, std::optional<std::int64_t>>;
  EXPECT_EQ(argument([](auto& c) { c.s[2] = 3; }), Found("labels_x", 2));
  EXPECT_EQ(argument([](auto& c) { c.t[4] = -1; }), Found("labels_y", 4));
  EXPECT_EQ(argument([](auto& c) { c.table[5] = NAN; }), Found("table", 1));
  EXPECT_EQ(argument([](auto& c) { c.clouds.x[3] = NAN; }), Found("x", 1));
  EXPECT_EQ(argument([](auto& c) { c.lambda_x = 0; }).first, "lambda_x");
  EXPECT_EQ(argument([](auto& c) { c.lambda_y = INFINITY; }).first, "lambda_y");
}
}  // namespace
}  // namespace monge
