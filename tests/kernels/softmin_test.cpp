#include "kernels/softmin.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "reference/weights.hpp"
#include "support/kernel_case.hpp"
#include "support/on_targets.hpp"
#include "support/softmin_bound.hpp"
#include "support/wide.hpp"

namespace monge {
namespace {
using kernels::Form;
using kernels::Precision;
using kernels::SoftminArgs;
using reference::Real;
using testing::bound;
using testing::CaseOptions;
using testing::KernelCase;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
class Softmin : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Softmin, Scalars);

/// An entry of the case's matrix, to be changed.
template <class T>
T& entry(const KernelCase<T>& in, std::int64_t i, std::int64_t j) {
  const auto p = in.pairs();
  return const_cast<T&>(p.matrix[i * p.row_stride + j * p.col_stride]);
}

enum class Shift { given, none };

template <class T>
std::vector<double> run(const KernelCase<T>& in, Shift shift, int threads = 1,
                        Precision precision = Precision::accurate, bool split = false) {
  const auto shifts = testing::wide(in.shift), h = testing::wide(in.h);
  std::vector<double> out(in.options().n, std::numeric_limits<double>::quiet_NaN());
  testing::Placed on;
  Exec exec = on.exec(threads);
  kernels::softmin(SoftminArgs<T>{on.pairs(in.pairs(), split), on.in(h),
                                  shift == Shift::given ? on.in(shifts) : nullptr, on.out(out),
                                  in.eps, precision},
                   exec);
  on.finish();
  return out;
}

// Runs the case on every target, with its shifts and, where `unshifted`, without.
template <class T>
void expect_exact(const KernelCase<T>& in, bool shifted = true, bool unshifted = false,
                  int threads = 1, Precision precision = Precision::accurate) {
  SCOPED_TRACE(in.name());
  const auto p = in.pairs();
  std::vector<Real> want(p.n), tolerance(p.n);
  for (std::int64_t i = 0; i < p.n; ++i) {
    want[i] = reference::softmin_row(p, in.h.data(), in.eps, i);
    tolerance[i] = bound(p, in.h.data(), in.eps, i, want[i], precision);
  }
  testing::on_every_target([&] {
    // From halves too, where tensor cores take them.
    const bool halves = sizeof(T) == 4 && testing::current_device().is_cuda();
    for (const int way : {0, 1, 2, 3}) {
      const bool with_shift = way % 2 == 0, split = way >= 2;
      if (!(with_shift ? shifted : unshifted) || (split && !halves)) continue;
      const auto got = run(in, with_shift ? Shift::given : Shift::none, threads, precision, split);
      for (std::int64_t i = 0; i < p.n; ++i)
        if (std::isinf(want[i])) {
          ASSERT_EQ(got[i], kInfinity) << "row " << i;
        } else {
          ASSERT_NEAR(got[i], want[i], tolerance[i])
              << "row " << i << ", shift " << with_shift << ", halves " << split;
        }
    }
  });
}

std::vector<CaseOptions> cases() {
  std::vector<CaseOptions> out;
  for (CaseOptions options : testing::all_forms())
    for (const auto& [n, m, dim] : {std::tuple{1, 1, 1},
                                    {2, 15, 2},
                                    {65, 17, 3},
                                    {63, 100, 4},
                                    {8, 1041, 5},
                                    {129, 257, 7},
                                    {65, 70, 70}}) {
      options.n = n, options.m = m, options.dim = dim;
      options.lists = n == 129;
      out.push_back(options);
    }
  // Direct differences in every specialised dimension.
  for (const int dim : {1, 2, 3, 4, 5}) out.push_back({.n = 21, .m = 1500, .dim = dim});
  return out;
}

// The case's shifts contain +inf, -inf and NaN.
TYPED_TEST(Softmin, MatchesReferenceOnEveryTarget) {
  for (CaseOptions options : cases())
    for (const double eps : {1e-6, 1e-2, 1e2}) {
      options.eps = eps;
      expect_exact(KernelCase<TypeParam>(options), true, eps == 1e-2);
      if (::testing::Test::HasFatalFailure()) return;
    }
}

TEST(SoftminMixed, MatchesReferenceOnEveryTarget) {
  for (CaseOptions options : cases())
    for (const double eps : {1e-6, 1e-2, 1e2}) {
      options.eps = eps;
      expect_exact(KernelCase<double>(options), true, eps == 1e-2, 1, Precision::mixed);
      if (::testing::Test::HasFatalFailure()) return;
    }
}

// Its sums are of float, everywhere: never within a hundredth of float's rounding of double's.
TEST(SoftminMixed, IsNotDouble) {
  testing::on_every_target([] {
    for (CaseOptions options : testing::all_forms()) {
      options.n = 64, options.m = 500, options.dim = 3, options.eps = 0.1,
      options.bad_shift = false;
      const KernelCase<double> in(options);
      const auto accurate = run(in, Shift::given),
                 mixed = run(in, Shift::given, 1, Precision::mixed);
      double difference = 0;
      for (std::size_t i = 0; i < mixed.size(); ++i)
        if (std::isfinite(mixed[i]))
          difference = std::max(difference, std::abs(mixed[i] - accurate[i]));
      EXPECT_GT(difference, 0x1p-31 * options.eps) << in.name();
    }
  });
}

// Every way a shift can be wrong: exponents that overflow into the sign bit and beyond it, that all
// vanish, that are too large for the rounding constant or for an integer.
template <class T>
void expect_redone(Precision precision) {
  for (CaseOptions options : testing::all_forms()) {
    options.n = 80, options.m = 100, options.dim = 3, options.eps = 0.01, options.bad_shift = false;
    KernelCase<T> in(options);
    const double off[] = {40,   -40, 85,   95,  110, 130, 160, -110, -700,  720,  750, 1e4,
                          -1e4, 1e6, -1e6, 280, 360, 500, 200, 1e12, -1e12, 1e30, -90, -1e30};
    for (std::int64_t i = 0; i < options.n; ++i)
      if (i % 3) in.shift[i] += static_cast<T>(options.eps * off[i % std::size(off)]);
    expect_exact(in, true, false, 1, precision);
    if (::testing::Test::HasFatalFailure()) return;
  }
}
TYPED_TEST(Softmin, RedoesRowsWhoseShiftDoesNotFit) {
  expect_redone<TypeParam>(Precision::accurate);
}
TEST(SoftminMixed, RedoesRowsWhoseShiftDoesNotFit) { expect_redone<double>(Precision::mixed); }

// Of one column, whose exponent is what the shift is off by. One of up to 6 is rounded to float by
// 4 u at most, 2.8 u of the sum; 5.2 u are those of the exponential (cpu/exp_sum-inl.hpp).
TEST(SoftminMixed, AStaleShiftCostsNoDigits) {
  testing::on_every_target([] {
    for (CaseOptions options : testing::all_forms()) {
      options.n = 200, options.m = 1, options.dim = 3, options.eps = 0.1, options.bad_shift = false;
      KernelCase<double> in(options);
      const auto p = in.pairs();
      std::vector<Real> want(p.n);
      for (std::int64_t i = 0; i < p.n; ++i) {
        want[i] = reference::softmin_row(p, in.h.data(), in.eps, i);
        if (std::isfinite(want[i]))
          in.shift[i] = static_cast<double>(want[i]) + options.eps * 0.397 * (i - p.n / 2);
      }
      const auto got = run(in, Shift::given, 1, Precision::mixed);
      for (std::int64_t i = 0; i < p.n; ++i)
        if (std::isfinite(want[i])) {
          ASSERT_NEAR(got[i], want[i],
                      bound(p, in.h.data(), in.eps, i, want[i]) + 9 * 0x1p-24 * options.eps)
              << in.name() << ", row " << i;
        }
    }
  });
}

// A single column far above all others must not wrap around to a small weight.
TYPED_TEST(Softmin, SeesOneHugeTerm) {
  for (const double excess :
       {86.0, 90.0, 130.0, 177.0, 200.0, 300.0, 400.0, 709.0, 712.0, 1500.0, 3000.0}) {
    KernelCase<TypeParam> in(
        {.n = 9, .m = 40, .dim = 3, .eps = 1e-3, .zero_weights = false, .bad_shift = false});
    for (std::int64_t j = 0; j < 40; ++j) in.h[j] = j == 20 ? 0 : TypeParam(-100);
    in.set_shift();
    for (auto& shift : in.shift) shift += static_cast<TypeParam>(excess * in.eps);
    SCOPED_TRACE(excess);
    expect_exact(in);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TYPED_TEST(Softmin, RowsWithoutColumnsAreInfinite) {
  testing::on_every_target([] {
    for (CaseOptions options : testing::all_forms()) {
      options.n = 20, options.m = 33, options.dim = 3;
      KernelCase<TypeParam> in(options);
      for (auto& h : in.h) h = -std::numeric_limits<TypeParam>::infinity();
      for (const Shift shift : {Shift::given, Shift::none})
        for (const double value : run(in, shift)) ASSERT_EQ(value, kInfinity) << in.name();
    }
  });
}

TYPED_TEST(Softmin, ForbiddenPairsAndRemovedColumnsMeetWithoutNan) {
  using T = TypeParam;
  static constexpr T kInf = std::numeric_limits<T>::infinity();
  testing::on_every_target([] {
    for (const bool transposed : {false, true}) {
      const CaseOptions options{
          .n = 70, .m = 40, .form = Form::matrix, .transposed = transposed, .forbidden = false};
      KernelCase<T> in(options);
      for (std::int64_t i = 0; i < 70; ++i)
        for (std::int64_t j = 0; j < 40; ++j)
          if (i % 3 == 0 || j % 4 == 0 || (i % 3 == 1 && j != 9)) entry(in, i, j) = kInf;
      for (std::int64_t j = 0; j < 40; j += 8) in.h[j] = -kInf;
      for (const Shift shift : {Shift::given, Shift::none}) {
        const auto out = run(in, shift);
        for (std::int64_t i = 0; i < 70; ++i) {
          ASSERT_FALSE(std::isnan(out[i]));
          if (i % 3 == 0) {
            ASSERT_EQ(out[i], kInf);
          } else if (i % 3 == 1) {
            ASSERT_NEAR(out[i], entry(in, i, 9) - in.h[9], 8 * std::numeric_limits<T>::epsilon());
          }
        }
      }
    }
  });
}

TYPED_TEST(Softmin, HighDimensions) {
  for (const auto& [m, dim] : {std::pair{50, 64},
                               {600, 64},
                               {50, 255},
                               {200, 257},
                               {90, 512},
                               {50, 1500}})  // few pairs, and others
    for (const Form form : {Form::squared, Form::dot, Form::distance})
      for (const bool product : {false, true}) {
        if (product && form != Form::squared) continue;
        const KernelCase<TypeParam> in(
            {.n = 13, .m = m, .dim = dim, .eps = 0.1 * dim, .form = form, .product = product});
        expect_exact(in, true, true);
        if (::testing::Test::HasFatalFailure()) return;
      }
}

// Few pairs and many, in one launch or several: the bits of a step of its own.
TYPED_TEST(Softmin, TakesTheStepThatFollows) {
  using T = TypeParam;
  testing::on_every_device([] {
    for (CaseOptions options : testing::all_forms())
      for (const auto& [n, m] : {std::pair{70, 40}, {129, 257}, {600, 700}}) {
        options.n = n, options.m = m, options.dim = 5;
        const KernelCase<T> in(options);
        const auto h = testing::wide(in.h), shift = testing::wide(in.shift);
        std::vector<double> potential(n), log_weight(n);
        std::vector<T> weight(n);
        for (std::int64_t i = 0; i < n; ++i) {
          potential[i] = std::sin(static_cast<double>(i));
          weight[i] = static_cast<T>(i % 7 == 0 ? 0.0 : 0.5 + static_cast<double>(i % 5));
          log_weight[i] = std::log(static_cast<double>(weight[i]));
        }
        for (const double omega : {1.0, 0.5, 1.5})
          for (const bool biased : {true, false}) {
            SCOPED_TRACE(in.name() + ", omega " + std::to_string(omega));
            std::vector<double> out[2], f[2], bias[2];
            for (const int apart : {0, 1}) {
              out[apart].resize(n);
              f[apart] = potential;
              bias[apart].assign(kernels::padded(n), -7);
              testing::Placed on;
              Exec exec = on.exec();
              const SoftminArgs<T> args{on.pairs(in.pairs()), on.in(h), on.in(shift),
                                        on.out(out[apart]), in.eps};
              const kernels::HalfStepArgs<T> step{
                  .s = args.out,
                  .f = on.out(f[apart]),
                  .weight = {on.in(weight), n, 1, exec.device},
                  .mass = 3.0 * static_cast<double>(n),
                  .penalty = {.kind = kernels::Penalty::Kind::kl, .strength = 0.7},
                  .eps = in.eps,
                  .omega = omega,
                  .log_weight = on.in(log_weight),
                  .h = biased ? on.out(bias[apart]) : nullptr};
              kernels::softmin(args, exec, apart ? nullptr : &step);
              if (apart) kernels::half_step(step, exec);
              on.finish();
            }
            ASSERT_EQ(out[0], out[1]);
            ASSERT_EQ(f[0], f[1]);
            ASSERT_NE(f[0], potential);
            ASSERT_EQ(bias[0], bias[1]);
          }
      }
  });
}

// Few rows and many columns are split by columns, many rows by rows.
TYPED_TEST(Softmin, DoesNotDependOnTheNumberOfThreads) {
  for (CaseOptions options : testing::all_forms())
    for (const auto& [n, m] : {std::pair{700, 40}, {3, 9000}})
      for (const bool lists : {false, true}) {
        options.n = n, options.m = m, options.dim = 3, options.lists = lists;
        const KernelCase<TypeParam> in(options);
        SCOPED_TRACE(in.name());
        for (const Shift shift : {Shift::given, Shift::none}) {
          const auto one = run(in, shift, 1);
          for (const int threads : {1, 2, 8}) ASSERT_EQ(run(in, shift, threads), one);
          testing::on_every_gpu([&] { ASSERT_EQ(run(in, shift), run(in, shift)); });
        }
      }
}

TYPED_TEST(Softmin, SplitColumnsMatchReference) {
  for (const bool lists : {false, true})
    for (const int width : testing::point_list_widths())
      expect_exact(
          KernelCase<TypeParam>(
              {.n = 2, .m = 9000, .dim = 3, .eps = 0.1, .lists = lists, .list_width = width}),
          true, true, 2);
}

TYPED_TEST(Softmin, NarrowListsMatchReference) {
  for (const int dim : {1, 2, 3, 5})
    for (const int width : testing::point_list_widths())
      for (const bool product : {false, true})
        expect_exact(KernelCase<TypeParam>({.n = 200,
                                            .m = 1100,
                                            .dim = dim,
                                            .product = product,
                                            .lists = true,
                                            .list_width = width}),
                     true, true, 2);
}

TYPED_TEST(Softmin, AListOfAllBlocksChangesNothing) {
  const CaseOptions options{.n = 200, .m = 3000, .dim = 3, .bad_shift = false};
  KernelCase<TypeParam> in(options);
  const std::int32_t all[] = {0, 1, 2,  3,  4, 5, 6,  7,  8, 9, 10, 11, 0, 1, 2,  3,
                              4, 5, 6,  7,  8, 9, 10, 11, 0, 1, 2,  3,  4, 5, 6,  7,
                              8, 9, 10, 11, 0, 1, 2,  3,  4, 5, 6,  7,  8, 9, 10, 11};
  const std::int64_t offsets[] = {0, 12, 24, 36, 48};
  const kernels::BlockList list{offsets, all};
  testing::on_every_device([&] {
    auto pairs = in.pairs();
    pairs.list = &list;
    std::vector<double> out(in.shift.begin(), in.shift.end());  // the shift may be overwritten
    testing::Placed on;
    const auto h = testing::wide(in.h);
    SoftminArgs<TypeParam> args{on.pairs(pairs), on.in(h), nullptr, on.out(out), in.eps};
    args.shift = args.out;
    Exec exec = on.exec();
    kernels::softmin(args, exec);
    on.finish();
    EXPECT_EQ(out, run(in, Shift::given));
  });
}
}  // namespace
}  // namespace monge
