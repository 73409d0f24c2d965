// The O(n) steps against their formulas in long double, on every device.
#include "kernels/update.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/devices.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using kernels::Measures;
using kernels::Penalty;
using Kind = Penalty::Kind;
using Real = long double;
using testing::Placed;

constexpr double kInf = std::numeric_limits<double>::infinity();

template <class T>
class Update : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Update, Scalars);

// One side: some zero weights, and one point without partner. Sizes cross the blocks of the sums.
template <class T>
struct Side {
  std::vector<T> weight;
  std::vector<double> f, s;
  double mass = 0;

  Side(std::int64_t n, std::uint64_t seed) {
    weight = testing::random_vector<T>(n, seed, 0, 0.5, 1.5);
    f = testing::random_vector<double>(n, seed, 1, -1, 1);
    s = testing::random_vector<double>(n, seed, 2, -1, 1);
    for (std::int64_t i = 3; i < n; i += 7) weight[i] = 0;
    if (n > 9) {
      s[9] = kInf;
      f[9] = kInf;
    }
    for (const T a : weight) mass += a;
  }
  std::int64_t size() const { return std::ssize(weight); }
  VectorView<const T> placed_weight(Placed& on) const {
    return {on.in(weight), size(), 1, testing::current_device()};
  }
};

std::vector<Penalty> penalties() {
  return {{}, {Kind::kl, 0.7, 0}, {Kind::tv, 0.4, 0}, {Kind::capped, 0, 0.3}};
}
std::vector<std::int64_t> sizes() { return {1, 2, 15, 1000, 8192, 8193, 20000}; }

// sum p and sum a conjugate(f) of a side.
template <class T>
struct Exact {
  Real mass = 0, dual = 0, size = 0, residual = 0, gap = 0;

  Exact(const Side<T>& in, const Penalty& penalty, double eps, double log_scale, double slack) {
    for (std::int64_t i = 0; i < in.size(); ++i) {
      if (!(in.weight[i] > 0)) continue;
      const double z = in.s[i] == kInf ? -kInf : (in.f[i] - in.s[i]) / eps + log_scale;
      mass += in.weight[i] * std::exp(static_cast<Real>(z));
      const double conjugate = penalty.conjugate(in.f[i]);
      dual += static_cast<Real>(in.weight[i]) * conjugate;
      size += in.weight[i] * std::abs(conjugate);
      if (in.f[i] == kInf) continue;
      const auto [off, above] = penalty.optimality(1, in.f[i], z, slack);
      residual += static_cast<Real>(in.weight[i]) * off;
      gap += static_cast<Real>(in.weight[i]) * above;
    }
  }
};

// A double sum of n terms loses less than n u of their absolute sum; terms carry a few u more.
double close(Real size, std::int64_t n) {
  return static_cast<double>(size) * 1.2e-16 * static_cast<double>(n + 64) + 1e-300;
}

TYPED_TEST(Update, MeasuresBothSidesAtOnce) {
  using T = TypeParam;
  constexpr double kEps = 0.3, kScale = 0.1, kSlack = 1e-5;
  testing::on_every_device([&] {
    for (const std::int64_t n : sizes())
      for (const Penalty& penalty : penalties()) {
        Side<T> one(n, 1), two(n + 3, 2);
        for (Side<T>* side : {&one, &two})  // an infinite dual is its own test
          if (penalty.kind != Kind::kl && side->size() > 9) side->f[9] = 0.25;
        Placed on;
        Exec exec = on.exec();
        const auto args = [&](const Side<T>& in) {
          return kernels::MeasureArgs<T>{.f = on.in(in.f),
                                         .s = on.in(in.s),
                                         .weight = in.placed_weight(on),
                                         .penalty = penalty,
                                         .eps = kEps,
                                         .log_scale = kScale,
                                         .slack = kSlack,
                                         .optimality = true};
        };
        const kernels::MeasureArgs<T> sides[] = {args(one), args(two)};
        Measures got[2];
        kernels::measure<T>(sides, got, exec);
        for (const int k : {0, 1}) {
          const Side<T>& in = k == 0 ? one : two;
          const Exact<T> want(in, penalty, kEps, kScale, kSlack);
          ASSERT_NEAR(got[k].log_mass, std::log(static_cast<double>(want.mass)),
                      close(1, n) + 1e-14);
          ASSERT_NEAR(got[k].dual, static_cast<double>(want.dual), close(want.size, n));
          ASSERT_NEAR(got[k].residual, static_cast<double>(want.residual), close(want.residual, n));
          if (std::isinf(want.gap))
            ASSERT_EQ(got[k].gap, kInf);
          else
            ASSERT_NEAR(got[k].gap, static_cast<double>(want.gap),
                        close(want.size + std::abs(want.gap) + want.residual, n));
        }
        Measures again[2];
        kernels::measure<T>(sides, again, exec);
        ASSERT_EQ(again[1].log_mass, got[1].log_mass);
        ASSERT_EQ(again[1].dual, got[1].dual);
      }
  });
}

TYPED_TEST(Update, APlanThatUnderflowsHasALogarithm) {
  using T = TypeParam;
  testing::on_every_device([&] {
    Side<T> in(100, 3);
    for (double& s : in.s) s += 1e4;
    Placed on;
    Exec exec = on.exec();
    const kernels::MeasureArgs<T> args{.f = on.in(in.f),
                                       .s = on.in(in.s),
                                       .weight = in.placed_weight(on),
                                       .penalty = {},
                                       .eps = 1};
    Measures got;
    kernels::measure<T>({&args, 1}, &got, exec);
    EXPECT_LT(got.log_mass, -9e3);
    EXPECT_TRUE(std::isfinite(got.log_mass));
  });
}

// p = e^711 a, which is a number, where e^711 is none.
TYPED_TEST(Update, AWeightNearTheLeastNumberMayCarryMass) {
  using T = TypeParam;
  constexpr double kFar = 711;
  testing::on_every_device([&] {
    for (const Penalty& penalty : penalties()) {
      const std::vector<T> weight{std::numeric_limits<T>::min(), T(0.5)};
      const std::vector<double> f{0.2, 0.1}, s{0.2 - kFar, 0.1};
      Placed on;
      Exec exec = on.exec();
      const kernels::MeasureArgs<T> args{.f = on.in(f),
                                         .s = on.in(s),
                                         .weight = {on.in(weight), 2, 1, testing::current_device()},
                                         .penalty = penalty,
                                         .eps = 1,
                                         .slack = 1e-5,
                                         .optimality = true};
      Measures got;
      kernels::measure<T>({&args, 1}, &got, exec);
      Real mass = 0, residual = 0, gap = 0;
      for (int i = 0; i < 2; ++i) {
        const Real z = (f[i] - s[i]) / args.eps, target = std::exp(penalty.log_target(f[i])),
                   p = weight[i] * std::exp(z), q = weight[i] * target;
        mass += p;
        residual += std::abs(p - q);
        if (penalty.kind == Kind::kl)
          gap += penalty.strength * (p * (z - std::log(target)) - p + q);
        if (penalty.kind == Kind::tv) gap += f[i] * (p - q) + penalty.strength * std::abs(p - q);
      }
      EXPECT_NEAR(got.log_mass, static_cast<double>(std::log(mass)), 1e-12);
      EXPECT_NEAR(got.residual, static_cast<double>(residual), 1e-12 * residual);
      if (penalty.kind == Kind::kl || penalty.kind == Kind::tv)
        EXPECT_NEAR(got.gap, static_cast<double>(gap), 1e-12 * gap);
      else
        EXPECT_EQ(got.gap, kInf);
    }
  });
}

TYPED_TEST(Update, WithoutASoftminOnlyTheDualIsKnown) {
  using T = TypeParam;
  testing::on_every_device([&] {
    const Side<T> in(50, 4);
    Placed on;
    Exec exec = on.exec();
    const kernels::MeasureArgs<T> args{.f = on.in(in.f),
                                       .s = nullptr,
                                       .weight = in.placed_weight(on),
                                       .penalty = {Kind::kl, 2, 0}};
    Measures got;
    kernels::measure<T>({&args, 1}, &got, exec);
    const Exact<T> want(in, args.penalty, 1, 0, 0);
    EXPECT_EQ(got.log_mass, -kInf);
    EXPECT_NEAR(got.dual, static_cast<double>(want.dual), close(want.size, 50));
  });
}

template <class T>
std::vector<double> stepped(const Side<T>& in, const Penalty& penalty, double eps, double omega) {
  std::vector<double> f = in.f;
  Placed on;
  Exec exec = on.exec();
  kernels::half_step<T>({.s = on.in(in.s),
                         .f = on.out(f),
                         .weight = in.placed_weight(on),
                         .mass = in.mass,
                         .penalty = penalty,
                         .eps = eps,
                         .omega = omega},
                        exec);
  on.finish();
  return f;
}

// At this epsilon a step of 1.2 from nearby raises the dual: none is replaced.
TYPED_TEST(Update, HalfStepsFollowTheirFormula) {
  using T = TypeParam;
  constexpr double kEps = 10;
  testing::on_every_device([&] {
    for (const std::int64_t n : sizes())
      for (const Penalty& penalty : penalties())
        for (const double omega : {0.5, 1.0, 1.2}) {
          Side<T> in(n, 5);
          if (penalty.kind == Kind::balanced &&
              n > 9)  // such a point is refused on a balanced side
            in.s[9] = 0.5, in.f[9] = 0.25;
          for (double& f : in.f) f = penalty.feasible(f);
          const auto got = stepped(in, penalty, kEps, omega);
          for (std::int64_t i = 0; i < n; ++i) {
            const double target = penalty.prox(in.s[i], kEps);
            const double relaxed = penalty.feasible(in.f[i] + omega * (target - in.f[i]));
            const double want = omega == 1 || !std::isfinite(relaxed) ? target : relaxed;
            if (std::isinf(want)) {
              ASSERT_EQ(got[i], want);
            } else {
              ASSERT_NEAR(got[i], want, 1e-15) << omega << " " << i;
            }
          }
        }
  });
}

// From f = s - 3 eps, omega = 1.99 overshoots to s + 2.97 eps, where exp(2.97) eats the dual.
TYPED_TEST(Update, AStepThatLowersTheDualIsReplaced) {
  using T = TypeParam;
  constexpr double kEps = 0.2;
  testing::on_every_device([&] {
    for (const std::int64_t n : {40, 9000}) {
      Side<T> in(n, 6);
      in.s[9] = 0.5;
      for (std::int64_t i = 0; i < n; ++i) in.f[i] = in.s[i] - 3 * kEps;
      EXPECT_EQ(stepped(in, Penalty{}, kEps, 1.99), stepped(in, Penalty{}, kEps, 1));
    }
  });
}

template <class T>
Real log_sum(const Side<T>& in, double rho) {
  Real sum = 0;
  for (std::int64_t i = 0; i < in.size(); ++i)
    if (in.weight[i] > 0) sum += in.weight[i] * std::exp(-static_cast<Real>(in.f[i]) / rho);
  return std::log(sum);
}

template <class T>
kernels::MovedSide<T> moved(Placed& on, Side<T>& in, const Penalty& penalty) {
  return {on.out(in.f), on.out(in.s), in.placed_weight(on), in.mass, penalty};
}

void expect_moved(const std::vector<double>& got, const std::vector<double>& was, double by) {
  for (std::size_t i = 0; i < got.size(); ++i)
    if (std::isinf(was[i]))
      ASSERT_EQ(got[i], was[i]);
    else
      ASSERT_NEAR(got[i], was[i] + by, 1e-14 * (2 + std::abs(by)));
}

TYPED_TEST(Update, TranslationsTakeTheBestStep) {
  using T = TypeParam;
  const Penalty balanced, soft{Kind::kl, 0.7, 0}, softer{Kind::kl, 1.9, 0};
  testing::on_every_device([&] {
    for (const std::int64_t n : {1, 15, 8193})
      for (const auto& [lead, follow] :
           {std::pair{soft, softer}, {soft, balanced}, {balanced, softer}}) {
        Side<T> one(n, 7), two(n + 2, 8);
        for (double& f : one.f) f += 0.5;
        const Side<T> was_one = one, was_two = two;
        const auto target = [](const Side<T>& in, const Penalty& penalty) {
          return penalty.kind == Kind::kl ? log_sum(in, penalty.strength)
                                          : std::log(static_cast<Real>(in.mass));
        };
        const double a = lead.strength, b = follow.strength;
        const double rate = a == 0 ? b : b == 0 ? a : a * b / (a + b);
        const auto by = static_cast<double>(rate * (target(one, lead) - target(two, follow)));
        Placed on;
        Exec exec = on.exec();
        kernels::translate<T>({moved(on, one, lead), moved(on, two, follow)}, exec);
        on.finish();
        expect_moved(one.f, was_one.f, by);
        expect_moved(two.f, was_two.f, -by);
        expect_moved(one.s, was_one.s, by);
        expect_moved(two.s, was_two.s, -by);
      }
  });
}

TYPED_TEST(Update, TheMassStepMeetsTheMass) {
  using T = TypeParam;
  constexpr double kEps = 0.3, kMass = 5;
  const Penalty capped{Kind::capped, 0, 99};  // the level is read from where the data are
  testing::on_every_device([&] {
    for (const std::int64_t n : {1, 15, 8193}) {
      Side<T> one(n, 9), two(n + 2, 10);
      const Side<T> was_one = one, was_two = two;
      const Exact<T> exact(two, Penalty{}, kEps, 0, 0);
      const double by = kEps / 2 * (std::log(kMass) - std::log(static_cast<double>(exact.mass)));
      std::vector<double> level{0.25};
      Placed on;
      Exec exec = on.exec();
      kernels::match_mass<T>(
          {moved(on, one, capped), moved(on, two, capped), kEps, kMass, on.out(level)}, exec);
      on.finish();
      expect_moved(one.f, was_one.f, by);
      expect_moved(two.f, was_two.f, by);
      expect_moved(one.s, was_one.s, -by);
      expect_moved(two.s, was_two.s, -by);
      EXPECT_NEAR(level[0], 0.25 + by, 1e-14);
    }
  });
}

TYPED_TEST(Update, TheLevelComesFromTheDevice) {
  using T = TypeParam;
  testing::on_every_device([&] {
    const Side<T> in(30, 11);
    std::vector<double> f = in.f;
    const std::vector<double> level{-0.125};
    Placed on;
    Exec exec = on.exec();
    const double* const at = on.in(level);
    kernels::half_step<T>({.s = on.in(in.s),
                           .f = on.out(f),
                           .weight = in.placed_weight(on),
                           .mass = in.mass,
                           .penalty = {Kind::capped, 0, 99},
                           .level = at,
                           .eps = 1,
                           .omega = 1},
                          exec);
    on.finish();
    for (std::int64_t i = 0; i < 30; ++i) EXPECT_EQ(f[i], std::min(in.s[i], level[0]));
    const kernels::MeasureArgs<T> args{.f = on.in(f),
                                       .s = on.in(in.s),
                                       .weight = in.placed_weight(on),
                                       .penalty = {Kind::capped, 0, 99},
                                       .level = at};
    Measures got;
    kernels::measure<T>({&args, 1}, &got, exec);
    EXPECT_EQ(got.level, level[0]);
  });
}

// Whether the step is plain, damped, relaxed, or relaxed and taken back.
TYPED_TEST(Update, AStepBringsTheBiasOfItsResult) {
  using T = TypeParam;
  testing::on_every_device([&] {
    for (const std::int64_t n : {1, 16, 17, 2048, 9001}) {
      for (const double omega : {0.5, 1.0, 1.5, 1e6}) {
        const Side<T> in(n, 13);
        std::vector<double> log_weight(n), f(in.f), h(kernels::padded(n), -7), want(h);
        Placed on;
        Exec exec = on.exec();
        double* const logs = on.out(log_weight);
        double* const potential = on.out(f);
        kernels::log_weights<T>({in.placed_weight(on), logs}, exec);
        kernels::half_step<T>({.s = on.in(in.s),
                               .f = potential,
                               .weight = in.placed_weight(on),
                               .mass = in.mass,
                               .penalty = {},
                               .eps = 0.3,
                               .omega = omega,
                               .log_weight = logs,
                               .h = on.out(h)},
                              exec);
        kernels::bias<double>({potential, logs, n, 0.3, on.out(want)}, exec);
        on.finish();
        ASSERT_EQ(h, want) << n << ", omega " << omega;
      }
    }
  });
}

TYPED_TEST(Update, BiasesAreRoundedOnceAndPadded) {
  using T = TypeParam;
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  testing::on_every_device([&] {
    for (const std::int64_t n : {1, 16, 17, 9001}) {
      const Side<T> in(n, 12);
      std::vector<double> log_weight(n, -7);
      std::vector<T> h(kernels::padded(n), T(-7));
      Placed on;
      Exec exec = on.exec();
      double* const logs = on.out(log_weight);
      kernels::log_weights<T>({in.placed_weight(on), logs}, exec);
      kernels::bias<T>({on.in(in.f), logs, n, 0.3, on.out(h)}, exec);
      on.finish();
      for (std::int64_t j = 0; j < std::ssize(h); ++j) {
        if (j >= n || in.weight[j] == 0 || std::isinf(in.f[j])) {
          ASSERT_EQ(h[j], kNone) << j;
          continue;
        }
        const double log_b = std::log(static_cast<double>(in.weight[j]));
        ASSERT_NEAR(log_weight[j], log_b, 1e-15 * (1 + std::abs(log_b)));
        const double want = in.f[j] + 0.3 * log_b;
        ASSERT_NEAR(h[j], want, std::numeric_limits<T>::epsilon() * (1 + std::abs(want)));
      }
    }
  });
}
}  // namespace
}  // namespace monge
