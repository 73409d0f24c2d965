#include "kernels/pull.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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

template <class T>
std::vector<T> run(PullArgs<T> a, int threads) {
  std::vector<T> out(a.pairs.n * a.pairs.rows.dim, testing::poison<T>());
  testing::Placed on;
  a.h = on.in(a.h, kernels::padded(a.pairs.m));
  a.shift = on.in(a.shift, a.pairs.n);
  a.pairs = on.pairs(a.pairs);
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
    expect_matches_reference<TypeParam>(options);
  }
}

TYPED_TEST(Pull, LargeDimension) {
  for (CaseOptions options : testing::all_forms(/*matrices=*/false)) {
    options.n = 33, options.m = 270, options.dim = 70, options.eps = 10;
    expect_matches_reference<TypeParam>(options);
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
