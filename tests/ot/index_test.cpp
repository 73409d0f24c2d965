// Arrays of more than 2^31 values on a GPU: points on either side, results on sampled rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/entries.hpp"
#include "monge/core/random.hpp"
#include "ot/arrays.hpp"
#include "ot/operator.hpp"
#include "support/devices.hpp"

namespace monge {
namespace {
constexpr std::int64_t kFew = 64;

Buffer<float> uniform(std::int64_t count, std::uint64_t seed) {
  Buffer<float> out(count);
#pragma omp parallel for
  for (std::int64_t e = 0; e < count; ++e) out[e] = static_cast<float>(philox_uniform(seed, 0, e));
  return out;
}

// n d = 2^31 + d at least, so that the last point lies beyond what 32 bits count.
class Indices : public ::testing::TestWithParam<int> {
 protected:
  Indices() : dim(GetParam()), n((std::int64_t{1} << 31) / dim + 1) {}

  double cost(std::int64_t i, std::int64_t j) const {
    double sum = 0;
    for (int k = 0; k < dim; ++k) sum += std::pow(double{many[i * dim + k]} - few[j * dim + k], 2);
    return sum;
  }

  const int dim;
  const std::int64_t n;
  Buffer<float> many, few;
};

TEST_P(Indices, BeyondTwoToThe31) {
  const Device gpu = testing::devices().back();
  if (!gpu.is_cuda()) GTEST_SKIP() << "no GPU here";
  // Points, panels and halves, potentials and results of the large side.
  try {
    const Buffer<float> room((4 * dim + 12) * n, gpu);
  } catch (const DeviceError& error) {
    GTEST_SKIP() << error.what();
  }
  many = uniform(n * dim, 1);
  few = uniform(kFew * dim, 2);
  const double eps = 0.1 * dim;
  Exec exec;
  exec.device = gpu;
  Buffer<float> x = many.to(gpu);
  const Buffer<float> y = few.to(gpu);
  const MatrixView<const float> large(x.data(), n, dim, dim, 1, gpu);
  const MatrixView<const float> small(y.data(), kFew, dim, dim, 1, gpu);

  const std::vector<std::int64_t> sampled{0, 1, n / 2, n - 2, n - 1};
  const Problem<float> problem(PointCloud<float>{large, small}, {}, {}, KL{1}, KL{1});
  const Operator<float> op(problem);
  // A score is off by the rounding of its cost, at most 8 (d + 4) u of the largest.
  const double tolerance = 8 * (dim + 4) * 0x1p-24 * dim;

  {  // many rows
    Buffer<float> h(kernels::padded(kFew), 0.0F);
    Buffer<double> out(n, gpu);
    const auto on = h.to(gpu);
    const auto bias = widened(on, exec);
    op.softmin(Side::source, bias.data(), nullptr, out.data(), eps, exec);
    op.softmin(Side::source, bias.data(), out.data(), out.data(), eps, exec);
    Buffer<float> pulled(n * dim, gpu), shift(n, gpu);
    kernels::each(kernels::RoundArgs<float>{out.data(), shift.data()}, n, exec);
    op.pull(Side::source, on.data(), shift.data(), pulled.data(), eps, exec);
    for (const std::int64_t i : sampled) {
      double sum = 0, gradient = 0;
      for (std::int64_t j = 0; j < kFew; ++j) {
        const double weight = std::exp(-cost(i, j) / eps);
        sum += weight;
        gradient += weight * 2 * (double{many[i * dim + dim - 1]} - few[j * dim + dim - 1]);
      }
      double got = 0;
      float got_gradient = 0;
      copy(&got, Device{}, out.data() + i, gpu, sizeof got);
      copy(&got_gradient, Device{}, pulled.data() + i * dim + dim - 1, gpu, sizeof got_gradient);
      EXPECT_NEAR(got, -eps * std::log(sum), tolerance) << i;
      EXPECT_NEAR(got_gradient, gradient / sum, 2 * (std::expm1(2 * tolerance / eps) + 1e-5)) << i;
    }
  }
  {  // many columns
    Buffer<float> h = filled(kernels::padded(n), 0.0F, exec);
    const std::vector<float> none(kernels::padded(n) - n, -std::numeric_limits<float>::infinity());
    copy(h.data() + n, gpu, none.data(), Device{}, std::ssize(none) * std::int64_t{sizeof(float)});
    Buffer<double> out(kFew, gpu);
    op.softmin(Side::target, widened(h, exec).data(), nullptr, out.data(), eps, exec);
    const auto got = out.to(Device{});
    for (const std::int64_t j : {std::int64_t{0}, kFew - 1}) {
      double sum = 0;
#pragma omp parallel for reduction(+ : sum)
      for (std::int64_t i = 0; i < n; ++i) sum += std::exp(-cost(i, j) / eps);
      EXPECT_NEAR(got[j], -eps * std::log(sum), tolerance) << j;
    }
    // The nearest is known: a point moved onto the first of the few, and it is the last.
    copy(x.data() + (n - 1) * dim, gpu, few.data(), Device{}, dim * std::int64_t{sizeof(float)});
    const Problem<float> moved(PointCloud<float>{large, small}, {}, {}, KL{1}, KL{1});
    Buffer<std::int64_t> columns(kFew, gpu);
    Buffer<float> weights(kFew, gpu), zero = filled(kFew, 0.0F, exec);
    Buffer<double> best(kFew, gpu);
    Operator<float>(moved).top_k(Side::target, h.data(), zero.data(), 1, columns.data(),
                                 weights.data(), best.data(), 1e-3, exec);
    EXPECT_EQ(columns.to(Device{})[0], n - 1);
  }
}
INSTANTIATE_TEST_SUITE_P(Dimensions, Indices, ::testing::Values(3, 64));
}  // namespace
}  // namespace monge
