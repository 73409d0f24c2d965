#include "kernels/top_k.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "reference/top_k.hpp"
#include "support/kernel_case.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
using kernels::Form;
using kernels::SelectArgs;
using kernels::TopKArgs;
using testing::CaseOptions;
using testing::KernelCase;

template <class T>
class TopK : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TopK, Scalars);

template <class T>
struct Top {
  std::vector<std::int64_t> columns;
  std::vector<T> weights;
  std::vector<double> softmin;
  bool operator==(const Top&) const = default;
};

template <class T>
Top<T> run_top_k(const KernelCase<T>& in, int k, int threads) {
  const std::int64_t n = in.options().n;
  Top<T> out{std::vector<std::int64_t>(n * k, testing::poison<std::int64_t>()),
             std::vector<T>(n * k, testing::poison<T>()),
             std::vector<double>(n, testing::poison<double>())};
  testing::Placed on;
  TopKArgs<T> a{on.pairs(in.pairs()), on.in(in.h),         on.in(in.shift),     k,
                on.out(out.columns),  on.out(out.weights), on.out(out.softmin), in.eps};
  Exec exec = on.exec(threads);
  kernels::top_k(a, exec);
  on.finish();
  return out;
}

template <class T>
struct Selection {
  std::vector<std::int64_t> counts, offsets, columns;
  std::vector<T> weights;
  bool operator==(const Selection&) const = default;
};

template <class T>
Selection<T> run_select(const KernelCase<T>& in, const std::vector<T>& threshold, int threads) {
  const std::int64_t n = in.options().n;
  Selection<T> out;
  out.counts.assign(n, testing::poison<std::int64_t>());
  testing::Placed on;
  SelectArgs<T> a{on.pairs(in.pairs()),
                  on.in(in.h),
                  on.in(in.shift),
                  on.in(threshold),
                  on.out(out.counts),
                  nullptr,
                  nullptr,
                  nullptr,
                  in.eps};
  Exec exec = on.exec(threads);
  kernels::select(a, exec);
  on.finish();
  out.offsets.assign(n, 0);
  for (std::int64_t i = 0; i + 1 < n; ++i) out.offsets[i + 1] = out.offsets[i] + out.counts[i];
  const std::int64_t total = std::accumulate(out.counts.begin(), out.counts.end(), std::int64_t{0});
  out.columns.assign(total + 1, testing::poison<std::int64_t>());  // the last entry stays
  out.weights.assign(total + 1, T(-77));
  a.counts = const_cast<std::int64_t*>(on.in(out.counts));
  a.offsets = on.in(out.offsets);
  a.columns = on.out(out.columns);
  a.weights = on.out(out.weights);
  kernels::select(a, exec);
  on.finish();
  return out;
}

/// Every positive weight of the kernel itself, by the smallest threshold.
template <class T>
Selection<T> all_weights(const KernelCase<T>& in) {
  return run_select(in, std::vector<T>(in.options().n, std::numeric_limits<T>::denorm_min()), 1);
}

// The kernel's own weights agree with the reference, and top_k is exactly their sorted head.
template <class T>
void expect_exact_sets(const KernelCase<T>& in, int k) {
  SCOPED_TRACE(in.name() + ", k " + std::to_string(k));
  const auto [n, m] = std::pair(in.options().n, in.options().m);
  testing::on_every_target([&] {
    const auto all = all_weights(in);
    EXPECT_EQ(all.columns.back(), testing::poison<std::int64_t>());
    const auto got = run_top_k(in, k, 1);
    const TopKArgs<T> a{in.pairs(), in.h.data(), in.shift.data(), k, {}, {}, {}, in.eps};
    for (std::int64_t i = 0; i < n; ++i) {
      const auto row = reference::weights_of_row(a, i);
      const auto first = all.columns.begin() + all.offsets[i];
      ASSERT_TRUE(std::is_sorted(first, first + all.counts[i]));
      std::vector<T> weights(m, T(0));
      for (std::int64_t at = all.offsets[i]; at < all.offsets[i] + all.counts[i]; ++at)
        weights[all.columns[at]] = all.weights[at];
      for (std::int64_t j = 0; j < m; ++j)
        ASSERT_NEAR(weights[j], static_cast<double>(row.weights[j]),
                    static_cast<double>(row.errors[j]))
            << i << " " << j;

      std::vector<std::int64_t> order(m);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](auto x, auto y) { return weights[x] > weights[y]; });
      for (int at = 0; at < k; ++at) {
        const bool there = at < m && weights[order[at]] > 0;
        ASSERT_EQ(got.columns[i * k + at], there ? order[at] : -1) << i << " " << at;
        ASSERT_EQ(got.weights[i * k + at], there ? weights[order[at]] : T(0)) << i << " " << at;
      }
    }
  });
  testing::expect_same_on_any_threads([&](int threads) { return run_top_k(in, k, threads); });
}

TYPED_TEST(TopK, ExactSetsOnAwkwardShapes) {
  for (CaseOptions options : testing::all_forms())
    for (const auto& shape : testing::awkward_shapes())
      for (const double eps : {1e-3, 1e2}) {
        options.n = shape.n, options.m = shape.m, options.dim = shape.dim, options.eps = eps;
        expect_exact_sets(KernelCase<TypeParam>(options), eps < 1 ? 5 : 40);
      }
}

TYPED_TEST(TopK, EveryK) {
  for (const int k : {1, 2, 32, 600, 1001})
    expect_exact_sets(KernelCase<TypeParam>({.n = 19, .m = 1000, .dim = 2}), k);
}

TYPED_TEST(TopK, SweepsListsOnly) {
  for (const int width : testing::list_widths())
    expect_exact_sets(
        KernelCase<TypeParam>({.n = 130, .m = 900, .dim = 2, .lists = true, .list_width = width}),
        7);
}

// Each target point stands there 50 times, far enough apart to lie in other vectors and blocks.
TYPED_TEST(TopK, TiesGoToTheLowerColumn) {
  using T = TypeParam;
  KernelCase<T> in({.n = 9, .m = 1000, .dim = 2, .zero_weights = false, .bad_shift = false});
  for (std::int64_t j = 0; j < 1000; ++j) {
    in.h[j] = 0;
    for (int k = 0; k < 2; ++k) in.y[j * 2 + k] = in.y[j % 20 * 2 + k];
  }
  in.pack_points();
  in.set_shift();
  expect_exact_sets(in, 60);
  const auto got = run_top_k(in, 60, 1);
  for (int i = 0; i < 9; ++i)
    for (int at = 0; at < 50; ++at)  // the nearest point: all its copies, ascending
      EXPECT_EQ(got.columns[i * 60 + at], got.columns[i * 60] + 20 * at);
}

// From the same pass, and by a running maximum where the shift is no good: off by a thousand eps
// (sums underflow or overflow), or not finite.
TYPED_TEST(TopK, SoftminOfTheSamePass) {
  using T = TypeParam;
  for (const double eps : {1e-3, 0.1, 1e2})
    for (const double offset : {0.0, 1000.0, -1000.0}) {
      KernelCase<T> in({.n = 40, .m = 500, .dim = 3, .eps = eps, .bad_shift = true});
      for (T& shift : in.shift) shift += static_cast<T>(offset * eps);
      testing::on_every_target([&] {
        const auto got = run_top_k(in, 3, 1);
        for (std::int64_t i = 0; i < 40; ++i) {
          const auto p = in.pairs();
          const double want = static_cast<double>(reference::softmin_row(p, in.h.data(), eps, i));
          // The logarithm turns the relative error of the sum into an absolute one times eps; the
          // shift and the result are rounded. 12 bounds the costs here, 2 eps the logarithm.
          const double u = std::numeric_limits<T>::epsilon() / 2;
          const double size = 12 + std::abs(want) + std::abs(offset) * eps + 8 * eps;
          ASSERT_NEAR(got.softmin[i], want, u * (12 * size + eps * kernels::kColumnBlock)) << i;
        }
      });
    }
}

TYPED_TEST(TopK, EmptyRows) {
  using T = TypeParam;
  KernelCase<T> in({.n = 20, .m = 40, .dim = 2});
  std::fill(in.h.begin(), in.h.end(), -std::numeric_limits<T>::infinity());
  testing::on_every_target([&] {
    const auto got = run_top_k(in, 4, 1);
    for (const auto column : got.columns) EXPECT_EQ(column, -1);
    for (const T weight : got.weights) EXPECT_EQ(weight, T(0));
    for (const double value : got.softmin)
      EXPECT_EQ(value, std::numeric_limits<double>::infinity());
  });
}

TYPED_TEST(TopK, BadShiftSelectsNothing) {
  using T = TypeParam;
  const KernelCase<T> in({.n = 20, .m = 40, .dim = 2});
  testing::on_every_target([&] {
    const auto top = run_top_k(in, 4, 1);
    const auto all = all_weights(in);
    for (const int row : {3, 5, 6, 14, 16, 17}) {
      EXPECT_EQ(top.columns[row * 4], -1);
      EXPECT_EQ(all.counts[row], 0);
    }
    EXPECT_GE(top.columns[0], 0);
  });
}

template <class T>
class Select : public ::testing::Test {};
TYPED_TEST_SUITE(Select, Scalars);

// Exactly the kernel's weights at or above the threshold, which is one of them: ties included.
TYPED_TEST(Select, ExactSetsInclusiveOfTheThreshold) {
  using T = TypeParam;
  for (CaseOptions options : testing::all_forms()) {
    options.n = 70, options.m = 600, options.dim = 3;
    const KernelCase<T> in(options);
    SCOPED_TRACE(in.name());
    testing::on_every_target([&] {
      const auto all = all_weights(in);
      std::vector<T> threshold(options.n, T(1));
      for (std::int64_t i = 0; i < options.n; ++i) {
        if (all.counts[i] > 0) threshold[i] = all.weights[all.offsets[i] + all.counts[i] / 2];
        if (i % 10 == 9) threshold[i] = std::numeric_limits<T>::infinity();
      }
      const auto got = run_select(in, threshold, 1);
      for (std::int64_t i = 0; i < options.n; ++i) {
        std::int64_t at = got.offsets[i];
        for (std::int64_t s = all.offsets[i]; s < all.offsets[i] + all.counts[i]; ++s) {
          if (!(all.weights[s] >= threshold[i])) continue;
          ASSERT_EQ(got.columns[at], all.columns[s]);
          ASSERT_EQ(got.weights[at], all.weights[s]);
          ++at;
        }
        ASSERT_EQ(at, got.offsets[i] + got.counts[i]);
        ASSERT_EQ(got.counts[i] > 0, i % 10 != 9 && all.counts[i] > 0);
      }
      testing::expect_same_on_any_threads(
          [&](int threads) { return run_select(in, threshold, threads); });
    });
  }
}
}  // namespace
}  // namespace monge
