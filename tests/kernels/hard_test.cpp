#include "kernels/hard.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/kernel_case.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
using kernels::Form;
using kernels::HardArgs;
using testing::CaseOptions;
using testing::KernelCase;

template <class T>
class Hard : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Hard, Scalars);

template <class T>
struct Found {
  std::vector<T> values;
  std::vector<std::int64_t> columns;
  bool operator==(const Found&) const = default;
};

template <class T>
Found<T> run(const KernelCase<T>& in, int threads) {
  const std::int64_t n = in.options().n;
  Found<T> out{std::vector<T>(n, testing::poison<T>()),
               std::vector<std::int64_t>(n, testing::poison<std::int64_t>())};
  testing::Placed on;
  const HardArgs<T> a{on.pairs(in.pairs()), on.in(in.h), on.out(out.values), on.out(out.columns)};
  Exec exec = on.exec(threads);
  kernels::hard(a, exec);
  on.finish();
  return out;
}

// The value is the least of the reference's to what T loses in a score, and the column's own score
// is that value: no other column may be better by more.
template <class T>
void expect_least(const KernelCase<T>& in) {
  SCOPED_TRACE(in.name());
  const auto p = in.pairs();
  const reference::Real u = std::numeric_limits<T>::epsilon() / 2;
  testing::on_every_target([&] {
    const auto got = run(in, 1);
    for (std::int64_t i = 0; i < p.n; ++i) {
      reference::Real least = std::numeric_limits<reference::Real>::infinity(), lost = 0;
      const auto value = [&](std::int64_t j) {
        const reference::Real c = reference::cost(p, i, j);
        if (!std::isinf(c) && !std::isinf(in.h[j]))
          lost = std::max(
              lost, reference::cost_error(p, i, j, c) + 2 * u * (std::abs(c) + std::abs(in.h[j])));
        return c - in.h[j];
      };
      for (std::int64_t j = 0; j < p.m; ++j)
        if (reference::swept(p, i, j)) least = std::min(least, value(j));
      if (std::isinf(least)) {
        ASSERT_EQ(got.columns[i], -1) << i;
        ASSERT_EQ(got.values[i], std::numeric_limits<T>::infinity()) << i;
        continue;
      }
      ASSERT_NEAR(got.values[i], static_cast<double>(least), static_cast<double>(lost)) << i;
      ASSERT_TRUE(got.columns[i] >= 0 && got.columns[i] < p.m) << i;
      ASSERT_TRUE(reference::swept(p, i, got.columns[i])) << i;
      ASSERT_NEAR(static_cast<double>(value(got.columns[i])), static_cast<double>(least),
                  2 * static_cast<double>(lost))
          << i;
    }
  });
  testing::expect_same_on_any_threads([&](int threads) { return run(in, threads); });
}

TYPED_TEST(Hard, FindsTheLeastOnAwkwardShapesAndForms) {
  for (const auto& shape : testing::awkward_shapes())
    for (CaseOptions options : testing::all_forms()) {
      options.n = shape.n;
      options.m = shape.m;
      options.dim = shape.dim;
      expect_least(KernelCase<TypeParam>(options));
    }
  expect_least(KernelCase<TypeParam>({.n = 130, .m = 1100, .dim = 3, .lists = true}));
}

// Points on a grid: many columns share the least score exactly.
TYPED_TEST(Hard, TiesGoToTheLowerColumn) {
  KernelCase<TypeParam> in({.n = 40, .m = 600, .dim = 2, .zero_weights = false});
  for (auto& v : in.x) v = std::round(2 * v);
  for (auto& v : in.y) v = std::round(2 * v);
  for (std::int64_t j = 0; j < 600; ++j) in.h[j] = 0;
  in.pack_points();
  const auto p = in.pairs();
  testing::on_every_target([&] {
    const auto got = run(in, 1);
    for (std::int64_t i = 0; i < p.n; ++i) {
      std::int64_t first = 0;
      for (std::int64_t j = 1; j < p.m; ++j)
        if (reference::cost(p, i, j) < reference::cost(p, i, first)) first = j;
      ASSERT_EQ(got.columns[i], first) << i;
    }
  });
}
}  // namespace
}  // namespace monge
