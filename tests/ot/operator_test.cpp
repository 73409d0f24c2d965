// What the operator promises: the costs of the problem on either side, statistics that zero
// weights do not touch, and every verb the right way round. The kernels have tests of their own.
#include "ot/operator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "support/problems.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::random_clouds;
using testing::random_vector;
using testing::refusal;

constexpr double kInf = std::numeric_limits<double>::infinity();

template <class T>
class OperatorTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(OperatorTest, Scalars);

template <class T>
std::vector<T> padded_bias(std::int64_t count, T value) {
  std::vector<T> h(kernels::padded(count), -std::numeric_limits<T>::infinity());
  std::fill_n(h.begin(), count, value);
  return h;
}

/// [n, m] costs of source against target as the operator sees them from side `rows`: the softmin
/// over one column alone is its cost.
template <class T>
std::vector<double> seen_costs(const Operator<T>& op, Side rows) {
  const std::int64_t n = op.size(rows), m = op.size(other(rows));
  std::vector<double> out(n * m), column(n);
  Exec exec;
  for (std::int64_t j = 0; j < m; ++j) {
    auto h = padded_bias<double>(m, -std::numeric_limits<double>::infinity());
    h[j] = 0;
    op.softmin(rows, h.data(), nullptr, column.data(), 1.0, exec);
    for (std::int64_t i = 0; i < n; ++i)
      out[rows == Side::source ? i * m + j : j * n + i] = column[i];
  }
  return out;
}

/// |x_i - y_j|^2 by the product form, in T, as its contract says.
template <class T>
T product_form(const kernels::Pairs<T>& pairs, std::int64_t i, std::int64_t j) {
  const auto at = [&](const kernels::Panels<T>& points, std::int64_t p, int k) {
    return points.data[(p / 16 * points.dim + k) * 16 + p % 16];
  };
  T product = 0;
  for (int k = 0; k < pairs.rows.dim; ++k)
    product = std::fma(at(pairs.rows, i, k), at(pairs.cols, j, k), product);
  return pairs.rows.norms[i] + pairs.cols.norms[j] - 2 * product;
}

std::vector<Cost> all_costs() {
  return {SquaredEuclidean{}, HalfSquaredEuclidean{},
          Euclidean{},        Power{1},
          Power{2},           Power{3},
          Cosine{},           Dot{}};
}

Problem<double> matrix_problem(MatrixView<const double> C, const std::vector<double>& a,
                               const std::vector<double>& b) {
  return Problem<double>(CostMatrix<double>{C}, {a.data(), std::ssize(a)},
                         {b.data(), std::ssize(b)}, KL{1}, KL{1});
}
}  // namespace

// Rounding moves a coordinate by u of its size and the product form adds about d + 2 ulps of
// |x|^2 + |y|^2, below 4 squared diameters; the largest cost bounds the rest.
TYPED_TEST(OperatorTest, SeesTheCostsOfTheProblemFromEitherSide) {
  using T = TypeParam;
  for (const int d : {1, 2, 3, 4, 5, 17})
    for (const Cost& cost : all_costs()) {
      const auto clouds = random_clouds<T>(19, 33, d, 11 + d);
      const auto problem = clouds.problem(KL{1}, KL{1}, cost);
      const Operator<T> op(problem);
      const auto want = clouds.costs(cost);
      const double largest = std::max(std::abs(op.max_cost()), std::abs(op.min_cost()));
      const double bound = 4 * (d + 8) * std::numeric_limits<T>::epsilon() / 2 * (largest + d);
      for (const Side rows : {Side::source, Side::target}) {
        const auto got = seen_costs(op, rows);
        for (std::size_t k = 0; k < want.size(); ++k)
          ASSERT_NEAR(got[k], want[k], bound) << cost_name(cost) << " d " << d << " pair " << k;
      }
      EXPECT_LE(op.min_cost(), *std::min_element(want.begin(), want.end()) + bound);
      EXPECT_GE(op.max_cost(), *std::max_element(want.begin(), want.end()) - bound);
      EXPECT_EQ(op.dim(), d);
    }
}

// Centred, the error is that of the spread (at most about 3 here). Uncentred it would be that of
// |x|^2 = 17 * 50^2, ten thousand times this bound.
TYPED_TEST(OperatorTest, FarCloudsKeepTheirDistances) {
  using T = TypeParam;
  const int d = 17;
  auto clouds = random_clouds<T>(20, 18, d, 5);
  for (T& value : clouds.x) value += 50;
  for (T& value : clouds.y) value += 50;
  const auto problem = clouds.problem(KL{1}, KL{1});
  const Operator<T> op(problem);
  const auto want = clouds.costs(), got = seen_costs(op, Side::source);
  Exec exec;
  const auto pairs = op.pairs(Side::source, exec);
  const double bound = 4 * (d + 8) * std::numeric_limits<T>::epsilon() / 2 * op.max_cost();
  for (std::int64_t i = 0; i < clouds.n; ++i)
    for (std::int64_t j = 0; j < clouds.m; ++j) {
      ASSERT_NEAR(got[i * clouds.m + j], want[i * clouds.m + j], bound);
      ASSERT_NEAR(product_form(pairs, i, j), want[i * clouds.m + j], bound);
    }
}

// The product form cancels exactly when norms are summed as products are.
TYPED_TEST(OperatorTest, IdenticalPointsCostExactlyNothing) {
  using T = TypeParam;
  auto clouds = random_clouds<T>(21, 21, 23, 6);
  clouds.y = clouds.x;
  const auto problem = clouds.problem(KL{1}, KL{1});
  const Operator<T> op(problem);
  Exec exec;
  const auto pairs = op.pairs(Side::source, exec);
  ASSERT_NE(pairs.rows.norms, nullptr);
  for (std::int64_t i = 0; i < clouds.n; ++i) EXPECT_EQ(product_form(pairs, i, i), 0) << i;
}

TYPED_TEST(OperatorTest, SmallDimensionsStayRaw) {
  const auto clouds = random_clouds<TypeParam>(3, 2, 4, 7);
  const auto problem = clouds.problem(KL{1}, KL{1});
  const Operator<TypeParam> op(problem);
  Exec exec;
  const auto pairs = op.pairs(Side::source, exec);
  EXPECT_EQ(pairs.rows.norms, nullptr);
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 4; ++k) EXPECT_EQ(pairs.rows.data[k * 16 + i], clouds.x[i * 4 + k]);
  for (int k = 0; k < 4; ++k) EXPECT_EQ(pairs.rows.data[k * 16 + 3], 0);  // padding
}

TYPED_TEST(OperatorTest, FarPointsOfWeightZeroChangeNothing) {
  using T = TypeParam;
  for (const int d : {3, 8})
    for (const Cost& cost : all_costs()) {
      const auto clouds = random_clouds<T>(12, 10, d, 8);
      auto padded = clouds;
      for (int i = 0; i < 4; ++i) {
        padded.x.insert(padded.x.end(), d, T(1e6));
        padded.y.insert(padded.y.end(), d, T(-1e6));
        padded.a.push_back(0);
        padded.b.push_back(0);
      }
      padded.n += 4;
      padded.m += 4;
      const auto problem = clouds.problem(KL{1}, KL{1}, cost);
      const auto padded_problem = padded.problem(KL{1}, KL{1}, cost);
      const Operator<T> plain(problem), op(padded_problem);
      EXPECT_EQ(op.min_cost(), plain.min_cost());
      EXPECT_EQ(op.max_cost(), plain.max_cost());
      EXPECT_EQ(op.needed_cost(), plain.needed_cost());
      Exec exec;
      const auto rows = op.pairs(Side::source, exec).rows,
                 plain_rows = plain.pairs(Side::source, exec).rows;
      for (int i = 0; i < 12; ++i)
        for (int k = 0; k < d; ++k)
          ASSERT_EQ(rows.data[k * 16 + i], plain_rows.data[k * 16 + i]) << cost_name(cost);
    }
}

TEST(Operator, BoundsCostsByBoxes) {
  // x in [0, 1] x [0, 2], y in [2, 4] x [1, 3]: the first axis is 1 to 4 apart, the second 0 to 3.
  const Clouds<double> clouds{2, 2, 2, {0, 0, 1, 2}, {2, 1, 4, 3}, {1, 1}, {1, 1}};
  const auto bounds = [&](const Cost& cost) {
    const auto problem = clouds.problem(KL{1}, KL{1}, cost);
    const Operator<double> op(problem);
    EXPECT_EQ(op.needed_cost(), op.max_cost());
    return std::pair(op.min_cost(), op.max_cost());
  };
  EXPECT_EQ(bounds(SquaredEuclidean{}), std::pair(1.0, 25.0));
  EXPECT_EQ(bounds(HalfSquaredEuclidean{}), std::pair(0.5, 12.5));
  EXPECT_EQ(bounds(Euclidean{}), std::pair(1.0, 5.0));
  EXPECT_EQ(bounds(Power{3}), std::pair(1.0, 125.0));
  EXPECT_EQ(bounds(Dot{}), std::pair(-10.0, 0.0));
  const Clouds<double> directions{1, 1, 2, {1, 0}, {0, 1}, {1}, {1}};
  const auto problem = directions.problem(KL{1}, KL{1}, Cosine{});
  const Operator<double> op(problem);
  EXPECT_EQ(std::pair(op.min_cost(), op.max_cost()), std::pair(0.0, 2.0));
}

TEST(Operator, BoundsCostsOfAMatrixOverAllowedPairsOfPositiveWeight) {
  const std::vector<double> C{5,  1,    1e6,  //
                              7,  kInf, 0,    // the last column has no weight
                              -3, -4,   -5};  // nor has the last row
  const std::vector<double> weights{1, 1, 0};
  const auto problem = matrix_problem({C.data(), 3, 3}, weights, weights);
  const Operator<double> op(problem);
  EXPECT_EQ(op.min_cost(), 1);
  EXPECT_EQ(op.max_cost(), 7);
  EXPECT_EQ(op.needed_cost(), 7);  // row 1 has nothing cheaper
  EXPECT_FALSE(op.has_points());
}

// A sentinel that no row and no column depends on is not a cost that a plan needs.
TEST(Operator, ASentinelIsNotNeeded) {
  const std::vector<double> C{0.1, 1e32, 1e32, 0.3};
  const std::vector<double> weights{1, 1};
  const auto problem = matrix_problem({C.data(), 2, 2}, weights, weights);
  const Operator<double> op(problem);
  EXPECT_EQ(op.max_cost(), 1e32);
  EXPECT_EQ(op.needed_cost(), 0.3);
}

TEST(Operator, ReadsAMatrixInAnyLayout) {
  const std::int64_t n = 5, m = 7;
  const auto C = random_vector<double>(n * m, 3, 0);
  std::vector<double> columns(n * m);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j) columns[j * n + i] = C[i * m + j];
  const std::vector<double> a(n, 1.0), b(m, 1.0);
  const auto expect_costs = [](MatrixView<const double> view, const std::vector<double>& a,
                               const std::vector<double>& b) {
    const auto problem = matrix_problem(view, a, b);
    const Operator<double> op(problem);
    for (const Side rows : {Side::source, Side::target}) {
      Exec exec;
      const auto pairs = op.pairs(rows, exec);
      EXPECT_TRUE(pairs.row_stride == 1 || pairs.col_stride == 1);  // what kernels rely on
      const auto got = seen_costs(op, rows);
      for (std::int64_t i = 0; i < view.rows; ++i)
        for (std::int64_t j = 0; j < view.cols; ++j)
          ASSERT_NEAR(got[i * view.cols + j], view(i, j), 1e-15);
    }
  };
  expect_costs({C.data(), n, m}, a, b);
  expect_costs({columns.data(), n, m, 1, n}, a, b);
  expect_costs({C.data(), 1, 7, 999, 5}, {1}, b);  // one strided row, one strided column
  expect_costs({C.data(), 5, 1, 7, 999}, a, {1});
}

namespace {
// Every verb against dense sums with w_ij = exp((h_j + shift_i - c_ij) / eps).
struct Sweep {
  Clouds<double> clouds = random_clouds<double>(9, 13, 3, 21);
  Problem<double> problem = clouds.problem(KL{1}, KL{1});
  Operator<double> op{problem};
  double eps = 0.3;
  Exec exec;

  std::vector<double> h(Side rows) const {
    auto out = padded_bias(op.size(other(rows)), 0.0);
    for (std::int64_t j = 0; j < op.size(other(rows)); ++j) out[j] = 0.1 * std::sin(3.0 * j);
    return out;
  }
  std::vector<double> shift(Side rows) const {
    std::vector<double> out(op.size(rows));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = 0.2 * std::cos(2.0 * i);
    return out;
  }
  double weight(Side rows, std::int64_t i, std::int64_t j) const {
    const auto costs = clouds.costs();
    const double c = rows == Side::source ? costs[i * 13 + j] : costs[j * 13 + i];
    return std::exp((h(rows)[j] + shift(rows)[i] - c) / eps);
  }
};
constexpr Side kSides[] = {Side::source, Side::target};
}  // namespace

TEST(Operator, AppliesOnEitherSide) {
  Sweep sweep;
  for (const Side rows : kSides) {
    const std::int64_t n = sweep.op.size(rows), m = sweep.op.size(other(rows));
    const auto h = sweep.h(rows), shift = sweep.shift(rows);
    const auto v = random_vector<double>(2 * m, 4, 0, -1, 1);  // [2, m], read transposed
    std::vector<double> out(n * 2), ones(n);
    sweep.op.apply(rows, h.data(), shift.data(), kernels::Weighting::plain, {v.data(), m, 2, 1, m},
                   out.data(), sweep.eps, sweep.exec);
    sweep.op.apply(rows, h.data(), shift.data(), kernels::Weighting::squared, {}, ones.data(),
                   sweep.eps, sweep.exec);
    for (std::int64_t i = 0; i < n; ++i) {
      double want[2] = {0, 0}, squares = 0;
      for (std::int64_t j = 0; j < m; ++j) {
        const double w = sweep.weight(rows, i, j);
        want[0] += w * v[j];
        want[1] += w * v[m + j];
        squares += w * w;
      }
      EXPECT_NEAR(out[2 * i], want[0], 1e-13);
      EXPECT_NEAR(out[2 * i + 1], want[1], 1e-13);
      EXPECT_NEAR(ones[i], squares, 1e-13);
    }
  }
}

TEST(Operator, TakesMomentsOnEitherSide) {
  Sweep sweep;
  for (const Side rows : kSides) {
    const std::int64_t n = sweep.op.size(rows), m = sweep.op.size(other(rows));
    const auto h = sweep.h(rows), shift = sweep.shift(rows);
    const auto values = random_vector<double>(m, 5, 0);
    const std::vector<double> center(n, 0.5);
    std::vector<double> mass(n), first(n), second(n);
    sweep.op.moments(rows, h.data(), shift.data(), {values.data(), m, 1}, center.data(),
                     mass.data(), first.data(), second.data(), sweep.eps, sweep.exec);
    for (std::int64_t i = 0; i < n; ++i) {
      double want[3] = {0, 0, 0};
      for (std::int64_t j = 0; j < m; ++j) {
        const double w = sweep.weight(rows, i, j), u = values[j] - 0.5;
        want[0] += w;
        want[1] += w * u;
        want[2] += w * u * u;
      }
      EXPECT_NEAR(mass[i], want[0], 1e-13);
      EXPECT_NEAR(first[i], want[1], 1e-13);
      EXPECT_NEAR(second[i], want[2], 1e-13);
    }
  }
}

TEST(Operator, FindsLargestAndSelectedEntriesOnEitherSide) {
  Sweep sweep;
  for (const Side rows : kSides) {
    const std::int64_t n = sweep.op.size(rows), m = sweep.op.size(other(rows));
    const auto h = sweep.h(rows), shift = sweep.shift(rows);
    std::vector<std::int64_t> columns(n * 2), counts(n), offsets(n);
    std::vector<double> weights(n * 2);
    sweep.op.top_k(rows, h.data(), shift.data(), 2, columns.data(), weights.data(), nullptr,
                   sweep.eps, sweep.exec);
    std::vector<double> threshold(n);
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<std::int64_t> order(m);
      std::iota(order.begin(), order.end(), 0);
      const auto larger = [&](std::int64_t p, std::int64_t q) {
        return sweep.weight(rows, i, p) > sweep.weight(rows, i, q);
      };
      std::sort(order.begin(), order.end(), larger);
      for (int t = 0; t < 2; ++t) {
        EXPECT_EQ(columns[2 * i + t], order[t]);
        EXPECT_NEAR(weights[2 * i + t], sweep.weight(rows, i, order[t]), 1e-13);
      }
      threshold[i] =
          (sweep.weight(rows, i, order[2]) + sweep.weight(rows, i, order[3])) / 2;  // three stay
      offsets[i] = 3 * i;
    }
    std::vector<std::int64_t> selected(3 * n);
    std::vector<double> kept(3 * n);
    sweep.op.select(rows, h.data(), shift.data(), threshold.data(), counts.data(), nullptr, nullptr,
                    nullptr, sweep.eps, sweep.exec);
    EXPECT_EQ(counts, std::vector<std::int64_t>(n, 3));
    sweep.op.select(rows, h.data(), shift.data(), threshold.data(), counts.data(), offsets.data(),
                    selected.data(), kept.data(), sweep.eps, sweep.exec);
    for (std::int64_t i = 0; i < n; ++i)
      for (int t = 0; t < 3; ++t) {
        EXPECT_GE(kept[3 * i + t], threshold[i]);
        EXPECT_NEAR(kept[3 * i + t], sweep.weight(rows, i, selected[3 * i + t]), 1e-13);
      }
  }
}

// Only one column is left to each row, so what is drawn is known; requests lie one after another.
TEST(Operator, DrawsWhatWasRequestedInOrder) {
  Sweep sweep;
  for (const Side rows : kSides) {
    const std::int64_t m = sweep.op.size(other(rows));
    auto h = padded_bias<double>(m, -kInf);
    h[3] = 0;
    auto shift = sweep.shift(rows);
    shift[5] = -kInf;
    std::vector<std::int64_t> out(6, -7);
    sweep.op.draw(rows, h.data(), shift.data(), {2, 5, 8}, {3, 1, 2}, 1, out.data(), sweep.eps,
                  sweep.exec);
    EXPECT_EQ(out, (std::vector<std::int64_t>{3, 3, 3, -1, 3, 3}));
  }
}

// pull is the gradient of sum_j w_ij c(x_i, y_j) with the weights held fixed. The bound is that of
// central differences: h^2/6 of the third derivative (below 100 here) plus u c/h.
TYPED_TEST(OperatorTest, PullsInTheCallersCoordinates) {
  using T = TypeParam;
  for (const int d : {3, 7})
    for (const Cost& cost : all_costs()) {
      auto clouds = random_clouds<T>(6, 5, d, 31);
      for (T& value : clouds.x) value = value * 2 - T(0.5);  // directions all around
      const auto problem = clouds.problem(KL{1}, KL{1}, cost);
      const Operator<T> op(problem);
      Exec exec;
      for (const Side rows : kSides) {
        const bool source = rows == Side::source;
        const std::int64_t n = op.size(rows), m = op.size(other(rows));
        const auto h = padded_bias(m, T(0));
        const std::vector<T> shift(n, T(0));
        std::vector<T> got(n * d);
        op.pull(rows, h.data(), shift.data(), got.data(), 2.0, exec);
        const auto& own = source ? clouds.x : clouds.y;
        const auto& others = source ? clouds.y : clouds.x;
        for (std::int64_t i = 0; i < n; ++i)
          for (int k = 0; k < d; ++k) {
            double want = 0, size = 0;
            for (std::int64_t j = 0; j < m; ++j) {
              std::vector<double> x(own.begin() + i * d, own.begin() + (i + 1) * d);
              const std::vector<double> y(others.begin() + j * d, others.begin() + (j + 1) * d);
              const double w = std::exp(-testing::cost_of(cost, x, y) / 2.0), step = 1e-5;
              x[k] += step;
              double change = testing::cost_of(cost, x, y);
              x[k] -= 2 * step;
              change = (change - testing::cost_of(cost, x, y)) / (2 * step);
              want += w * change;
              size += w * (std::abs(change) + std::abs(y[k]) + std::abs(x[k]));
            }
            const double bound = 1e-8 + 32 * std::numeric_limits<T>::epsilon() * d * size;
            ASSERT_NEAR(got[i * d + k], want, bound) << cost_name(cost) << " d " << d;
          }
      }
    }
}

TEST(Operator, AMatrixHasNoDerivativesAndNoNewPoints) {
  const std::vector<double> C{0, 1, 2, 3};
  const std::vector<double> weights{1, 1};
  const auto problem = matrix_problem({C.data(), 2, 2}, weights, weights);
  const Operator<double> op(problem);
  Exec exec;
  const auto h = padded_bias(2, 0.0);
  double out[2];
  EXPECT_THROW(op.pull(Side::source, h.data(), out, out, 1.0, exec), NotAvailable);
  EXPECT_THROW(op.with_points(Side::source, {C.data(), 2, 2}, exec), NotAvailable);
}

// The same centre and the same directions: a training point given anew costs the same bits.
TYPED_TEST(OperatorTest, NewPointsAreSeenAsTheOldOnes) {
  Exec exec;
  using T = TypeParam;
  for (const int d : {2, 9})
    for (const Cost& cost : all_costs()) {
      const auto clouds = random_clouds<T>(8, 6, d, 41);
      const auto problem = clouds.problem(KL{1}, KL{1}, cost);
      const Operator<T> op(problem);
      const auto all = seen_costs(op, Side::source);
      const auto some = op.with_points(Side::source, {clouds.x.data() + 3 * d, 4, d}, exec);
      EXPECT_EQ(some.size(Side::source), 4);
      EXPECT_EQ(some.size(Side::target), 6);
      const auto rows = seen_costs(some, Side::source);
      EXPECT_EQ(rows, std::vector<double>(all.begin() + 3 * 6, all.begin() + 7 * 6));
      const auto onto = op.with_points(Side::target, {clouds.y.data(), 1, d}, exec);
      const auto first = seen_costs(onto, Side::source);
      for (int i = 0; i < 8; ++i) EXPECT_EQ(first[i], all[i * 6]) << cost_name(cost);
    }
}

TEST(Operator, RefusesMalformedNewPoints) {
  Exec exec;
  const auto clouds = random_clouds<float>(8, 6, 3, 42);
  const auto problem = clouds.problem(KL{1}, KL{1});
  const Operator<float> op(problem);
  std::vector<float> z(6, 0.5f);
  EXPECT_EQ(refusal([&] { op.with_points(Side::source, {z.data(), 3, 2}, exec); }).argument, "z");
  EXPECT_EQ(refusal([&] { op.with_points(Side::source, {z.data(), 0, 3}, exec); }).argument, "z");
  z[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(refusal([&] { op.with_points(Side::source, {z.data(), 2, 3}, exec); }).index, 1);
  z[4] = 1e30f;
  EXPECT_TRUE(refusal([&] {
                op.with_points(Side::source, {z.data(), 2, 3}, exec);
              }).says("float64"));
  const auto angles = clouds.problem(KL{1}, KL{1}, Cosine{});
  const Operator<float> cosine(angles);
  z.assign(6, 0.5f);
  std::fill_n(z.begin() + 3, 3, 0.0f);
  const auto zero = refusal([&] { cosine.with_points(Side::target, {z.data(), 2, 3}, exec); });
  EXPECT_EQ(zero.argument, "z");
  EXPECT_EQ(zero.index, 1);
}

// It belongs to one epsilon and to the points that it was made of.
TYPED_TEST(OperatorTest, AKernelAnswersForItsOwnEpsilonAlone) {
  using T = TypeParam;
  constexpr double kEps = 0.2, kMany = 1e9;
  constexpr std::int64_t kPlenty = 1 << 20;
  const auto clouds = random_clouds<T>(70, 50, 20, 3);
  const auto problem = clouds.problem(Balanced{}, KL{1});
  Operator<T> op(problem);
  Exec exec;
  const auto h = padded_bias(50, 0.0);
  const auto softmin = [&](const Operator<T>& by, double eps, bool from_kernel) {
    std::vector<double> out(by.size(Side::source));
    EXPECT_EQ(by.softmin(Side::source, h.data(), nullptr, out.data(), eps, exec), from_kernel);
    return out;
  };
  const auto streamed = softmin(op, kEps, false), other = softmin(op, 2 * kEps, false);
  EXPECT_FALSE(op.absorb(Side::source, streamed.data(), h.data(), kEps, 0, kPlenty, exec));
  EXPECT_FALSE(op.absorb(Side::source, streamed.data(), h.data(), kEps, kMany, 0, exec));
  softmin(op, kEps, false);
  ASSERT_TRUE(op.absorb(Side::source, streamed.data(), h.data(), kEps, kMany, kPlenty, exec));
  const auto absorbed = softmin(op, kEps, true);
  for (std::size_t i = 0; i < absorbed.size(); ++i)  // norms of 20 about the centre, sums of 50
    ASSERT_NEAR(absorbed[i], streamed[i], 200 * std::numeric_limits<T>::epsilon());
  EXPECT_EQ(softmin(op, 2 * kEps, false), other);
  softmin(op.with_points(Side::source, clouds.source(), exec), kEps, false);
  op.forget();
  EXPECT_EQ(softmin(op, kEps, false), streamed);
}
}  // namespace monge
