#include "kernels/absorbed.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "reference/weights.hpp"
#include "support/kernel_case.hpp"
#include "support/on_targets.hpp"
#include "support/softmin_bound.hpp"

namespace monge {
namespace {
using kernels::Form;
using reference::Real;
using testing::CaseOptions;
using testing::KernelCase;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
class Absorbed : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Absorbed, Scalars);

template <class T>
kernels::Pairs<T> transposed(kernels::Pairs<T> p) {
  std::swap(p.rows, p.cols);
  std::swap(p.n, p.m);
  std::swap(p.row_stride, p.col_stride);
  return p;
}

/// The kernel of a pair (f, g), f = softmin(g), and a bias for either side near it.
template <class T>
struct AbsorbedCase {
  KernelCase<T> in;
  std::vector<double> f, g;            // padded
  std::vector<double> h_cols, h_rows;  // of the softmins over columns and over rows
  Buffer<T> kernel;

  explicit AbsorbedCase(const CaseOptions& options) : in(options) {
    const auto p = in.pairs();
    testing::Random random(options.seed, 5);
    const std::int64_t n = kernels::padded(p.n), m = kernels::padded(p.m);
    f.assign(n, -kInfinity);
    g.assign(m, -kInfinity);
    h_cols.assign(in.h.begin(), in.h.end());
    h_rows.assign(n, -kInfinity);
    for (std::int64_t j = 0; j < p.m; ++j) g[j] = in.eps * random();
    update(p, g, f);
    update(transposed(p), f, g);
    update(p, g, f);
    for (std::int64_t i = 0; i < p.n; ++i)
      if (std::isfinite(f[i]) && (!options.zero_weights || i % 7 != 3))
        h_rows[i] = f[i] + in.eps * random();
    for (std::int64_t j = 0; j < p.m; ++j)
      if (std::isfinite(in.h[j])) h_cols[j] = g[j] + in.h[j];
    kernel = Buffer<T>(p.n * m);
  }

  /// to = softmin(from), -inf for a point without partner.
  void update(const kernels::Pairs<T>& p, const std::vector<double>& from,
              std::vector<double>& to) const {
    const std::vector<T> bias(from.begin(), from.end());
    for (std::int64_t i = 0; i < p.n; ++i) {
      const auto exact = static_cast<double>(reference::softmin_row(p, bias.data(), in.eps, i));
      to[i] = std::isfinite(exact) ? exact : -kInfinity;
    }
  }

  kernels::Pairs<T> pairs(bool of_columns) const {
    return of_columns ? transposed(in.pairs()) : in.pairs();
  }
  const std::vector<double>& h(bool of_columns) const { return of_columns ? h_rows : h_cols; }

  bool absorb(int threads = 1) {
    testing::Placed on;
    Exec exec = on.exec(threads);
    const bool usable = kernels::absorb<T>(
        {on.pairs(in.pairs()), on.in(f), on.in(g), in.eps, on.out(kernel)}, exec);
    on.finish();
    return usable;
  }
  /// False where K was refused; a GPU redoes rows instead, and says of how many.
  bool softmin(bool of_columns, std::vector<double>& out, int threads = 1,
               std::int64_t* redone = nullptr) const {
    testing::Placed on;
    Exec exec = on.exec(threads);
    const auto p = pairs(of_columns);
    out.assign(p.n, std::numeric_limits<double>::quiet_NaN());
    std::vector<std::int64_t> count(1, 0);
    const bool used =
        kernels::softmin<T>({.pairs = on.pairs(p),
                             .h = on.in(h(of_columns)),
                             .shift = nullptr,
                             .out = on.out(out),
                             .eps = in.eps},
                            {on.in(kernel), kernels::padded(in.options().m), of_columns,
                             on.in(of_columns ? g : f), on.in(of_columns ? f : g), on.out(count)},
                            exec);
    on.finish();
    if (redone) *redone = count[0];
    return used;
  }
  /// Refused, or all of it redone.
  void expect_refused(bool of_columns) {
    std::vector<double> out;
    std::int64_t redone = 0;
    const bool used = softmin(of_columns, out, 1, &redone);
    if (testing::current_device().is_cuda()) {
      EXPECT_EQ(redone, static_cast<std::int64_t>(out.size()));
      return;
    }
    EXPECT_FALSE(used);
    for (const double value : out) EXPECT_TRUE(std::isnan(value));
  }

  /// sum_j K_ij v_j of a row of the softmin.
  Real sum(bool of_columns, std::int64_t i, Real softmin) const {
    return std::exp(((of_columns ? g : f)[i] - softmin) / static_cast<Real>(in.eps));
  }

  // Scores are those of double, with three potentials more; an entry and v_j are rounded to T; at
  // most 1024 products are summed in T. Exponents that matter, within 40 of the largest, are below
  // 100, and k is off by one rounding of double.
  Real tolerance(bool of_columns, std::int64_t i, Real softmin) const {
    const auto p = pairs(of_columns);
    const double* const h = this->h(of_columns).data();
    const Real u = std::numeric_limits<T>::epsilon() / 2, u_double = 0x1p-53;
    const Real scores = (testing::bound(p, h, in.eps, i, softmin) -
                         in.eps * u * (std::min<std::int64_t>(p.m, 1024) + 16)) *
                        (u_double / u);
    const Real potentials = std::abs(f_of(of_columns, i)) + largest(of_columns ? f : g);
    return 2 * scores + 8 * u_double * potentials + in.eps * 100 * u_double +
           in.eps * u * (std::min<std::int64_t>(p.m, 1024) + 16);
  }

 private:
  Real f_of(bool of_columns, std::int64_t i) const { return (of_columns ? g : f)[i]; }
  static Real largest(const std::vector<double>& values) {
    Real out = 0;
    for (const double value : values)
      if (std::isfinite(value)) out = std::max<Real>(out, std::abs(value));
    return out;
  }
};

template <class T>
void expect_exact(AbsorbedCase<T>& in, bool of_columns) {
  const auto p = in.pairs(of_columns);
  std::vector<double> out;
  ASSERT_TRUE(in.softmin(of_columns, out));
  for (std::int64_t i = 0; i < p.n; ++i) {
    const Real want = reference::softmin_row(p, in.h(of_columns).data(), in.in.eps, i);
    if (std::isinf(want)) {
      ASSERT_EQ(out[i], kInfinity) << i;
      continue;
    }
    const Real sum = in.sum(of_columns, i, want);
    const bool taken = sum > 2e-18 && sum < 0.5e18;
    ASSERT_NEAR(out[i], want,
                taken ? in.tolerance(of_columns, i, want)
                      : testing::bound(p, in.h(of_columns).data(), in.in.eps, i, want))
        << i;
  }
}

std::vector<CaseOptions> cases() {
  std::vector<CaseOptions> out;
  for (CaseOptions options : testing::all_forms())
    for (const auto& [n, m, dim] : {std::tuple{1, 1, 1},
                                    {2, 15, 2},
                                    {65, 17, 3},
                                    {63, 100, 4},
                                    {8, 1041, 5},
                                    {1041, 9, 2},
                                    {64, 16, 7},
                                    {33, 513, 70}}) {
      options.n = n, options.m = m, options.dim = dim;
      out.push_back(options);
    }
  return out;
}

TYPED_TEST(Absorbed, SoftminMatchesReferenceOnBothSidesAndEveryTarget) {
  for (CaseOptions options : cases())
    for (const double eps : {0.3, 1e2}) {
      options.eps = eps;
      AbsorbedCase<TypeParam> in(options);
      SCOPED_TRACE(in.in.name());
      testing::on_every_target([&] {
        ASSERT_TRUE(in.absorb());
        for (const bool of_columns : {false, true}) expect_exact(in, of_columns);
      });
      if (::testing::Test::HasFatalFailure()) return;
    }
}

// sum_i K_ij sum_l K_il v_l. A double sum of T rounds each product by the lengths of both chains,
// at most 1024 of each, and v_l and K v once each; parts are added in double.
TYPED_TEST(Absorbed, NormalProductsMatchReference) {
  constexpr int kColumns = 3;
  constexpr Real u = std::numeric_limits<TypeParam>::epsilon() / 2;
  for (const auto& [n, m] : {std::pair{1, 1}, {7, 17}, {65, 16}, {100, 1041}, {2200, 33}}) {
    SCOPED_TRACE(std::to_string(n) + " x " + std::to_string(m));
    const std::int64_t width = kernels::padded(m);
    testing::Random random(3, 9);
    std::vector<TypeParam> kernel(n * width, 0);
    std::vector<double> v(m * kColumns), out(v.size());
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < m; ++j) kernel[i * width + j] = static_cast<TypeParam>(random());
    for (double& x : v) x = random();
    for (const std::string& target : cpu::runnable_targets()) {
      SCOPED_TRACE(target);
      const testing::TargetScope scope(target);
      std::vector<double> one;
      for (const int threads : {1, 3}) {
        Exec exec;
        exec.threads = threads;
        kernels::normal<TypeParam>({kernel.data(), n, m, v.data(), kColumns, out.data()}, exec);
        if (threads == 1) one = out;
        ASSERT_EQ(out, one);
      }
      for (int c = 0; c < kColumns; ++c) {
        std::vector<Real> want(m, 0), size(m, 0);
        for (std::int64_t i = 0; i < n; ++i) {
          const auto* const row = &kernel[i * width];
          Real met = 0, large = 0;
          for (std::int64_t l = 0; l < m; ++l) {
            met += row[l] * static_cast<Real>(v[l * kColumns + c]);
            large += std::abs(row[l] * static_cast<Real>(v[l * kColumns + c]));
          }
          for (std::int64_t j = 0; j < m; ++j)
            want[j] += row[j] * met, size[j] += std::abs(row[j]) * large;
        }
        const Real steps = std::min(m, 1024) + std::min(n, 1024) + 8;
        for (std::int64_t j = 0; j < m; ++j)
          ASSERT_NEAR(out[j * kColumns + c], want[j], steps * u * size[j]) << j << " of " << c;
      }
    }
  }
}

// What it is for in float: scores of double, so that rounding does not grow with 1 / eps.
TEST(AbsorbedFloat, DoesNotGrowWithTheRange) {
  for (CaseOptions options : testing::all_forms()) {
    options.n = 40, options.m = 60, options.dim = 8, options.eps = 1e-6;
    AbsorbedCase<float> in(options);
    SCOPED_TRACE(in.in.name());
    ASSERT_TRUE(in.absorb());
    expect_exact(in, false);
  }
}

// An entry is off as a streamed score is, v_j by its rounding; no row is left to a streamed sweep.
TEST(AbsorbedFloat, ANarrowKernelRoundsAsStreamedSweepsDo) {
  for (CaseOptions options : testing::all_forms())
    for (const auto& [n, m, dim] : {std::tuple{2, 15, 2}, {65, 117, 3}, {33, 513, 70}}) {
      options.n = n, options.m = m, options.dim = dim, options.eps = 0.3;
      AbsorbedCase<float> in(options);
      SCOPED_TRACE(in.in.name());
      for (auto* potential : {&in.f, &in.g})
        for (double& v : *potential) v = static_cast<float>(v);
      for (const std::string& target : cpu::runnable_targets()) {
        SCOPED_TRACE(target);
        const testing::TargetScope scope(target);
        ASSERT_TRUE(in.absorb());
        const std::vector<float> wide(in.kernel.begin(), in.kernel.end());
        Exec exec;
        ASSERT_TRUE(kernels::absorb<float>({.pairs = in.in.pairs(),
                                            .f = in.f.data(),
                                            .g = in.g.data(),
                                            .eps = in.in.eps,
                                            .kernel = in.kernel.data(),
                                            .narrow = true},
                                           exec));
        ASSERT_NE(std::vector<float>(in.kernel.begin(), in.kernel.end()), wide);
        for (const bool of_columns : {false, true}) {
          const auto p = in.pairs(of_columns);
          std::vector<double> out;
          ASSERT_TRUE(in.softmin(of_columns, out));
          for (std::int64_t i = 0; i < p.n; ++i) {
            const double* const h = in.h(of_columns).data();
            const Real want = reference::softmin_row(p, h, in.in.eps, i);
            if (std::isinf(want)) {
              ASSERT_EQ(out[i], kInfinity) << i;
            } else {
              ASSERT_NEAR(
                  out[i], want,
                  2 * testing::bound(p, h, in.in.eps, i, want) + in.tolerance(of_columns, i, want))
                  << i;
            }
          }
        }
      }
    }
}

TYPED_TEST(Absorbed, DoesNotDependOnTheNumberOfThreads) {
  for (const auto& [n, m] : {std::pair{700, 40}, {3, 9000}, {9000, 3}, {1300, 1100}}) {
    AbsorbedCase<TypeParam> in({.n = n, .m = m, .dim = 3, .eps = 1});
    SCOPED_TRACE(in.in.name());
    ASSERT_TRUE(in.absorb(1));
    const std::vector<TypeParam> kernel(in.kernel.begin(), in.kernel.end());
    ASSERT_TRUE(in.absorb(3));
    ASSERT_EQ(std::vector<TypeParam>(in.kernel.begin(), in.kernel.end()), kernel);
    for (const bool of_columns : {false, true}) {
      std::vector<double> one, many;
      ASSERT_TRUE(in.softmin(of_columns, one));
      expect_exact(in, of_columns);
      for (const int threads : {1, 2, 8}) {
        ASSERT_TRUE(in.softmin(of_columns, many, threads));
        ASSERT_EQ(many, one);
      }
    }
  }
}

// e^27 = 5e11 times the weights of the pair is near enough, e^29 is not; nothing is written then.
TYPED_TEST(Absorbed, RefusesWhatIsFarFromItsPair) {
  testing::on_every_target([] {
    for (const double excess : {-35.0, 26.0, 29.0, 1e4, 1e30}) {
      AbsorbedCase<TypeParam> in({.n = 50, .m = 40, .dim = 3, .eps = 1, .zero_weights = false});
      ASSERT_TRUE(in.absorb());
      in.h_cols[7] = static_cast<TypeParam>(in.g[7] + excess);
      SCOPED_TRACE(excess);
      if (excess < 28) {
        expect_exact(in, false);
      } else {
        in.expect_refused(false);
      }
    }
    // A point that the pair left without partner has one now.
    AbsorbedCase<TypeParam> in({.n = 50, .m = 40, .dim = 3, .eps = 1, .zero_weights = false});
    in.g[3] = -kInfinity;
    ASSERT_TRUE(in.absorb());
    in.expect_refused(false);
  });
}

// All weight moves away from what a few rows hold to: those are redone; all rows: refused.
TYPED_TEST(Absorbed, RedoesAFewRowsAndRefusesMany) {
  testing::on_every_target([] {
    for (const bool few : {true, false}) {
      AbsorbedCase<TypeParam> in({.n = 200,
                                  .m = 20,
                                  .eps = 0.01,
                                  .form = Form::matrix,
                                  .forbidden = false,
                                  .zero_weights = false});
      const auto p = in.in.pairs();
      for (std::int64_t i = 0; i < p.n; ++i)
        for (std::int64_t j = 0; j < p.m; ++j)
          const_cast<TypeParam&>(p.matrix[i * p.row_stride + j]) =
              static_cast<TypeParam>((j == 0) == (few && i % 40 != 1) ? 0.0 : 0.5);
      std::fill_n(in.g.begin(), p.m, 0.0);
      in.update(p, in.g, in.f);
      // Every column but the first is removed: e^-50 is left where the first is dear.
      in.h_cols[0] = 0;
      for (std::int64_t j = 1; j < p.m; ++j)
        in.h_cols[j] = -std::numeric_limits<TypeParam>::infinity();
      ASSERT_TRUE(in.absorb());
      if (few)
        expect_exact(in, false);
      else
        in.expect_refused(false);
    }
  });
}

// An entry of 1e12 and more leaves no room for what small weights lose.
TYPED_TEST(Absorbed, RefusesLargeEntries) {
  testing::on_every_target([] {
    AbsorbedCase<TypeParam> in({.n = 30, .m = 40, .dim = 3, .eps = 1});
    in.g[5] += 40;
    EXPECT_FALSE(in.absorb());
    in.g[5] -= 20;
    EXPECT_TRUE(in.absorb());
  });
}
}  // namespace
}  // namespace monge
