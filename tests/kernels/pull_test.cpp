#include "kernels/pull.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "reference/apply.hpp"
#include "reference/pull.hpp"
#include "support/kernel_case.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
using kernels::Form;
using kernels::PullArgs;
using testing::CaseOptions;
using testing::KernelCase;

template <class T>
class Pull : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Pull, Scalars);

template <class T>
PullArgs<T> arguments(const KernelCase<T>& in) {
  return {in.pairs(), in.h.data(), in.shift.data(), nullptr, in.eps};
}

enum class Points { plain, split };  // split: for matrix units too, where the device has some

template <class T>
std::vector<T> run(PullArgs<T> a, int threads, Points points = Points::plain) {
  std::vector<T> out(a.pairs.n * a.pairs.rows.dim, testing::poison<T>());
  testing::Placed on;
  a.h = on.in(a.h, kernels::padded(a.pairs.m));
  a.shift = on.in(a.shift, a.pairs.n);
  a.pairs = points == Points::split ? on.split(a.pairs) : on.pairs(a.pairs);
  a.out = on.out(out);
  Exec exec = on.exec(threads);
  kernels::pull(a, exec);
  on.finish();
  return out;
}

template <class T>
void expect_matches_reference(const CaseOptions& options) {
  const KernelCase<T> in(options);
  SCOPED_TRACE(in.name());
  const auto a = arguments(in);
  const auto want = reference::pull(a);
  testing::on_every_target([&] {
    const auto got = run(a, 1);
    for (std::size_t at = 0; at < want.size(); ++at)
      ASSERT_NEAR(got[at], static_cast<double>(want[at].value),
                  static_cast<double>(reference::sum_tolerance<T>(want[at], options.m, 1e3)))
          << "row " << at / options.dim << ", coordinate " << at % options.dim;
  });
  testing::expect_same_on_any_threads([&](int threads) { return run(a, threads); });
}

TYPED_TEST(Pull, MatchesReferenceOnAwkwardShapes) {
  for (CaseOptions options : testing::all_forms(/*matrices=*/false))
    for (const auto& shape : testing::awkward_shapes())
      for (const double eps : {1e-3, 0.1, 1e2}) {
        options.n = shape.n, options.m = shape.m, options.dim = shape.dim, options.eps = eps;
        expect_matches_reference<TypeParam>(options);
      }
}

TYPED_TEST(Pull, SweepsListsOnly) {
  for (CaseOptions options : testing::all_forms(/*matrices=*/false)) {
    options.n = 130, options.m = 600, options.dim = 2, options.lists = true;
    for (const int width : testing::list_widths()) {
      options.list_width = width;
      expect_matches_reference<TypeParam>(options);
    }
  }
}

TYPED_TEST(Pull, LargeDimension) {
  for (CaseOptions options : testing::all_forms(/*matrices=*/false)) {
    options.n = 33, options.m = 270, options.dim = 70, options.eps = 10;
    expect_matches_reference<TypeParam>(options);
  }
}

// Products of points in more than four dimensions, as an Operator gives them: split for matrix
// units.
template <class T>
void expect_split_matches_reference(const KernelCase<T>& in) {
  SCOPED_TRACE(in.name());
  const auto a = arguments(in);
  const auto& p = a.pairs;
  const int dim = p.rows.dim;
  const auto want = reference::pull(a);
  // Halves lose up to 2^-18 of the weights to underflow, and 2^-21 to each of three roundings, in
  // terms of the largest coordinate (cuda/tensor_products.cuh).
  reference::Real largest = 0;
  for (std::int64_t j = 0; j < p.m; ++j)
    for (int k = 0; k < dim; ++k)
      largest = std::max(largest, std::abs(reference::coordinate(p.cols, j, k)));
  std::vector<reference::Real> lost(p.n, 0);
  for (std::int64_t i = 0; i < p.n; ++i) {
    for (std::int64_t j = 0; j < p.m; ++j) lost[i] += reference::pair(a, i, j).weight;
    lost[i] *= 0x1p-17L * 2 * p.scale * largest;
  }
  testing::on_every_target([&] {
    const auto got = run(a, 1, Points::split);
    for (std::int64_t at = 0; at < p.n * dim; ++at)
      ASSERT_NEAR(
          got[at], static_cast<double>(want[at].value),
          static_cast<double>(reference::sum_tolerance<T>(want[at], p.m, 1e3) + lost[at / dim]))
          << "row " << at / dim << ", coordinate " << at % dim;
  });
  testing::expect_same_on_any_threads([&](int threads) { return run(a, threads, Points::split); });
}

/// Both forms that are products.
std::vector<CaseOptions> products() {
  return {{.form = Form::squared, .scale = 0.5, .product = true}, {.form = Form::dot, .scale = 2}};
}

// One less and one more than tiles of 64 or 128 rows, of 128 columns, blocks of 256 and steps of 16
// coordinates; several parts of the columns, several flushes of a part.
TYPED_TEST(Pull, SplitPointsMatchReference) {
  for (CaseOptions options : products())
    for (const int dim : testing::where_split<int>({17, 5, 16, 33, 64, 65, 100, 130}))
      for (const auto& [n, m] : {std::pair{1, 1}, {63, 127}, {129, 129}, {65, 1100}}) {
        options.n = n, options.m = m, options.dim = dim;
        options.eps = n == 65 ? 0.02 * dim : n == 63 ? 1e2 : 1;
        expect_split_matches_reference(KernelCase<TypeParam>(options));
      }
}

// So many columns that a thread block adds its sums in float to earlier ones in double, and so many
// rows that they take several launches.
TYPED_TEST(Pull, SplitPointsOfManyColumnsAndManyRows) {
  for (CaseOptions options : products())
    for (const int dim : testing::where_split<int>({5, 64, 130})) {
      options.n = 1, options.m = 102'400, options.dim = dim, options.eps = dim;
      options.bad_shift = false;
      expect_split_matches_reference(KernelCase<TypeParam>(options));
      options.n = dim == 130 ? 4300 : 17'000, options.m = 5;
      expect_split_matches_reference(KernelCase<TypeParam>(options));
    }
}

TYPED_TEST(Pull, SplitPointsSweepListsOnly) {
  for (CaseOptions options : products())
    for (const int dim : testing::where_split<int>({7, 70})) {
      options.n = 260, options.m = 900, options.dim = dim, options.lists = true;
      expect_split_matches_reference(KernelCase<TypeParam>(options));
    }
}

// Rows whose weights sum up to anything between 2^-90 and 2^60: those that halves cannot hold are
// swept again, beside others that they can.
TYPED_TEST(Pull, SplitPointsWithMassesOfAnySize) {
  using T = TypeParam;
  for (CaseOptions options : products()) {
    options.n = 150, options.m = 400, options.dim = 20, options.eps = 2;
    KernelCase<T> in(options);
    for (std::int64_t i = 0; i < 150; ++i)
      in.shift[i] += static_cast<T>(options.eps * std::log(2.0) * static_cast<double>(i - 90));
    expect_split_matches_reference(in);
    for (std::int64_t i = 0; i < 150; ++i)  // all the same: nothing to sweep again, or all
      in.shift[i] -= static_cast<T>(options.eps * std::log(2.0) * static_cast<double>(i - 100));
    expect_split_matches_reference(in);
  }
}

// One column holds almost all of the mass, the others underflow; and one is left of all.
TYPED_TEST(Pull, SplitPointsWithOneHeavyColumn) {
  using T = TypeParam;
  for (CaseOptions options : products()) {
    options.n = 70, options.m = 700, options.dim = 30, options.eps = 5, options.bad_shift = false;
    KernelCase<T> in(options);
    in.h[300] += static_cast<T>(20 * options.eps);
    in.set_shift();
    expect_split_matches_reference(in);
    for (std::int64_t j = 0; j < 700; ++j)
      if (j != 300) in.h[j] = -std::numeric_limits<T>::infinity();
    in.set_shift();
    expect_split_matches_reference(in);
  }
}

// Two clouds far apart: their sums nearly cancel nowhere, and differ by much more than each
// spreads.
TYPED_TEST(Pull, SplitPointsOfDistantClouds) {
  using T = TypeParam;
  KernelCase<T> in({.n = 90, .m = 300, .dim = 12, .eps = 4, .product = true});
  for (std::int64_t i = 0; i < 90; ++i) in.x[i * 12 + 3] += 10;
  for (std::int64_t j = 0; j < 300; ++j) in.y[j * 12 + 3] -= 10;
  in.pack_points();
  in.set_shift();
  expect_split_matches_reference(in);
}

// mass and cost are what apply gives for ones, whatever else the pass makes.
TYPED_TEST(Pull, MassesAndCosts) {
  using T = TypeParam;
  for (CaseOptions options : testing::all_forms(/*matrices=*/false))
    for (const auto& [dim, points] : {std::pair{3, Points::plain},
                                      {9, Points::split},
                                      {64, Points::split},
                                      {90, Points::split}}) {
      options.n = 70, options.m = 530, options.dim = dim, options.eps = 0.1 * dim;
      options.lists = dim == 9;
      KernelCase<T> in(options);
      if (dim == 64)  // rows that are swept again
        for (std::int64_t i = 0; i < 70; i += 3) in.shift[i] += static_cast<T>(20 * options.eps);
      SCOPED_TRACE(in.name());
      const auto sums_of = [&](kernels::Weighting weighting) {
        return reference::apply<T>({.pairs = in.pairs(),
                                    .h = in.h.data(),
                                    .shift = in.shift.data(),
                                    .weighting = weighting,
                                    .v = nullptr,
                                    .out = nullptr,
                                    .eps = in.eps});
      };
      const auto masses = sums_of(kernels::Weighting::plain);
      const auto costs = sums_of(kernels::Weighting::cost);
      testing::on_every_target([&] {
        std::vector<T> mass(70, testing::poison<T>()), cost = mass, out(70 * dim);
        testing::Placed on;
        auto a = arguments(in);
        a.h = on.in(a.h, kernels::padded(a.pairs.m));
        a.shift = on.in(a.shift, a.pairs.n);
        a.pairs = points == Points::split ? on.split(a.pairs) : on.pairs(a.pairs);
        a.out = on.out(out), a.mass = on.out(mass), a.cost = on.out(cost);
        Exec exec = on.exec();
        kernels::pull(a, exec);
        on.finish();
        for (std::int64_t i = 0; i < 70; ++i) {
          ASSERT_NEAR(mass[i], static_cast<double>(masses[i].value),
                      static_cast<double>(reference::sum_tolerance<T>(masses[i], 530)))
              << i;
          ASSERT_NEAR(cost[i], static_cast<double>(costs[i].value),
                      static_cast<double>(reference::sum_tolerance<T>(costs[i], 530, 1e3)))
              << i;
        }
      });
    }
}

TYPED_TEST(Pull, EmptyRowsAreZero) {
  using T = TypeParam;
  for (const auto& options : testing::all_forms(/*matrices=*/false)) {
    CaseOptions small = options;
    small.n = 20, small.m = 40, small.dim = 2;
    const KernelCase<T> in(small);
    testing::on_every_target([&] {
      const auto out = run(arguments(in), 1);
      for (const int row : {3, 5, 6, 14, 16, 17})
        for (int k = 0; k < 2; ++k) EXPECT_EQ(out[row * 2 + k], T(0)) << row;
      EXPECT_NE(out[0], T(0));
    });
  }
}

// Where x_i = y_j the derivative of a distance and of a power below 2 is 0 by convention, not the
// NaN that 0 times infinity makes: one column, on the row's own point.
TYPED_TEST(Pull, CoincidentPointsGiveZero) {
  using T = TypeParam;
  for (const auto& [form, power] : {std::pair{Form::distance, 1.0},
                                    {Form::power, 1.0},
                                    {Form::power, 1.5},
                                    {Form::power, 3.0},
                                    {Form::squared, 2.0}}) {
    KernelCase<T> in({.n = 5,
                      .m = 1,
                      .dim = 3,
                      .eps = 1,
                      .form = form,
                      .power = power,
                      .zero_weights = false,
                      .bad_shift = false});
    for (int i = 0; i < 5; ++i)
      for (int k = 0; k < 3; ++k) in.x[i * 3 + k] = in.y[k];
    in.pack_points();
    in.set_shift();
    testing::on_every_target([&] {
      for (const T value : run(arguments(in), 1)) EXPECT_EQ(value, T(0)) << power;
    });
  }
}

// Two points 2^-10 apart, both 1000 from the origin and no norms: a difference of sums would lose
// everything, a sum of differences nothing. x - y is exact here, so is its product with the
// slope 2.
TYPED_TEST(Pull, NothingCancelsFarFromTheOrigin) {
  using T = TypeParam;
  KernelCase<T> in({.n = 1, .m = 1, .dim = 1, .eps = 1, .zero_weights = false, .bad_shift = false});
  in.x[0] = 1000;
  in.y[0] = T(1000) + T(0x1p-10);
  in.h[0] = 0;
  in.pack_points();
  in.set_shift();
  const auto want = static_cast<double>(reference::pull(arguments(in))[0].value);
  testing::on_every_target([&] {
    EXPECT_NEAR(run(arguments(in), 1)[0], want,
                16 * std::numeric_limits<T>::epsilon() * std::abs(want));
  });
}
}  // namespace
}  // namespace monge
