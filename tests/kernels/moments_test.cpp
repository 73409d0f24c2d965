#include "kernels/moments.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "reference/moments.hpp"
#include "support/kernel_case.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
using kernels::MomentsArgs;
using testing::CaseOptions;
using testing::KernelCase;

template <class T>
class Moments : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Moments, Scalars);

/// A case with m values of their own dimension and a centre per row.
template <class T>
struct MomentsCase {
  MomentsCase(const CaseOptions& options, int dim, double offset = 0) : pairs(options), dim(dim) {
    auto values = testing::random_values<T>(options.m * dim, options.seed, 5);
    center = testing::random_values<T>(options.n * dim, options.seed, 6);
    for (T& value : values) value += static_cast<T>(offset);
    for (T& value : center) value = value / 4 + static_cast<T>(offset);
    packed = testing::pack(values, options.m, dim);
  }
  MomentsArgs<T> arguments() const {
    MomentsArgs<T> a;
    a.pairs = pairs.pairs();
    a.h = pairs.h.data();
    a.shift = pairs.shift.data();
    a.values = {packed.data(), nullptr, a.pairs.m, dim};
    a.center = center.data();
    a.eps = pairs.eps;
    return a;
  }
  KernelCase<T> pairs;
  Buffer<T> packed, center;
  int dim;
};

template <class T>
struct Output {
  std::vector<T> mass, first, second;
  bool operator==(const Output&) const = default;
};

template <class T>
Output<T> run(MomentsArgs<T> a, int threads) {
  const std::int64_t n = a.pairs.n, dim = a.values.dim;
  const T poison = testing::poison<T>();
  Output<T> out{std::vector<T>(n, poison), std::vector<T>(n * dim, poison),
                std::vector<T>(n * dim * dim, poison)};
  testing::Placed on;
  a.h = on.in(a.h, kernels::padded(a.pairs.m));
  a.shift = on.in(a.shift, n);
  a.values.data = on.in(a.values.data, kernels::padded(a.pairs.m) * dim);
  a.center = on.in(a.center, n * dim);
  a.pairs = on.pairs(a.pairs);
  a.mass = on.out(out.mass);
  a.first = on.out(out.first);
  a.second = on.out(out.second);
  Exec exec = on.exec(threads);
  kernels::moments(a, exec);
  on.finish();
  return out;
}

template <class T>
void expect_near(const std::vector<T>& got, const std::vector<reference::Bounded>& want,
                 std::int64_t m, const char* what) {
  for (std::size_t at = 0; at < want.size(); ++at)
    ASSERT_NEAR(got[at], static_cast<double>(want[at].value),
                static_cast<double>(reference::sum_tolerance<T>(want[at], m, 8)))
        << what << " " << at;
}

template <class T>
void expect_matches_reference(const MomentsCase<T>& in) {
  const std::int64_t m = in.pairs.options().m;
  SCOPED_TRACE(in.pairs.name() + ", values of dim " + std::to_string(in.dim));
  const auto a = in.arguments();
  const auto want = reference::moments(a);
  testing::on_every_target([&] {
    const auto got = run(a, 1);
    expect_near(got.mass, want.mass, m, "mass");
    expect_near(got.first, want.first, m, "first");
    expect_near(got.second, want.second, m, "second");
    for (std::int64_t i = 0; i < a.pairs.n; ++i)
      for (int k = 0; k < in.dim; ++k)
        for (int l = 0; l < k; ++l)
          ASSERT_EQ(got.second[(i * in.dim + k) * in.dim + l],
                    got.second[(i * in.dim + l) * in.dim + k]);
  });
  testing::expect_same_on_any_threads([&](int threads) { return run(a, threads); });
}

TYPED_TEST(Moments, MatchesReferenceOnAwkwardShapes) {
  for (CaseOptions options : testing::all_forms())
    for (const auto& shape : testing::awkward_shapes()) {
      options.n = shape.n, options.m = shape.m, options.dim = shape.dim;
      for (const double eps : {1e-3, 1e2}) {
        options.eps = eps;
        expect_matches_reference(MomentsCase<TypeParam>(options, shape.dim > 8 ? 2 : shape.dim));
      }
    }
}

TYPED_TEST(Moments, EveryDimensionOfValues) {
  for (const int dim : {1, 2, 3, 4, 5, 8, 9, 19})
    expect_matches_reference(MomentsCase<TypeParam>({.n = 21, .m = 530, .dim = 3}, dim));
}

TYPED_TEST(Moments, SweepsListsOnly) {
  for (const int dim : {3, 6})
    for (const int width : testing::list_widths())
      expect_matches_reference(MomentsCase<TypeParam>(
          {.n = 130, .m = 600, .dim = 2, .lists = true, .list_width = width}, dim));
}

// A spread of 1 around 1000: relative to the centre, not to the origin, nothing is lost.
TYPED_TEST(Moments, CentredFarFromTheOrigin) {
  for (const int dim : {3, 6})
    expect_matches_reference(MomentsCase<TypeParam>({.n = 9, .m = 300, .dim = 2}, dim, 1000));
}

TYPED_TEST(Moments, EmptyRowsAreZero) {
  using T = TypeParam;
  for (const int dim : {2, 5}) {
    const MomentsCase<T> in({.n = 20, .m = 40, .dim = 2}, dim);
    testing::on_every_target([&] {
      const auto out = run(in.arguments(), 1);
      for (const int row : {3, 5, 6, 14, 16, 17}) {
        EXPECT_EQ(out.mass[row], T(0));
        for (int k = 0; k < dim; ++k) EXPECT_EQ(out.first[row * dim + k], T(0));
        for (int k = 0; k < dim * dim; ++k) EXPECT_EQ(out.second[row * dim * dim + k], T(0));
      }
      EXPECT_GT(out.mass[0], T(0));
    });
  }
}
}  // namespace
}  // namespace monge
