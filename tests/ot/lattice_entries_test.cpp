// Entries of a lattice's plan: those of the matrix of its costs, on every device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "monge/ot/plan.hpp"
#include "ot/operator.hpp"
#include "support/devices.hpp"
#include "support/grids.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::Grids;

template <class T>
class LatticeEntries : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LatticeEntries, Scalars);

/// A lattice's plan on the device of the test, and that of its matrix on the CPU, of one pair.
template <class T>
struct Pair {
  Exec host, exec;
  Buffer<T> a, b, f, g;
  Problem<T> on_matrix, on_lattice;
  Plan<T> matrix, lattice;

  Pair(const Grids<T>& grids, double eps)
      : exec(testing::Placed().exec()),
        a(testing::placed(grids.a)),
        b(testing::placed(grids.b)),
        on_matrix(grids.on_matrix(KL{0.7}, KL{0.4})),
        on_lattice(on_device(grids.lattice), a.view(), b.view(), KL{0.7}, KL{0.4}),
        matrix(solved(eps)),
        lattice(on_lattice, eps, f.view(), g.view()) {}

  static Lattice<T> on_device(Lattice<T> lattice) {
    lattice.device = testing::current_device();
    return lattice;
  }
  Plan<T> solved(double eps) {
    SinkhornOptions options;
    options.epsilon = eps;
    options.tolerance = 1e-3;
    const auto result = sinkhorn(on_matrix, options, host);
    f = result.f.to(exec.device);
    g = result.g.to(exec.device);
    return Plan<T>(on_matrix, result);
  }
};

template <class U>
std::vector<U> here(const Buffer<U>& values) {
  const auto host = values.to(Device{});
  return {host.begin(), host.end()};
}

/// Rounding of scores h - c of size C + h moves an entry by that over eps, of it; two roundings of
/// each, and of an exponential.
template <class T>
double rounding(double eps) {
  return 16 * std::numeric_limits<T>::epsilon() * (2 / eps + 1);
}

/// Row by row; where rounding decides whether an entry is a normal number, either may have it.
template <class T>
void expect_same(const SparsePlan<T>& got, const SparsePlan<T>& want, double relative) {
  const auto offsets = here(got.offsets), wanted_offsets = here(want.offsets);
  const auto values = here(got.values), wanted = here(want.values);
  const auto columns = here(got.columns), wanted_columns = here(want.columns);
  constexpr T kLeast = 2 * std::numeric_limits<T>::min();
  for (std::int64_t i = 0; i < want.n; ++i) {
    const std::int64_t mine = offsets[i], its = wanted_offsets[i], count = offsets[i + 1] - mine,
                       wanted_count = wanted_offsets[i + 1] - its;
    for (std::int64_t e = 0; e < std::max(count, wanted_count); ++e) {
      if (e >= count || e >= wanted_count) {
        ASSERT_LT(e < count ? values[mine + e] : wanted[its + e], kLeast) << i;
        continue;
      }
      ASSERT_NEAR(values[mine + e], wanted[its + e], relative * wanted[its + e]) << i << " " << e;
      // Entries that rounding cannot tell apart may stand in either order.
      const double near = 2 * relative * wanted[its + e];
      const bool tied = (e > 0 && wanted[its + e - 1] - wanted[its + e] <= near) ||
                        e + 1 >= wanted_count || wanted[its + e] - wanted[its + e + 1] <= near;
      ASSERT_TRUE(tied || columns[mine + e] == wanted_columns[its + e]) << i << " " << e;
    }
  }
}

constexpr double kEps = 0.02;

/// body(grids, pair) of all grids on every device, at kEps.
template <class T, class Body>
void on_pairs(const Body& body) {
  testing::on_every_device([&] {
    for (const auto& grids : testing::all_grids<T>()) {
      SCOPED_TRACE(grids.lattice.source.dim);
      Pair<T> pair(grids, kEps);
      body(grids, pair);
    }
  });
}

TYPED_TEST(LatticeEntries, BestOfEveryRow) {
  using T = TypeParam;
  testing::on_every_device([] {
    for (const auto& grids : testing::all_grids<T>())
      for (const double eps : {1e-3, 0.05}) {
        if (std::holds_alternative<Dot>(grids.lattice.cost)) continue;
        SCOPED_TRACE(cost_name(grids.lattice.cost) + " d " +
                     std::to_string(grids.lattice.source.dim));
        Pair<T> pair(grids, eps);
        for (const int k : {1, 3, 20})
          expect_same(pair.lattice.top_k(k, pair.exec), pair.matrix.top_k(k, pair.host),
                      rounding<T>(eps));
      }
  });
}

TYPED_TEST(LatticeEntries, AllAboveAThreshold) {
  using T = TypeParam;
  on_pairs<T>([](const Grids<T>& grids, Pair<T>& pair) {
    if (std::holds_alternative<Dot>(grids.lattice.cost)) return;
    for (const double threshold : {1.3e-3, 1.3e-6}) {
      const auto got = pair.lattice.sparse(threshold, pair.exec),
                 want = pair.matrix.sparse(threshold, pair.host);
      EXPECT_GT(want.values.size(), 0);
      ASSERT_EQ(here(got.offsets), here(want.offsets));
      ASSERT_EQ(here(got.columns), here(want.columns));
      const auto values = here(got.values), wanted = here(want.values);
      for (std::size_t e = 0; e < values.size(); ++e)
        ASSERT_NEAR(values[e], wanted[e], rounding<T>(kEps) * wanted[e]);
    }
  });
}

// All of them: rounding of a product with the weight besides.
TYPED_TEST(LatticeEntries, WrittenOut) {
  using T = TypeParam;
  on_pairs<T>([](const Grids<T>& grids, Pair<T>& pair) {
    if (std::holds_alternative<Dot>(grids.lattice.cost)) return;
    const auto got = here(pair.lattice.dense(pair.exec)), want = here(pair.matrix.dense(pair.host));
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t e = 0; e < got.size(); ++e)
      ASSERT_NEAR(got[e], want[e], rounding<T>(kEps) * want[e] + 2 * std::numeric_limits<T>::min())
          << e;
  });
}

// Means and covariances of values up to 1: weights are off by the rounding of their scores.
TYPED_TEST(LatticeEntries, MomentsOfValues) {
  using T = TypeParam;
  on_pairs<T>([](const Grids<T>&, Pair<T>& pair) {
    for (const Side rows : {Side::source, Side::target}) {
      const std::int64_t m = pair.lattice.op().size(other(rows));
      const auto v = testing::random_vector<T>(m * 4, 9, 0, -1, 1);
      const auto there = testing::placed(v);
      const auto got =
          pair.lattice.moments(rows, {there.data(), m, 4, 4, 1, pair.exec.device}, pair.exec);
      const auto want = pair.matrix.moments(rows, {v.data(), m, 4}, pair.host);
      const double tolerance = 4 * rounding<T>(kEps);
      testing::expect_near(here(got.mean), testing::to_double(want.mean), tolerance, "mean");
      testing::expect_near(here(got.covariance), testing::to_double(want.covariance), tolerance,
                           "covariance");
    }
  });
}

// A uniform lattice and itself: each point's neighbours tie, and the lower column comes first.
TEST(LatticeTies, GoToTheLowerColumn) {
  testing::on_every_device([] {
    const Grid grid = testing::grid_of({5, 6}, {1, 1}, {0, 0});
    const Grids<double> grids({grid, grid}, std::vector<double>(30, 1.0 / 30),
                              std::vector<double>(30, 1.0 / 30));
    Pair<double> pair(grids, 0.5);
    const Buffer<double> zero(30, 0.0);
    const auto f = zero.to(pair.exec.device);
    const Plan<double> plan(pair.on_lattice, 0.5, f.view(), f.view());
    const auto top = plan.top_k(5, pair.exec);
    const auto columns = here(top.columns), offsets = here(top.offsets);
    for (std::int64_t i = 0; i < 5; ++i)
      for (std::int64_t j = 0; j < 6; ++j) {
        std::vector<std::int64_t> want{i * 6 + j};
        for (const auto& [di, dj] : {std::pair{-1, 0}, {0, -1}, {0, 1}, {1, 0}})
          if (i + di >= 0 && i + di < 5 && j + dj >= 0 && j + dj < 6)
            want.push_back((i + di) * 6 + j + dj);
        const auto first = columns.begin() + offsets[i * 6 + j];
        EXPECT_TRUE(std::equal(want.begin(), want.end(), first)) << i << " " << j;
      }
  });
}

// The same uniform numbers, inverted in the same order of columns.
TYPED_TEST(LatticeEntries, DrawsAreThoseOfTheMatrix) {
  using T = TypeParam;
  testing::on_every_device([] {
    for (const auto& grids : testing::all_grids<T>())
      for (const double eps : {2e-3, 0.05}) {
        if (std::holds_alternative<Dot>(grids.lattice.cost)) continue;
        SCOPED_TRACE(grids.lattice.source.dim);
        Pair<T> pair(grids, eps);
        const auto got = here(pair.lattice.draw_targets(50, 3, pair.exec)),
                   want = here(pair.matrix.draw_targets(50, 3, pair.host));
        ASSERT_EQ(got.size(), want.size());
        int others = 0;
        for (std::size_t e = 0; e < got.size(); ++e) others += got[e] != want[e];
        // A number falls so near the border of a column with about this chance a column.
        EXPECT_LE(others, 2 + static_cast<double>(got.size()) * 40 * rounding<T>(eps) / 16);
        const auto pairs = pair.lattice.draw_pairs(500, 4, pair.exec),
                   again = pair.lattice.draw_pairs(500, 4, pair.exec);
        EXPECT_EQ(here(pairs.target), here(again.target));
        for (const std::int64_t j : here(pairs.target)) ASSERT_GT(grids.b[j], 0);
      }
  });
}

// L3 on a lattice: chi squared of 10^6 draws against the plan.
TEST(LatticeDraws, FollowThePlan) {
  const auto grids = testing::all_grids<double>()[6];  // periodic
  Pair<double> pair(grids, 0.02);
  const std::int64_t draws = 1000000, m = grids.m();
  const auto pairs = pair.lattice.draw_pairs(draws, 11, pair.exec);
  std::vector<double> counts(grids.n() * m, 0.0);
  const auto from = here(pairs.source), to = here(pairs.target);
  for (std::int64_t t = 0; t < draws; ++t) ++counts[from[t] * m + to[t]];
  const auto plan = pair.matrix.dense(pair.host);
  double mass = 0;
  for (const double p : plan) mass += p;
  double chi = 0, expected = 0, rest = 0, rest_expected = 0;
  int cells = 0;
  for (std::size_t e = 0; e < counts.size(); ++e) {
    expected = static_cast<double>(draws) * plan[static_cast<std::int64_t>(e)] / mass;
    if (expected < 10) {
      rest += counts[e];
      rest_expected += expected;
      continue;
    }
    chi += (counts[e] - expected) * (counts[e] - expected) / expected;
    ++cells;
  }
  if (rest_expected > 0) chi += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
  // Normal for so many degrees of freedom: p > 1e-4 is 3.72 of its standard deviations.
  EXPECT_LT(chi, cells + 3.72 * std::sqrt(2.0 * cells));
}

// The hard minimum and its column, of the bias of a potential.
TYPED_TEST(LatticeEntries, LeastCosts) {
  using T = TypeParam;
  for (const auto& grids : testing::all_grids<T>()) {
    if (std::holds_alternative<Dot>(grids.lattice.cost)) continue;
    const auto on_lattice = grids.on_lattice(KL{1}, KL{1}),
               on_matrix = grids.on_matrix(KL{1}, KL{1});
    const Operator<T> by_axes(on_lattice), dense(on_matrix);
    for (const Side rows : {Side::source, Side::target}) {
      const auto& weights = rows == Side::source ? grids.b : grids.a;
      std::vector<T> h(kernels::padded(static_cast<std::int64_t>(weights.size())),
                       -std::numeric_limits<T>::infinity());
      for (std::size_t j = 0; j < weights.size(); ++j)
        if (weights[j] > 0) h[j] = static_cast<T>(0.2 * std::sin(0.9 * static_cast<double>(j)));
      const std::int64_t n = by_axes.size(rows);
      std::vector<T> got(n), want(n);
      std::vector<std::int64_t> columns(n), wanted(n);
      Exec exec;
      by_axes.hard(rows, h.data(), got.data(), columns.data(), exec);
      dense.hard(rows, h.data(), want.data(), wanted.data(), exec);
      testing::expect_near(got, testing::to_double(want), 8 * std::numeric_limits<T>::epsilon(),
                           "least");
      EXPECT_EQ(columns, wanted);
    }
  }
}
}  // namespace
}  // namespace monge
