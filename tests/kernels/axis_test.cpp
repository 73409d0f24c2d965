#include "kernels/axis.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "monge/core/buffer.hpp"
#include "reference/axis.hpp"
#include "support/kernel_case.hpp"
#include "support/runs.hpp"

namespace monge {
namespace {
using kernels::AxisArgs;
using kernels::AxisTerm;
using kernels::Factor;
using kernels::Form;
using kernels::Precision;
using reference::Real;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct CaseOptions {
  std::int64_t before = 1, n = 1, m = 1, after = 1;
  double eps = 0.1;
  Form form = Form::squared;
  double power = 2;
  double x_origin = 0.25, x_step = 1;  // of the rows, in units of the columns' step
  bool periodic = false;
  bool hills = false;  // h of several modes, far apart, instead of noise
  bool masks = true;   // a third of the columns, and one line altogether
};

/// Many columns and terms of every kind.
const std::vector<AxisTerm> kTerms{
    {-1, Factor::offset, 0}, {-1, Factor::square, 1},     {0, Factor::one, 2},
    {1, Factor::offset, 3},  {1, Factor::one, 4},         {-1, Factor::cost, 4},
    {-1, Factor::slope, 5},  {1, Factor::cost_square, 6}, {0, Factor::cost_offset, 7}};
constexpr int kColumns = 2, kOutputs = 8;

template <class T>
class AxisCase {
 public:
  explicit AxisCase(const CaseOptions& o) : options(o) {
    const std::int64_t lines = o.before * o.after;
    x = Buffer<T>(o.n);
    y = Buffer<T>(kernels::padded_axis(o.m));
    for (std::int64_t i = 0; i < o.n; ++i) x[i] = static_cast<T>(o.x_origin + o.x_step * i);
    for (std::int64_t j = 0; j < y.size(); ++j) y[j] = static_cast<T>(std::min(j, o.m - 1));
    h = testing::random_values<T>(lines * o.m, 5, 0);
    v = testing::random_values<T>(lines * o.m * kColumns, 5, 1);
    // Costs up to about 1.
    scale = static_cast<T>(1 / std::pow(std::max<double>(o.m, 2), o.form == Form::power ? o.power
                                                                  : o.form == Form::distance ? 1
                                                                                             : 2));
    for (std::int64_t e = 0; e < h.size(); ++e) {
      const std::int64_t j = e / o.after % o.m, s = e / o.after / o.m;
      if (o.hills)
        h[e] = static_cast<T>(0.3 * std::cos(12.0 * j / o.m + s) + 0.01 * h[e]);
      else
        h[e] *= static_cast<T>(o.eps);
      if (o.masks && o.m > 2 && (j % 3 == 1 || (o.before > 1 && s == 1)))
        h[e] = -std::numeric_limits<T>::infinity();
    }
  }

  AxisArgs<T> args(bool terms) const {
    AxisArgs<T> a{.x = x.data(),
                  .y = y.data(),
                  .n = options.n,
                  .m = options.m,
                  .h = h.data(),
                  .terms = {},
                  .eps = options.eps};
    a.form = options.form;
    a.scale = scale;
    a.power = static_cast<T>(options.power);
    a.period = options.periodic ? static_cast<T>(options.m) : T(0);
    a.before = options.before;
    a.after = options.after;
    if (!terms) return a;
    a.v = v.data();
    a.v_row = kColumns;
    a.v_col = 1;
    a.terms = kTerms;
    a.columns = kColumns;
    a.outputs = kOutputs;
    return a;
  }

  struct Out {
    std::vector<double> softmin;
    std::vector<T> averages;
    bool operator==(const Out&) const = default;
  };
  Out run(bool terms, int threads = 1, Precision precision = Precision::accurate,
          bool skips = true) const {
    const std::int64_t size = options.before * options.n * options.after;
    Out out{std::vector<double>(size, testing::poison<double>()),
            std::vector<T>(terms ? size * kOutputs : 0, testing::poison<T>())};
    testing::Placed on;
    Exec exec = on.exec(threads);
    AxisArgs<T> a = args(terms);
    a.x = on.in(x);
    a.y = on.in(y);
    a.h = on.in(h);
    if (terms) a.v = on.in(v);
    a.softmin = on.out(out.softmin);
    a.averages = on.out(out.averages);
    a.a_row = kOutputs;
    a.a_col = 1;
    a.precision = precision;
    a.skips = skips;
    kernels::axis(a, exec);
    on.finish();
    return out;
  }

  CaseOptions options;
  Buffer<T> x, y, h, v;
  T scale;
};

// A score carries the roundings of its offset (relative to the coordinates where they are no small
// integers), of its square, of h in units of the scale and of the differences with it and with the
// row's top: the largest among columns within 40 eps of the top counts. The sum of at most 1024
// columns in T loses at most 1024 + 8 roundings and the exponentials a few; eps is off by one
// rounding of the scale over it. Averages move with the weights: by their relative errors times
// the size of what is averaged.
template <class T>
Real score_error(const AxisArgs<T>& a, std::int64_t s, std::int64_t i, std::int64_t t) {
  const Real u = std::numeric_limits<T>::epsilon() / 2;
  Real best = -kInfinity, error = 0;
  for (std::int64_t j = 0; j < a.m; ++j)
    best = std::max(best, a.h[(s * a.m + j) * a.after + t] - reference::axis_cost(a, i, j));
  for (std::int64_t j = 0; j < a.m; ++j) {
    const Real h = a.h[(s * a.m + j) * a.after + t], c = reference::axis_cost(a, i, j);
    if (std::isinf(h) || h - c < best - 40 * a.eps) continue;
    const Real far = std::abs(static_cast<Real>(a.x[i])) + std::abs(static_cast<Real>(a.y[j])) +
                     static_cast<Real>(a.period);
    const Real slope = std::abs(reference::axis_factor(a, Factor::slope, i, j));
    error = std::max(error, 4 * u * far * slope + u * (8 + 4 * a.power) * c + 4 * u * std::abs(h));
  }
  return error;
}

template <class T>
void expect_exact(const AxisCase<T>& in, bool terms, Precision precision = Precision::accurate) {
  const auto& o = in.options;
  const AxisArgs<T> a = in.args(terms);
  const Real u = std::numeric_limits<T>::epsilon() / 2;
  const Real u_sum = precision == Precision::mixed ? Real{0x1p-24} : u;
  testing::on_every_target([&] {
    const auto got = in.run(terms, 1, precision);
    for (std::int64_t s = 0; s < o.before; ++s)
      for (std::int64_t i = 0; i < o.n; ++i)
        for (std::int64_t t = 0; t < o.after; ++t) {
          const auto want = reference::axis_row(a, s, i, t);
          const std::int64_t e = (s * o.n + i) * o.after + t;
          if (std::isinf(want.log_sum)) {
            ASSERT_EQ(got.softmin[e], kInfinity);
            for (int q = 0; q < a.outputs; ++q) ASSERT_EQ(got.averages[e * kOutputs + q], 0);
            continue;
          }
          const Real moved = score_error(a, s, i, t);
          const Real terms_of = static_cast<Real>(std::min<std::int64_t>(o.m, 1024));
          const Real sum = u_sum * (terms_of + 16 + (precision == Precision::mixed ? 128 : 0));
          ASSERT_NEAR(got.softmin[e], -want.log_sum,
                      moved + o.eps * (sum + 2 * u * std::log(static_cast<Real>(o.m))) +
                          2 * u * std::abs(want.log_sum))
              << "line " << s << ", " << t << ", row " << i;
          for (int q = 0; q < a.outputs; ++q) {
            // Weights relative to the top are off by what moves its score and theirs, and by as
            // much again as their sum.
            const Real relative = 4 * moved / o.eps + 2 * sum + 16 * u * (1 + a.power);
            const Real far = 4 * u * (o.m + o.n * o.x_step + a.period);  // of an offset
            ASSERT_NEAR(got.averages[e * kOutputs + q], want.averages[q],
                        relative * want.sizes[q] + far * (1 + 2 * std::sqrt(want.sizes[1])) +
                            4 * std::numeric_limits<T>::min())
                << "output " << q << ", line " << s << ", " << t << ", row " << i;
          }
        }
  });
}

std::vector<CaseOptions> shapes() {
  return {
      {.before = 1, .n = 1, .m = 1, .after = 1},    {.before = 3, .n = 7, .m = 31, .after = 1},
      {.before = 1, .n = 9, .m = 32, .after = 17},  {.before = 2, .n = 8, .m = 33, .after = 5},
      {.before = 1, .n = 65, .m = 1, .after = 2},   {.before = 4, .n = 17, .m = 100, .after = 3},
      {.before = 1, .n = 20, .m = 1100, .after = 1}};
}

std::string name(const CaseOptions& o) {
  return "form " + std::to_string(static_cast<int>(o.form)) + (o.periodic ? " periodic" : "") +
         ", " + std::to_string(o.before) + " x " + std::to_string(o.n) + " <- " +
         std::to_string(o.m) + " x " + std::to_string(o.after) + ", eps " + std::to_string(o.eps);
}

template <class Body>
void for_cases(const Body& body) {
  for (const auto& [form, power] :
       {std::pair{Form::squared, 2.0}, {Form::distance, 1.0}, {Form::power, 1.5}})
    for (const bool periodic : {false, true})
      for (CaseOptions o : shapes())
        for (const double eps : {1e-6, 1e-3, 1e2}) {
          o.form = form, o.power = power, o.periodic = periodic, o.eps = eps;
          if (periodic) o.x_step = static_cast<double>(o.m) / static_cast<double>(o.n);
          o.hills = eps == 1e-3;
          SCOPED_TRACE(name(o));
          body(o);
          if (::testing::Test::HasFatalFailure()) return;
        }
}

template <class T>
class Axis : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Axis, Scalars);

TYPED_TEST(Axis, MatchesReferenceOnEveryTarget) {
  for_cases([](const CaseOptions& o) {
    const AxisCase<TypeParam> in(o);
    expect_exact(in, false);
    expect_exact(in, true);
  });
}

TEST(AxisMixed, MatchesReferenceOnEveryTarget) {
  for_cases([](const CaseOptions& o) {
    expect_exact(AxisCase<double>(o), false,
                 o.form == Form::squared ? Precision::mixed : Precision::accurate);
  });
}

// G2: several modes, masked: what is left out is less than the rounding of what is not.
TYPED_TEST(Axis, SkippingChangesNothing) {
  using T = TypeParam;
  for (const bool periodic : {false, true})
    for (const double eps : {1e-5, 1e-4, 1e-3, 1e-2})
      testing::on_every_target([&] {
        const AxisCase<T> in({.before = 2,
                              .n = 40,
                              .m = 600,
                              .after = 2,
                              .eps = eps,
                              .x_step = 15,
                              .periodic = periodic,
                              .hills = true});
        const auto got = in.run(false), all = in.run(false, 1, Precision::accurate, false);
        for (std::size_t e = 0; e < got.softmin.size(); ++e)
          if (std::isfinite(all.softmin[e]))
            ASSERT_NEAR(got.softmin[e], all.softmin[e],
                        2 * std::numeric_limits<T>::epsilon() * (std::abs(all.softmin[e]) + eps));
          else
            ASSERT_EQ(got.softmin[e], all.softmin[e]);
      });
}

TYPED_TEST(Axis, DoesNotDependOnTheNumberOfThreads) {
  const AxisCase<TypeParam> in(
      {.before = 3, .n = 200, .m = 300, .after = 20, .eps = 1e-3, .hills = true});
  testing::expect_same_on_any_threads([&](int threads) { return in.run(true, threads); });
}

// Writes log sums in its own type, as what the next pass reads.
TYPED_TEST(Axis, LogSumsAreTheSoftminsRounded) {
  using T = TypeParam;
  testing::on_every_target([&] {
    const AxisCase<T> in({.before = 2, .n = 20, .m = 50, .after = 3, .eps = 0.01});
    const auto softmin = in.run(false).softmin;
    std::vector<T> log_sum(softmin.size());
    testing::Placed on;
    Exec exec = on.exec(1);
    AxisArgs<T> a = in.args(false);
    a.x = on.in(in.x);
    a.y = on.in(in.y);
    a.h = on.in(in.h);
    a.log_sum = on.out(log_sum);
    kernels::axis(a, exec);
    on.finish();
    for (std::size_t e = 0; e < softmin.size(); ++e)
      ASSERT_EQ(log_sum[e], static_cast<T>(-softmin[e]));
  });
}
}  // namespace
}  // namespace monge
