#include "kernels/tangent.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "reference/tangent.hpp"
#include "support/kernel_case.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
using kernels::Form;
using kernels::TangentArgs;
using testing::CaseOptions;
using testing::KernelCase;
using testing::random_values;

template <class T>
class TangentKernel : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TangentKernel, Scalars);

/// A case with every term, or with those that `plain` leaves: no columns, no bilinear term.
template <class T>
struct TangentCase {
  static constexpr int kCount = 3, kWidth = 2;
  KernelCase<T> in;
  Buffer<T> row, col, cost, a, b, p, q, center;
  bool each;

  TangentCase(const CaseOptions& options, bool each) : in(options), each(each) {
    const auto values = [&](std::int64_t count, std::uint64_t stream) {
      return random_values<T>(count, options.seed, stream);
    };
    row = values(options.n * kCount, 10);
    col = values(options.m * kCount, 11);
    cost = values(kCount, 12);
    a = values(options.n * kCount * options.dim, 13);
    b = values(options.m * kCount * options.dim, 14);
    p = values(options.n * kWidth * (each ? kCount : 1), 15);
    q = values(options.m * kWidth * (each ? 1 : kCount), 16);
    center = values(options.n * options.dim, 17);
  }

  TangentArgs<T> arguments() const {
    const bool points = in.options().form != Form::matrix;
    TangentArgs<T> out;
    out.pairs = in.pairs();
    out.h = in.h.data();
    out.shift = in.shift.data();
    out.eps = in.eps;
    out.count = kCount;
    out.row = row.data();
    out.col = col.data();
    out.cost = cost.data();
    out.slope = T(1.5);
    out.a = points ? a.data() : nullptr;
    out.b = points ? b.data() : nullptr;
    out.width = kWidth;
    out.p = p.data();
    out.q = q.data();
    out.p_each = each;
    out.q_each = !each;
    out.center = points ? center.data() : nullptr;
    out.curved = true;
    return out;
  }
};

template <class T>
struct Sums {
  std::vector<T> sum, costs, gradient, mean;
  bool operator==(const Sums&) const = default;
};

enum class Points { plain, split };  // split: for matrix units too, where the device has some

template <class T>
Sums<T> run(TangentArgs<T> a, int threads, Points points = Points::plain) {
  const std::int64_t n = a.pairs.n, m = a.pairs.m, count = a.count;
  const int dim = a.pairs.rows.dim;
  const auto poisoned = [](std::int64_t size) {
    return std::vector<T>(size, testing::poison<T>());
  };
  Sums<T> out{poisoned(n * count), poisoned(n * count), poisoned(a.center ? n * count * dim : 0),
              poisoned(a.q ? n * count * a.width : 0)};
  testing::Placed on;
  a.h = on.in(a.h, kernels::padded(m));
  a.shift = on.in(a.shift, n);
  a.row = on.in(a.row, n * count);
  a.col = on.in(a.col, m * count);
  a.cost = on.in(a.cost, count);
  a.a = on.in(a.a, n * count * dim);
  a.b = on.in(a.b, m * count * dim);
  a.p = on.in(a.p, n * a.width * (a.p_each ? count : 1));
  a.q = on.in(a.q, m * a.width * (a.q_each ? count : 1));
  a.center = on.in(a.center, n * dim);
  a.pairs = points == Points::split ? on.split(a.pairs) : on.pairs(a.pairs);
  a.sum = on.out(out.sum);
  a.costs = on.out(out.costs);
  a.gradient = dim > 0 && a.center ? on.out(out.gradient) : nullptr;
  a.mean = a.q ? on.out(out.mean) : nullptr;
  Exec exec = on.exec(threads);
  kernels::tangent(a, exec);
  on.finish();
  return out;
}

template <class T>
void expect_matches_reference(const CaseOptions& options, bool each) {
  const TangentCase<T> in(options, each);
  SCOPED_TRACE(in.in.name());
  const auto a = in.arguments();
  const auto want = reference::tangent(a);
  testing::on_every_target([&] {
    const auto got = run(a, 1);
    const auto compare = [&](const std::vector<T>& values,
                             const std::vector<reference::Bounded>& wanted, const char* what) {
      for (std::size_t at = 0; at < values.size(); ++at)
        ASSERT_NEAR(values[at], static_cast<double>(wanted[at].value),
                    static_cast<double>(reference::sum_tolerance<T>(wanted[at], options.m, 1e4)))
            << what << " " << at;
    };
    compare(got.sum, want.sum, "sum");
    compare(got.costs, want.costs, "costs");
    compare(got.gradient, want.gradient, "gradient");
    compare(got.mean, want.mean, "mean");
  });
  testing::expect_same_on_any_threads([&](int threads) { return run(a, threads); });
}

TYPED_TEST(TangentKernel, MatchesReferenceOnAwkwardShapes) {
  for (CaseOptions options : testing::all_forms())
    for (const auto& shape : testing::awkward_shapes())
      for (const double eps : {1e-2, 1e2}) {
        if (shape.n * shape.m > 10000) continue;  // every direction has its own reference
        options.n = shape.n, options.m = shape.m, options.dim = shape.dim, options.eps = eps;
        expect_matches_reference<TypeParam>(options, eps > 1);
      }
}

// Without the bilinear term: all at once, then each kind of move by itself; the last without a
// gradient, as right-hand sides are made.
template <class T>
std::vector<TangentArgs<T>> parts_of(TangentArgs<T> a) {
  a.p = a.q = nullptr;
  a.width = 0;
  std::vector<TangentArgs<T>> out(4, a);
  out[1].col = out[1].a = out[1].b = out[1].cost = nullptr;
  out[2].b = out[2].cost = nullptr;
  out[3].a = out[3].row = out[3].center = nullptr;
  return out;
}

TYPED_TEST(TangentKernel, MovesOfEveryKindMatchReference) {
  using T = TypeParam;
  for (CaseOptions options : testing::all_forms(/*matrices=*/false))
    for (const int dim : {1, 2, 3, 4, 6}) {
      options.n = 70, options.m = 300, options.dim = dim, options.eps = 0.5 * dim;
      const TangentCase<T> in(options, false);
      SCOPED_TRACE(in.in.name());
      for (const TangentArgs<T>& a : parts_of(in.arguments())) {
        const auto want = reference::tangent(a);
        testing::on_every_target([&] {
          const auto got = run(a, 1);
          for (std::size_t at = 0; at < got.sum.size(); ++at)
            ASSERT_NEAR(
                got.sum[at], static_cast<double>(want.sum[at].value),
                static_cast<double>(reference::sum_tolerance<T>(want.sum[at], options.m, 1e4)))
                << at;
          for (std::size_t at = 0; a.center && at < got.gradient.size(); ++at)
            ASSERT_NEAR(
                got.gradient[at], static_cast<double>(want.gradient[at].value),
                static_cast<double>(reference::sum_tolerance<T>(want.gradient[at], options.m, 1e4)))
                << at;
        });
      }
    }
}

// Products of points in more than four dimensions, as an Operator gives them: split for matrix
// units. Directions of very different sizes, each with a scale of its own.
template <class T>
void expect_split_matches_reference(const CaseOptions& options) {
  TangentCase<T> in(options, false);
  SCOPED_TRACE(in.in.name());
  const int dim = options.dim, count = TangentCase<T>::kCount;
  for (std::int64_t i = 0; i < options.n; ++i)
    for (int k = 0; k < dim; ++k) in.a[(i * count + 1) * dim + k] *= T(1e-4);
  for (std::int64_t j = 0; j < options.m; ++j)
    for (int k = 0; k < dim; ++k) in.b[(j * count + 2) * dim + k] *= T(1e3);
  for (const TangentArgs<T>& a : parts_of(in.arguments())) {
    const auto want = reference::tangent(a, /*products=*/true);
    // Halves lose up to 2^-18 of the sums of |w t| and of w to underflow, and 2^-21 to each of
    // three roundings, in terms of the largest value (cuda/tensor_tangent.cuh); coordinates are
    // below 1.
    testing::on_every_target([&] {
      const auto got = run(a, 1, Points::split);
      const auto compare = [&](const std::vector<T>& values,
                               const std::vector<reference::Bounded>& wanted, const char* what,
                               int length, double lost) {
        for (std::size_t at = 0; at < values.size(); ++at) {
          const auto& size = want.sum[at / length].magnitude;
          ASSERT_NEAR(values[at], static_cast<double>(wanted[at].value),
                      static_cast<double>(reference::sum_tolerance<T>(wanted[at], options.m, 1e4) +
                                          lost * size))
              << what << " " << at;
        }
      };
      compare(got.sum, want.sum, "sum", 1, 0);
      compare(got.costs, want.costs, "costs", 1, 0);
      const double slope = 2 * options.scale;
      if (a.center) compare(got.gradient, want.gradient, "gradient", dim, 0x1p-17 * slope);
    });
    testing::expect_same_on_any_threads(
        [&](int threads) { return run(a, threads, Points::split); });
  }
}

TYPED_TEST(TangentKernel, SplitPointsMatchReference) {
  const CaseOptions products[] = {{.form = Form::squared, .scale = 0.5, .product = true},
                                  {.form = Form::dot, .scale = 2}};
  for (CaseOptions options : products) {
    for (const int dim : testing::where_split<int>({65, 5, 16, 17, 64, 130}))
      for (const auto& [n, m] : {std::pair{1, 1}, {63, 127}, {129, 129}, {65, 600}}) {
        options.n = n, options.m = m, options.dim = dim;
        options.eps = n == 65 ? 0.05 * dim : n == 63 ? 1e2 : 1;
        expect_split_matches_reference<TypeParam>(options);
      }
    options.n = 260, options.m = 900, options.dim = 7, options.lists = true;
    expect_split_matches_reference<TypeParam>(options);
  }
}

TYPED_TEST(TangentKernel, SweepsListsOnly) {
  for (CaseOptions options : testing::all_forms(/*matrices=*/false)) {
    options.n = 130, options.m = 600, options.dim = 2, options.lists = true;
    for (const int width : testing::list_widths()) {
      options.list_width = width;
      expect_matches_reference<TypeParam>(options, false);
    }
  }
}

// At coincident points derivatives that are not unique are 0, and so are second ones.
TYPED_TEST(TangentKernel, CoincidentPointsGiveNoNaN) {
  using T = TypeParam;
  for (const CaseOptions& base :
       {CaseOptions{.form = Form::distance}, CaseOptions{.form = Form::power, .power = 1.5}}) {
    CaseOptions options = base;
    options.n = options.m = 5, options.dim = 2, options.bad_shift = false;
    TangentCase<T> in(options, false);
    in.in.y = in.in.x.copy();
    in.in.pack_points();
    in.in.set_shift();
    const auto a = in.arguments();
    const auto want = reference::tangent(a);
    const auto got = run(a, 1);
    for (std::size_t at = 0; at < got.gradient.size(); ++at)
      EXPECT_NEAR(got.gradient[at], static_cast<double>(want.gradient[at].value),
                  static_cast<double>(reference::sum_tolerance<T>(want.gradient[at], 5, 1e4)));
  }
}
}  // namespace
}  // namespace monge
