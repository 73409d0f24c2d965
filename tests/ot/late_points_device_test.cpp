// Points that a GPU keeps split alone (PackedPoints): every verb answers as on the CPU, those that
// read panels too, and a solver's sweeps do without.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ot/operator.hpp"
#include "ot/packing.hpp"
#include "support/devices.hpp"
#include "support/placed_clouds.hpp"

namespace monge {
namespace {
using testing::back;
using testing::placed;
using testing::PlacedClouds;

// 64 MiB of coordinates and a little more; the last chunk of coordinates is not a whole one.
constexpr std::int64_t kPoints = 29000, kOthers = 50;
constexpr int kDim = 600;
constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;

struct Answers {
  std::vector<double> cold, redone, warm, others;
  std::vector<float> mass, cost, gradient, products;
  std::vector<std::int64_t> best;
};

Answers answers(PlacedClouds<float>& in, double eps) {
  Exec& exec = in.exec;
  const Operator<float> op(in.problem);
  const auto shape = [&](std::int64_t size) {
    return std::vector<double>(size, -std::numeric_limits<double>::infinity());
  };
  const auto flat = [&](std::int64_t size) {
    auto h = shape(kernels::padded(size));
    for (std::int64_t j = 0; j < size; ++j) h[j] = 0.01 * static_cast<double>(j % 7);
    return placed(h, exec.device);
  };
  const auto g = flat(kOthers), f = flat(kPoints);
  Answers out;
  Buffer<double> softmin(kPoints, exec.device), other(kOthers, exec.device);
  op.softmin(Side::source, g.data(), nullptr, softmin.data(), eps, exec);
  out.cold = back(softmin);
  auto far = out.cold;
  for (double& value : far) value += 100 * eps;  // sums of e^-100 or so: below what sweeps take
  const auto shift = placed(far, exec.device);
  op.softmin(Side::source, g.data(), shift.data(), softmin.data(), eps, exec);
  out.redone = back(softmin);
  const auto expected = placed(out.cold, exec.device);
  op.softmin(Side::source, g.data(), expected.data(), softmin.data(), eps, exec);
  out.warm = back(softmin);
  op.softmin(Side::target, f.data(), nullptr, other.data(), eps, exec);
  out.others = back(other);

  const auto narrow = [&](const std::vector<double>& from) {
    return placed(std::vector<float>(from.begin(), from.end()), exec.device);
  };
  const auto h = narrow(back(g)), own = narrow(out.warm);
  Buffer<float> mass(kPoints, exec.device), cost(kPoints, exec.device),
      gradient(kPoints * kDim, exec.device), products(kPoints * 2, exec.device);
  op.pull(Side::source, h.data(), own.data(), gradient.data(), eps, exec, mass.data(), cost.data());
  out.gradient = back(gradient);
  out.mass = back(mass);
  out.cost = back(cost);
  const auto v = placed(testing::random_vector<float>(kOthers * 2, 8, -1), exec.device);
  op.apply(Side::source, h.data(), own.data(), kernels::Weighting::plain,
           MatrixView<const float>(v.data(), kOthers, 2, 2, 1, exec.device), products.data(), eps,
           exec);
  out.products = back(products);

  const auto read = [&] { return op.pairs(Side::source, exec).rows.data; };
  const float* const panels = read();
  EXPECT_NE(panels, nullptr);
  EXPECT_EQ(panels, read()) << "made twice";
  Buffer<std::int64_t> best(kPoints, exec.device);
  Buffer<float> weights(kPoints, exec.device);
  op.top_k(Side::source, h.data(), own.data(), 1, best.data(), weights.data(), softmin.data(), eps,
           exec);
  out.best = back(best);
  return out;
}

TEST(LatePoints, AnswerAsTheCPU) {
  if (testing::devices().size() == 1) GTEST_SKIP() << "no GPU here: panels are never late";
  const auto clouds = testing::random_clouds<float>(kPoints, kOthers, kDim, 21);
  constexpr double kEps = 5;  // costs are about 100
  Answers first;
  testing::on_every_device([&] {
    PlacedClouds<float> in(clouds, KL{1}, KL{1}, SquaredEuclidean{});
    const Answers got = answers(in, kEps);
    if (first.cold.empty()) first = got;
    const double most = Operator<float>(in.problem).max_cost();
    // A softmin of either kind, as in P3; a weight's error is that of its score.
    const double bound = 16 * kUnit * most, weight = 2 * bound / kEps;
    for (std::int64_t i = 0; i < kPoints; ++i) {
      ASSERT_NEAR(got.cold[i], first.cold[i], bound) << i;
      ASSERT_NEAR(got.redone[i], got.cold[i], bound) << i;
      ASSERT_NEAR(got.warm[i], got.cold[i], bound) << i;
      ASSERT_NEAR(got.mass[i], first.mass[i], weight) << i;
      ASSERT_NEAR(got.cost[i], first.cost[i], most * weight) << i;
      for (int k = 0; k < 2; ++k)
        ASSERT_NEAR(got.products[2 * i + k], first.products[2 * i + k], weight) << i;
      ASSERT_EQ(got.best[i], first.best[i]) << i;
    }
    for (std::int64_t j = 0; j < kOthers; ++j)
      ASSERT_NEAR(got.others[j], first.others[j], bound) << j;
    for (std::int64_t i = 0; i < kPoints * kDim; ++i)  // 2 (mass x - y) of coordinates below 1
      ASSERT_NEAR(got.gradient[i], first.gradient[i], 4 * weight) << i;
  });
}
}  // namespace
}  // namespace monge
