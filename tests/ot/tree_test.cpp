// Certified truncation: the bound of a pair of blocks, the certificate of a mask, and sweeps in the
// order of the trees.
#include "ot/tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "ot/arrays.hpp"
#include "ot/operator.hpp"
#include "support/problems.hpp"
#include "support/wide.hpp"

namespace monge {
namespace {
using kernels::kRowBlock;
using testing::Clouds;
using testing::cubes;
using testing::random_clouds;
using testing::random_vector;
using testing::wide;

/// Points in tree order by blocks, with a potential: a block is a leaf.
struct Block {
  std::vector<double> points, potential;
  int dim;
};

/// A bound of all pairs of two blocks, by the trees of both.
double bound_of(const Block& a, const Block& b, double scale) {
  const auto tree = [](const Block& block) {
    const auto n = static_cast<std::int64_t>(block.potential.size());
    static const std::vector<double> kOnes(4096, 1.0);
    Exec exec;
    return Tree<double>({block.points.data(), n, block.dim}, {kOnes.data(), n}, exec);
  };
  Exec exec;
  const auto tree_a = tree(a), tree_b = tree(b);
  const auto planes_a = tree_a.planes(a.potential.data(), exec),
             planes_b = tree_b.planes(b.potential.data(), exec);
  const std::int64_t root_a = planes_a.size() - 1, root_b = planes_b.size() - 1;
  return kernels::pair_bound(tree_a.nodes().boxes[root_a], planes_a[root_a],
                             tree_b.nodes().boxes[root_b], planes_b[root_b], scale);
}

long double largest_score(const Block& a, const Block& b, double scale) {
  long double most = -std::numeric_limits<long double>::infinity();
  for (std::size_t i = 0; i < a.potential.size(); ++i)
    for (std::size_t j = 0; j < b.potential.size(); ++j) {
      long double cost = 0;
      for (int k = 0; k < a.dim; ++k) {
        const long double by =
            static_cast<long double>(a.points[i * a.dim + k]) - b.points[j * b.dim + k];
        cost += by * by;
      }
      most =
          std::max(most, static_cast<long double>(a.potential[i]) + b.potential[j] - scale * cost);
    }
  return most;
}

Block random_block(std::int64_t count, int dim, std::uint64_t seed, double extent, double shift,
                   double slope, double noise) {
  Block out{random_vector<double>(count * dim, seed, 0, shift, shift + extent),
            random_vector<double>(count, seed, 1, -noise, noise), dim};
  for (std::int64_t i = 0; i < count; ++i)
    for (int k = 0; k < dim; ++k)
      out.potential[i] += slope * (k + 1) * (out.points[i * dim + k] - shift);
  return out;
}

/// A pair of potentials after some iterations from 0, by plain sweeps over all pairs.
template <class T>
struct Pair {
  std::vector<T> f, g;
};
template <class T>
Pair<T> iterated(const Problem<T>& problem, double eps, int iterations) {
  const Operator<T> op(problem);
  Exec exec;
  Pair<T> out{std::vector<T>(problem.n(), 0), std::vector<T>(problem.m(), 0)};
  const auto half = [&](Side rows, std::vector<T>& to, const std::vector<T>& from) {
    const auto weights = rows == Side::source ? problem.b() : problem.a();
    std::vector<double> h(kernels::padded(std::ssize(from)), -INFINITY);
    for (std::size_t j = 0; j < from.size(); ++j)
      if (weights[j] > 0) h[j] = from[j] + eps * std::log(double{weights[j]});
    std::vector<double> s(to.size());
    op.softmin(rows, h.data(), nullptr, s.data(), eps, exec);
    std::copy(s.begin(), s.end(), to.begin());
  };
  for (int t = 0; t < iterations; ++t) {
    half(Side::source, out.f, out.g);
    half(Side::target, out.g, out.f);
  }
  return out;
}

template <class T>
std::vector<T> bias(const std::vector<T>& potential, VectorView<const T> weights, double eps) {
  std::vector<T> h(kernels::padded(std::ssize(potential)), -std::numeric_limits<T>::infinity());
  for (std::size_t j = 0; j < potential.size(); ++j)
    if (weights[j] > 0) h[j] = static_cast<T>(potential[j] + eps * std::log(double{weights[j]}));
  return h;
}

/// p_i / a_i.
template <class T>
std::vector<T> ratios(const Problem<T>& problem, const Operator<T>& op, Side rows,
                      const Pair<T>& pair, double eps) {
  const bool source = rows == Side::source;
  const auto h = bias(source ? pair.g : pair.f, source ? problem.b() : problem.a(), eps);
  std::vector<T> out(op.size(rows));
  Exec exec;
  op.apply(rows, h.data(), (source ? pair.f : pair.g).data(), kernels::Weighting::plain, {},
           out.data(), eps, exec);
  return out;
}

template <class T>
Operator<T> planted(const Problem<T>& problem) {
  Exec exec;
  Operator<T> op(problem);
  op.plant(std::make_shared<const Forest<T>>(problem, exec), exec);
  return op;
}
}  // namespace

// The order is one: every aligned run of a power of two is a node, and its box holds its points.
TEST(Tree, BlocksAreNodes) {
  for (const std::int64_t n : {1, 63, 64, 65, 200, 1000, 4097}) {
    const auto clouds = random_clouds<float>(n, 1, 3, 5);
    Exec exec;
    const Tree<float> tree(clouds.source(), clouds.source_weights(), exec);
    const auto nodes = tree.nodes();
    const auto rank = tree.rank(exec);
    std::set<std::int32_t> seen(tree.order(), tree.order() + n);
    EXPECT_EQ(std::ssize(seen), n);
    EXPECT_EQ(nodes.count(nodes.levels - 1), 1);
    double finest = 0;
    for (int level = 0; level < nodes.levels; ++level) {
      const std::int64_t size = std::int64_t{kernels::kLeaf} << level;
      EXPECT_EQ(nodes.count(level), (n + size - 1) / size);
      for (std::int64_t node = 0; node < nodes.count(level); ++node) {
        const auto& box = nodes.boxes[nodes.first[level] + node];
        double mass = 0;
        for (std::int64_t i = node * size; i < std::min(n, (node + 1) * size); ++i) {
          mass += clouds.a[tree.order()[i]];
          EXPECT_EQ(rank[tree.order()[i]], i);
          for (int k = 0; k < 3; ++k) {
            EXPECT_GE(clouds.x[tree.order()[i] * 3 + k], box.low[k]);
            EXPECT_LE(clouds.x[tree.order()[i] * 3 + k], box.high[k]);
          }
        }
        EXPECT_NEAR(nodes.mass[nodes.first[level] + node], mass, 1e-12);
        if (level == 0) finest += box.high[0] - box.low[0];
      }
    }
    // Leaves are compact: with 16 of n points an edge is near (16 / n)^(1/3).
    if (n == 4097) {
      EXPECT_LT(finest / static_cast<double>(nodes.count(0)), 0.29);
    }
  }
}

// T1. Leaves and nodes above them, potentials of any kind.
TEST(Tree, BoundIsAboveEveryScore) {
  int tight = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const auto u = random_vector<double>(12, seed, 9);
    const int dim = 1 + static_cast<int>(seed % 3);
    const auto extent = [&](double v) { return seed % 7 == 0 ? 0 : std::pow(10, 4 * v - 3); };
    const double slope = seed % 5 == 0 ? 1e6 * (u[0] - 0.5) : 4 * (u[0] - 0.5);
    const double other = seed % 3 == 0 ? -slope : 4 * (u[1] - 0.5);  // t + s = 0
    const double shift = seed % 11 == 0 ? 1e6 : 3 * (u[2] - 0.5), scale = seed % 2 ? 1 : 0.5;
    const double noise = seed % 4 == 0 ? 1e-3 : u[3];
    const std::int64_t large = seed % 13 == 0 ? 700 : 64;
    Block a = random_block(1 + static_cast<std::int64_t>(u[4] * (large - 1)), dim, 2 * seed,
                           extent(u[5]), shift, slope, noise);
    Block b = random_block(1 + static_cast<std::int64_t>(u[6] * (large - 1)), dim, 2 * seed + 1,
                           extent(u[7]), shift + (seed % 6 ? u[8] : 0), other, noise);
    const double bound = bound_of(a, b, scale);
    const long double most = largest_score(a, b, scale);
    ASSERT_GE(bound, most) << "seed " << seed;
    if (bound - most < 2 * noise + 0.3) ++tight;
  }
  EXPECT_GT(tight, 300);  // a bound, and no mere large number
}

// A jump, points without partner, and nodes that carry nothing.
TEST(Tree, BoundOfInfinitePotentials) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Block a = random_block(50, 3, 1, 1, 0, 1, 1), b = random_block(50, 3, 2, 1, 0, 1, 1);
  a.potential[7] = -kInfinity;
  EXPECT_GE(bound_of(a, b, 1), largest_score(a, b, 1));
  std::fill(b.potential.begin(), b.potential.end(), -kInfinity);
  EXPECT_EQ(bound_of(a, b, 1), -kInfinity);
  b = random_block(50, 3, 2, 1, 0, 1, 1);
  a.potential[7] = kInfinity;
  EXPECT_EQ(bound_of(a, b, 1), kInfinity);
  std::fill_n(a.potential.begin(), 25, -1e3);
  std::fill_n(a.potential.begin() + 25, 25, 1e3);
  EXPECT_GE(bound_of(a, b, 1), largest_score(a, b, 1));
}

// T2. What a row or a column loses is within its certificate, and that within its budget, whether
// or not the potentials have converged; so after they have moved.
TEST(TreeSlow, LossIsCertified) {
  const double eps = 0.004;
  for (const int d : {1, 2, 3}) {
    const auto clouds = cubes<double>(3000, 2300, d);
    const auto problem = clouds.problem(Balanced{}, Balanced{});
    const Operator<double> dense(problem);
    for (const int iterations : {1, 20}) {
      const auto pair = iterated(problem, eps, iterations);
      const auto a_all = ratios(problem, dense, Side::source, pair, eps),
                 b_all = ratios(problem, dense, Side::target, pair, eps);
      for (const double delta : {1e-2, 1e-4, 1e-6, 1e-10}) {
        Exec exec;
        const auto forest = std::make_shared<const Forest<double>>(problem, exec);
        const Mask<double> mask(*forest, pair.f.data(), pair.g.data(), eps, delta, delta, exec);
        Operator<double> op(problem);
        op.plant(forest, exec);
        // One budget for all: the operator's mask is this one.
        op.truncate(pair.f.data(), pair.g.data(), eps, 32 * 2 * delta, exec);
        EXPECT_EQ(op.kept(), mask.kept());
        EXPECT_LT(mask.kept(), 0.7);
        // What is lost in all, and what the certificate says of it.
        const auto check = [&](Side side, const std::vector<double>& all, const Tree<double>& tree,
                               double& actual, double& sum) {
          const auto some = ratios(problem, op, side, pair, eps);
          const auto& losses = mask.losses(side);
          const auto rank = tree.rank(exec);
          for (std::size_t i = 0; i < all.size(); ++i) {
            const double lost = all[i] - some[i], bound = losses[rank[i] / kRowBlock];
            const double rounding = 1e-12 * all[i];
            ASSERT_LE(lost, bound + rounding) << "side " << static_cast<int>(side) << " row " << i;
            ASSERT_GE(lost, -rounding);
            ASSERT_LE(bound, delta);
            actual += lost / static_cast<double>(all.size());
            sum += bound / static_cast<double>(all.size());
          }
        };
        double row_loss = 0, row_sum = 0, col_loss = 0, col_sum = 0;
        check(Side::source, a_all, forest->source, row_loss, row_sum);
        check(Side::target, b_all, forest->target, col_loss, col_sum);
        EXPECT_NEAR(mask.lost(), row_sum + col_sum, 1e-6 * mask.lost());
        EXPECT_GT(mask.lost(), delta / 100);  // the budget is used
        if (delta > 1e-3) {
          EXPECT_GT(row_loss + col_loss, 0);
        }

        // Potentials that moved: the old certificate, raised by df + dg, and no other.
        auto moved = pair;
        for (std::size_t i = 0; i < moved.f.size(); ++i) moved.f[i] += eps * std::sin(double(i));
        for (double& g : moved.g) g += 0.5 * eps;
        EXPECT_NEAR(mask.lost(moved.f.data(), moved.g.data(), exec), mask.lost() * std::exp(1.5),
                    1e-4 * mask.lost());
        const auto gone = ratios(problem, dense, Side::source, moved, eps),
                   kept = ratios(problem, op, Side::source, moved, eps);
        double lost = 0;
        for (std::size_t i = 0; i < gone.size(); ++i)
          lost += (gone[i] - kept[i]) / static_cast<double>(gone.size());
        EXPECT_LE(lost, mask.lost(moved.f.data(), moved.g.data(), exec) + 1e-12);
      }
    }
  }
}

// The column budget counts: a light column beside heavy rows.
TEST(Tree, BothBudgetsHold) {
  auto clouds = random_clouds<double>(640, 640, 2, 3, 1, 1);
  for (std::int64_t i = 0; i < clouds.n; ++i) clouds.a[i] = i % 2 ? 1e-6 : 1;
  const auto problem = clouds.problem(KL{1}, KL{1});
  Exec exec;
  const Forest<double> forest(problem, exec);
  const std::vector<double> f(640, 0.0), g(640, 0.0);
  for (const auto& [row, col] : {std::pair(1e-3, 1e3), std::pair(1e3, 1e-3)}) {
    const Mask<double> mask(forest, f.data(), g.data(), 0.01, row, col, exec);
    const auto& w = mask.losses(Side::source);
    const auto& v = mask.losses(Side::target);
    EXPECT_LE(*std::max_element(w.begin(), w.end()), row);
    EXPECT_LE(*std::max_element(v.begin(), v.end()), col);
    EXPECT_LT(mask.kept(), 1);
  }
}

// T3, the operator: with everything kept the bits are those of a dense operator on points in the
// order of the trees.
template <class T>
class PlantedTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PlantedTest, Scalars);

TYPED_TEST(PlantedTest, FullMaskHasTheBitsOfTheDenseOperator) {
  using T = TypeParam;
  const double eps = 0.05;
  for (const int d : {1, 2, 3}) {
    const auto clouds = random_clouds<T>(700, 1100, d, 7, 1, 1);
    const auto problem = clouds.problem(KL{1}, KL{1});
    auto op = planted(problem);
    Exec exec;
    const Forest<T> forest(problem, exec);
    Clouds<T> ordered = clouds;
    const auto arrange = [&](const Tree<T>& tree, const std::vector<T>& x, const std::vector<T>& a,
                             std::vector<T>& to_x, std::vector<T>& to_a) {
      for (std::int64_t i = 0; i < tree.size(); ++i) {
        std::copy_n(x.begin() + tree.order()[i] * d, d, to_x.begin() + i * d);
        to_a[i] = a[tree.order()[i]];
      }
    };
    arrange(forest.source, clouds.x, clouds.a, ordered.x, ordered.a);
    arrange(forest.target, clouds.y, clouds.b, ordered.y, ordered.b);
    const auto arranged = ordered.problem(KL{1}, KL{1});
    const Operator<T> dense(arranged);
    const auto pair = iterated(problem, eps, 3);
    const auto in_order = [&](const std::vector<T>& from, const Tree<T>& tree) {
      std::vector<T> out(from.size());
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = from[tree.order()[i]];
      return out;
    };
    const auto f = in_order(pair.f, forest.source), g = in_order(pair.g, forest.target);
    op.truncate(wide(pair.f).data(), wide(pair.g).data(), eps, 0, exec);
    for (const Side rows : {Side::source, Side::target}) {
      const bool source = rows == Side::source;
      const Tree<T>& tree = forest.of(rows);
      const auto h = bias(source ? pair.g : pair.f, source ? problem.b() : problem.a(), eps);
      const auto ordered_h = bias(source ? g : f, source ? arranged.b() : arranged.a(), eps);
      const T* const shift = (source ? pair.f : pair.g).data();
      const T* const ordered_shift = (source ? f : g).data();
      const std::int64_t n = op.size(rows), m = op.size(other(rows));
      const auto expect_same = [&](const auto& got, const auto& want, std::int64_t k) {
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t c = 0; c < k; ++c)
            ASSERT_EQ(got[tree.order()[i] * k + c], want[i * k + c]) << i << ", " << c;
      };
      std::vector<double> s(n), s_want(n);
      const auto wide_h = wide(h), wide_ordered = wide(ordered_h);
      op.softmin(rows, wide_h.data(), nullptr, s.data(), eps, exec);
      dense.softmin(rows, wide_ordered.data(), nullptr, s_want.data(), eps, exec);
      expect_same(s, s_want, 1);
      op.softmin(rows, wide_h.data(), s.data(), s.data(), eps, exec);  // in place
      dense.softmin(rows, wide_ordered.data(), s_want.data(), s_want.data(), eps, exec);
      expect_same(s, s_want, 1);

      const auto v = random_vector<T>(m * 2, 3, 3);
      std::vector<T> ordered_v(m * 2), p(n * 2), p_want(n * 2);
      for (std::int64_t j = 0; j < m; ++j)
        std::copy_n(v.begin() + forest.of(other(rows)).order()[j] * 2, 2, &ordered_v[j * 2]);
      op.apply(rows, h.data(), shift, kernels::Weighting::plain, {v.data(), m, 2}, p.data(), eps,
               exec);
      dense.apply(rows, ordered_h.data(), ordered_shift, kernels::Weighting::plain,
                  {ordered_v.data(), m, 2}, p_want.data(), eps, exec);
      expect_same(p, p_want, 2);

      std::vector<T> pulled(n * d), pulled_want(n * d), mass(n), mass_want(n);
      op.pull(rows, h.data(), shift, pulled.data(), eps, exec, mass.data());
      dense.pull(rows, ordered_h.data(), ordered_shift, pulled_want.data(), eps, exec,
                 mass_want.data());
      expect_same(pulled, pulled_want, d);
      expect_same(mass, mass_want, 1);

      const std::vector<T> center(n * 2, T(0.25));
      std::vector<T> first(n * 2), first_want(n * 2), second(n * 4), second_want(n * 4);
      op.moments(rows, h.data(), shift, {v.data(), m, 2}, center.data(), mass.data(), first.data(),
                 second.data(), eps, exec);
      dense.moments(rows, ordered_h.data(), ordered_shift, {ordered_v.data(), m, 2}, center.data(),
                    mass_want.data(), first_want.data(), second_want.data(), eps, exec);
      expect_same(first, first_want, 2);
      expect_same(second, second_want, 4);

      // Entries of the plan are those of the dense operator, named by the points of the caller.
      std::vector<std::int64_t> columns(n * 3), columns_want(n * 3);
      std::vector<T> weights(n * 3), weights_want(n * 3);
      op.top_k(rows, h.data(), shift, 3, columns.data(), weights.data(), nullptr, eps, exec);
      dense.top_k(rows, ordered_h.data(), ordered_shift, 3, columns_want.data(),
                  weights_want.data(), nullptr, eps, exec);
      expect_same(weights, weights_want, 3);
      for (auto& column : columns_want)
        if (column >= 0) column = forest.of(other(rows)).order()[column];
      expect_same(columns, columns_want, 3);

      std::vector<T> least(n, T(0.01));
      std::vector<std::int64_t> counts(n), counts_want(n), offsets(n);
      op.select(rows, h.data(), shift, least.data(), counts.data(), nullptr, nullptr, nullptr, eps,
                exec);
      dense.select(rows, ordered_h.data(), ordered_shift, least.data(), counts_want.data(), nullptr,
                   nullptr, nullptr, eps, exec);
      expect_same(counts, counts_want, 1);
      std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), std::int64_t{0});
      const auto entries = offsets[n - 1] + counts[n - 1];
      std::vector<std::int64_t> selected(entries);
      std::vector<T> values(entries);
      op.select(rows, h.data(), shift, least.data(), counts.data(), offsets.data(), selected.data(),
                values.data(), eps, exec);
      const auto& own = source ? clouds.x : clouds.y;
      const auto& across = source ? clouds.y : clouds.x;
      for (std::int64_t i = 0; i < n; ++i)
        for (auto e = offsets[i]; e < offsets[i] + counts[i]; ++e) {
          double cost = 0;
          for (int k = 0; k < d; ++k)
            cost += std::pow(double{own[i * d + k]} - across[selected[e] * d + k], 2);
          ASSERT_NEAR(values[e], std::exp((h[selected[e]] + shift[i] - cost) / eps),
                      1e-4 * values[e]);
        }

      // As often as their weights say.
      const std::int64_t row = 17, draws = 4000;
      std::vector<std::int64_t> drawn(draws);
      op.draw(rows, h.data(), shift, {row}, {draws}, 5, drawn.data(), eps, exec);
      double mean = 0, expected = 0, total = 0;
      for (const auto j : drawn) mean += across[j * d] / static_cast<double>(draws);
      for (std::int64_t j = 0; j < m; ++j) {
        double cost = 0;
        for (int k = 0; k < d; ++k)
          cost += std::pow(double{own[row * d + k]} - across[j * d + k], 2);
        const double w = std::exp((h[j] + shift[row] - cost) / eps);
        total += w;
        expected += w * across[j * d];
      }
      EXPECT_NEAR(mean, expected / total, 5 * 0.3 / std::sqrt(static_cast<double>(draws)));
    }
  }
}

// Every row and every column has a partner left, however little the potentials say.
TEST(Tree, FarPotentialsLeaveEachBlockItsBestPair) {
  auto clouds = random_clouds<double>(500, 300, 3, 1, 1, 1);
  for (double& y : clouds.y) y += 1e3;
  const auto problem = clouds.problem(Balanced{}, Balanced{});
  auto op = planted(problem);
  Exec exec;
  const std::vector<double> f(500, 0.0), g(300, 0.0);
  op.truncate(f.data(), g.data(), 0.01, 1e-3, exec);
  EXPECT_LT(op.kept(), 1);
  for (const Side rows : {Side::source, Side::target}) {
    const auto h =
        bias(rows == Side::source ? g : f, rows == Side::source ? problem.b() : problem.a(), 0.01);
    std::vector<double> s(op.size(rows));
    op.softmin(rows, h.data(), nullptr, s.data(), 0.01, exec);
    for (const double v : s) ASSERT_TRUE(std::isfinite(v));
  }
}

TEST(Tree, RefusesByName) {
  Exec exec;
  const auto clouds = random_clouds<double>(5, 5, 4, 1, 1, 1);
  const auto said = [&](const Problem<double>& problem) {
    try {
      const Forest<double> forest(problem, exec);
    } catch (const NotAvailable& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(said(clouds.problem(Balanced{}, Balanced{})).find("dimension 4"), std::string::npos);
  const auto flat = random_clouds<double>(5, 5, 2, 1, 1, 1);
  for (const Cost& cost : {Cost(Euclidean{}), Cost(Cosine{}), Cost(Dot{}), Cost(Power{3})})
    EXPECT_NE(said(flat.problem(Balanced{}, Balanced{}, cost)).find(cost_name(cost)),
              std::string::npos);
  EXPECT_EQ(said(flat.problem(Balanced{}, Balanced{}, HalfSquaredEuclidean{})), "");
}
}  // namespace monge
