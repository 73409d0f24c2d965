// The precisions of a solve: their names, where each exists, and what each can reach.
#include "monge/ot/precision.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "monge/ot/divergence.hpp"
#include "ot/operator.hpp"
#include "support/devices.hpp"
#include "support/exact_pair.hpp"
#include "support/placed_clouds.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using testing::Clouds;
using testing::in_double;
using ::testing::IsSubstring;
using testing::marginal_error;
using testing::placed;
using testing::PlacedClouds;
using testing::random_clouds;

TEST(Precision, NamesRoundTrip) {
  const std::vector<std::string> names{"automatic", "accurate", "fast", "mixed", "double"};
  for (const auto& name : names) EXPECT_EQ(to_string(parse_precision(name)), name);
  try {
    parse_precision("half");
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.argument(), "precision");
    for (const auto& name : names) EXPECT_PRED_FORMAT2(IsSubstring, name, error.what());
  }
}

TEST(Precision, AutomaticWidensBelowWhatFloatReaches) {
  for (const double tolerance : {1e-300, 1e-9, 0.99e-7, 1e-7, 1e-3}) {
    EXPECT_EQ(widens(Precision::automatic, tolerance), tolerance < 1e-7) << tolerance;
    EXPECT_FALSE(widens(Precision::accurate, tolerance));
    EXPECT_FALSE(widens(Precision::fast, tolerance));
    EXPECT_TRUE(widens(Precision::mixed, tolerance));
    EXPECT_TRUE(widens(Precision::double_, tolerance));
  }
}

SinkhornOptions options_in(Precision precision, double eps = 0.1, double tolerance = 1e-6) {
  SinkhornOptions options;
  options.epsilon = eps;
  options.tolerance = tolerance;
  options.precision = precision;
  return options;
}

/// Both sides KL(1), or of one other marginal.
template <class T>
PlacedClouds<T> here(const Clouds<T>& clouds, const Cost& cost = SquaredEuclidean{},
                     Device device = testing::current_device(), const Marginal& marginal = KL{1}) {
  return {clouds, marginal, marginal, cost, {}, device};
}

/// Why fast was refused; empty if it was not.
template <class T>
std::string refusal(const Problem<T>& problem, Exec& exec) {
  try {
    sinkhorn(problem, options_in(Precision::fast), exec);
    return {};
  } catch (const NotAvailable& error) {
    return error.what();
  }
}

TEST(Precision, FastIsRefusedWithAReasonWhereItDoesNotExist) {
  testing::on_every_device([] {
    const bool gpu = testing::current_device().is_cuda();
    const auto expect = [&](const std::string& said, const char* on_gpu) {
      EXPECT_PRED_FORMAT2(IsSubstring, "precision fast", said);
      EXPECT_PRED_FORMAT2(IsSubstring, gpu ? on_gpu : "the problem is on cpu", said);
    };
    auto wide = here<double>(random_clouds<double>(30, 20, 8, 1));
    expect(refusal(wide.problem, wide.exec), "float64");
    auto flat = here<float>(random_clouds<float>(30, 20, 4, 1));
    expect(refusal(flat.problem, flat.exec), "direct differences");
    auto distance = here<float>(random_clouds<float>(30, 20, 8, 1), Euclidean{});
    expect(refusal(distance.problem, distance.exec), "euclidean");
    const Buffer<float> costs = placed(std::vector<float>(600, 1.0F));
    const Problem<float> matrix(
        CostMatrix<float>{MatrixView<const float>(costs.data(), 30, 20, 20, 1, costs.device())},
        flat.a.view(), flat.b.view(), KL{1}, KL{1});
    expect(refusal(matrix, flat.exec), "cost matrix");
    if (gpu) return;
    auto product = here<float>(random_clouds<float>(30, 20, 8, 1));
    expect(refusal(product.problem, product.exec), "");

    // The same in every term of a divergence.
    const auto clouds = random_clouds<float>(30, 20, 8, 1);
    DivergenceOptions options;
    options.epsilon = 0.1;
    options.precision = Precision::fast;
    options.marginal_a = options.marginal_b = KL{1};
    EXPECT_THROW(divergence<float>({clouds.source(), clouds.source_weights()},
                                   {clouds.target(), clouds.target_weights()}, options, flat.exec),
                 NotAvailable);
  });
}

// One product has an error that a plain bound holds: two roundings to half, each 2^-11 of a
// coordinate, move 2 x.y by 2^-9 |x| |y| (1 + 2^-12), and a softmin by no more than the costs. The
// estimate of the report is half of that, for random roundings.
TEST(Precision, FastIsAsWrongAsItsEstimateSays) {
  constexpr int kRows = 700, kColumns = 600;
  testing::on_every_gpu([] {
    for (const Cost& cost : {Cost(SquaredEuclidean{}), Cost(HalfSquaredEuclidean{}), Cost(Dot{})})
      for (const int d : {5, 64, 300}) {
        const auto clouds = random_clouds<float>(kRows, kColumns, d, 3);
        auto in = here<float>(clouds, cost);
        if (const auto why = refusal(in.problem, in.exec); !why.empty()) {
          ASSERT_PRED_FORMAT2(IsSubstring, "compute capability 9.0", why);
          return;
        }
        const double eps = 0.02 * d;
        const Clouds<double> wide = in_double(clouds);
        auto exact = here<double>(wide, cost, Device{});

        std::vector<float> h(kernels::padded(kColumns), -std::numeric_limits<float>::infinity());
        for (int j = 0; j < kColumns; ++j) h[j] = clouds.y[j];
        const std::vector<double> wide_h(h.begin(), h.end());
        Buffer<double> want(kRows, Device{});
        Operator<double>(exact.problem)
            .softmin(Side::source, wide_h.data(), nullptr, want.data(), eps, exact.exec);

        const auto at = placed(wide_h);
        const auto relative = [&](const Operator<float>& op) {
          Buffer<double> out(kRows, in.exec.device);
          op.softmin(Side::source, at.data(), nullptr, out.data(), eps, in.exec);
          const auto got = out.to(Device{});
          double worst = 0;
          for (int i = 0; i < kRows; ++i)
            worst = std::max(worst, std::expm1(std::abs(got.data()[i] - want.data()[i]) / eps));
          return worst;
        };
        const Operator<float> fast(in.problem, kernels::Precision::fast), accurate(in.problem);
        EXPECT_EQ(accurate.weight_error(eps), 0);
        const double error = relative(fast), estimate = fast.weight_error(eps);
        EXPECT_LE(error, estimate) << cost_name(cost) << " " << d;
        EXPECT_EQ(error, relative(fast)) << "another run, other bits";
        // It is the fast product that ran: three products are closer by far.
        EXPECT_GT(error, 4 * relative(accurate)) << cost_name(cost) << " " << d;

        const auto solved = sinkhorn(in.problem, options_in(Precision::fast, eps), in.exec);
        EXPECT_EQ(solved.report.weight_error, estimate);
        if (std::holds_alternative<Dot>(cost)) continue;
        // 1e-3 |x|^2max / eps of points about their common mean, by its definition.
        std::vector<double> mean(d, 0.0);
        for (const auto* side : {&wide.x, &wide.y})
          for (std::size_t t = 0; t < side->size(); ++t)
            mean[t % d] += (*side)[t] / (kRows + kColumns);
        double largest = 0;
        for (const auto* side : {&wide.x, &wide.y})
          for (std::size_t i = 0; i < side->size() / d; ++i) {
            double norm = 0;
            for (int k = 0; k < d; ++k) norm += std::pow((*side)[i * d + k] - mean[k], 2);
            largest = std::max(largest, norm);
          }
        const double scale = std::holds_alternative<HalfSquaredEuclidean>(cost) ? 0.5 : 1;
        EXPECT_NEAR(estimate, 1e-3 * scale * largest / eps, 1e-5 * estimate);
      }
  });
}

// What is no other arithmetic has the same bits; what would be is refused.
TEST(Precision, NamesOfTheSameArithmeticGiveTheSameBits) {
  testing::on_every_device([] {
    const auto solved = [](auto& in, Precision precision) {
      const auto result = sinkhorn(in.problem, options_in(precision), in.exec);
      EXPECT_EQ(result.report.weight_error, 0);
      const auto f = result.f.to(Device{});
      return std::vector<double>(f.begin(), f.end());
    };
    for (const int d : {2, 9}) {
      auto single = here<float>(random_clouds<float>(50, 40, d, 2));
      auto wide = here<double>(random_clouds<double>(50, 40, d, 2));
      EXPECT_EQ(solved(single, Precision::automatic), solved(single, Precision::accurate));
      EXPECT_EQ(solved(wide, Precision::automatic), solved(wide, Precision::accurate));
      EXPECT_EQ(solved(wide, Precision::automatic), solved(wide, Precision::double_));
      for (const auto precision : {Precision::mixed, Precision::double_}) try {
          sinkhorn(single.problem, options_in(precision), single.exec);
          FAIL();
        } catch (const InvalidArgument& error) {
          EXPECT_EQ(error.argument(), "precision");
          EXPECT_PRED_FORMAT2(IsSubstring, to_string(precision) + " and", error.what());
          EXPECT_PRED_FORMAT2(IsSubstring, "float64", error.what());
        }
    }
  });
}

// Where float ends at its floor mixed goes on, from there, and means what it says: its exponentials
// are rounded to float at random, so that the error left in the marginals is below 2^-24 a side.
TEST(Precision, MixedGoesOnWhereFloatEndsAtItsFloor) {
  testing::on_every_device([] {
    for (const int d : {2, 9}) {
      Clouds<float> clouds = random_clouds<float>(300, 260, d, 8);
      for (auto* side : {&clouds.a, &clouds.b}) {  // multiples of 2^-20 with sum 1
        const auto last = side->size() - 1;
        double rest = 1;
        for (std::size_t i = 0; i < last; ++i) {
          (*side)[i] = std::round((*side)[i] / 1.5F * 0x1p20F / (last + 1)) * 0x1p-20F;
          rest -= (*side)[i];
        }
        (*side)[last] = static_cast<float>(rest);
      }
      const Clouds<double> wide = in_double(clouds);
      const double eps = 2e-3 * d;
      auto single = here<float>(clouds, SquaredEuclidean{}, testing::current_device(), Balanced{});
      auto doubles = here<double>(wide, SquaredEuclidean{}, testing::current_device(), Balanced{});
      const auto options = options_in(Precision::automatic, eps, 1.2e-7);
      const auto begun = sinkhorn(single.problem, options, single.exec);
      ASSERT_EQ(begun.report.status, Status::precision_floor);
      ASSERT_TRUE(goes_on(options, begun.report));

      const auto mixed = sinkhorn(doubles.problem, options, doubles.exec, begun);
      EXPECT_EQ(mixed.report.status, Status::converged) << mixed.report.marginal_error;
      EXPECT_FALSE(goes_on(options, mixed.report));
      EXPECT_GT(mixed.report.iterations, begun.report.iterations);
      EXPECT_LE(mixed.report.iterations, begun.report.iterations + 100);
      EXPECT_GT(mixed.report.passes, begun.report.passes);
      EXPECT_GT(mixed.report.trace.size(), begun.report.trace.size());
      EXPECT_EQ(mixed.report.trace.front().epsilon, begun.report.trace.front().epsilon);
      EXPECT_LT(marginal_error(wide, mixed.f.to(Device{}), mixed.g.to(Device{}), eps),
                options.tolerance + 2 * 0x1p-24);
      EXPECT_GT(marginal_error(wide, begun.f.to(Device{}), begun.g.to(Device{}), eps),
                options.tolerance + 2 * 0x1p-24);

      // What began staged goes on alike, and counts what was fast.
      auto staged = options;
      staged.schedule = Schedule::staged;
      SinkhornResult<float> fast{begun.f.copy(), begun.g.copy(), begun.report, begun.f_rest.copy(),
                                 begun.g_rest.copy()};
      fast.report.fast_passes = 7;
      const auto again = sinkhorn(doubles.problem, staged, doubles.exec, fast);
      EXPECT_EQ(again.report.fast_passes, 7);
      EXPECT_EQ(again.report.dual_value, mixed.report.dual_value);

      // By itself as well; asked for float or for double nothing goes on.
      const auto alone =
          sinkhorn(doubles.problem, options_in(Precision::mixed, eps, 1.2e-7), doubles.exec);
      EXPECT_TRUE(alone.report.converged);
      EXPECT_GE(alone.report.predicted_floor, 0x1p-24);
      // Below what its exponentials resolve nothing has converged, whatever is measured.
      auto finer = options_in(Precision::mixed, eps, 1e-8);
      finer.max_iterations = 2000;
      EXPECT_FALSE(sinkhorn(doubles.problem, finer, doubles.exec).report.converged);
      EXPECT_FALSE(goes_on(options_in(Precision::accurate), begun.report));
    }
  });
}

// S6: at eps = 1e-6 max C float32 ends at its floor, and says so; a copy in float64 goes on. A grid
// against itself moved: the assignment is strict, so that the solve ends soon where the arithmetic
// lets it. Potentials of size 0.3 in float move log P by up to 2^-25 0.3 / eps = 5e-3.
constexpr double kReachable = 1e-9;

template <class T>
Clouds<T> moved_grid() {
  constexpr std::int64_t kPoints = 24;
  const std::vector<T> a(kPoints, T(1) / 32);
  Clouds<T> out{kPoints, kPoints, 1, {}, {}, a, a};
  for (int i = 0; i < kPoints; ++i) {
    out.x.push_back(static_cast<T>(static_cast<float>(i) / kPoints));
    out.y.push_back(static_cast<T>(static_cast<float>(i) / kPoints + 0.3F));
  }
  return out;
}

TEST(Precision, DoubleGoesOnWhereFloatEndsAtItsFloor) {
  const double eps = 1e-6 * std::pow(23.0 / 24 + 0.3, 2);
  const auto solved = [&](const auto& clouds, Precision precision) {
    Exec exec;
    return sinkhorn(clouds.problem(Balanced{}, Balanced{}), options_in(precision, eps, kReachable),
                    exec);
  };
  const auto clouds = moved_grid<float>();
  const auto single = solved(clouds, Precision::accurate);
  const auto wide = solved(moved_grid<double>(), Precision::double_).report;
  EXPECT_EQ(single.report.status, Status::precision_floor) << single.report.marginal_error;
  EXPECT_GT(single.report.predicted_floor, kReachable);
  // Its own sweeps may not see it: potentials that repeat to the bit show an error of any size.
  EXPECT_GT(marginal_error(in_double(clouds), single, eps), kReachable);
  EXPECT_EQ(wide.status, Status::converged) << wide.marginal_error;
}
}  // namespace
}  // namespace monge
