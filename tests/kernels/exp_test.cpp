// The exponentials, through the functions that use them: tiles of costs for the accurate one, the
// double results of softmin for the one of its hot loop.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/tile.hpp"
#include "kernels/softmin.hpp"
#include "support/on_targets.hpp"

namespace monge {
namespace {
constexpr double kLog2 = 0.693147180559945309417;

template <class T>
class Exponential : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Exponential, Scalars);

template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

// Every step-th number of either sign from the smallest to beyond the range of 2^z, and the edges.
template <class T>
std::vector<T> arguments(Bits<T> step) {
  const T range = std::numeric_limits<T>::max_exponent + 60;
  std::vector<T> out{0,
                     -T(0),
                     std::numeric_limits<T>::denorm_min(),
                     -std::numeric_limits<T>::infinity(),
                     std::numeric_limits<T>::infinity(),
                     std::numeric_limits<T>::lowest()};
  for (Bits<T> bits = 1; bits < std::bit_cast<Bits<T>>(range); bits += step) {
    out.push_back(std::bit_cast<T>(bits));
    out.push_back(-out.back());
  }
  // Integers and halves, where n changes, with their neighbours.
  for (T z = -range; z <= range; z += T(0.5))
    for (const T at : {std::nextafter(z, -range), z, std::nextafter(z, range)}) out.push_back(at);
  return out;
}

// 2^z in T, z in units of log 2: eps is 1 / log 2.
template <class T>
std::vector<T> exp2_of(const std::vector<T>& z) {
  const auto tiles = cpu::tile_functions<T>();
  alignas(64) T costs[cpu::kTileRows * kernels::kColumnBlock] = {};
  alignas(64) T h[kernels::kColumnBlock], weights[cpu::kTileRows * kernels::kColumnBlock];
  const T shift = 0;
  const cpu::TileArgs<T> args{.pairs = {}, .h = h, .shift = &shift, .eps = 1 / kLog2};
  std::vector<T> out;
  for (std::size_t first = 0; first < z.size(); first += kernels::kColumnBlock) {
    const std::size_t count = std::min<std::size_t>(kernels::kColumnBlock, z.size() - first);
    std::fill(std::copy_n(z.begin() + first, count, h), h + kernels::kColumnBlock, T(0));
    tiles.weights_of_costs(args, 0, 1, 0, kernels::kColumnBlock, costs, weights);
    out.insert(out.end(), weights, weights + count);
  }
  return out;
}

TYPED_TEST(Exponential, WithinItsUlpsOverItsWholeRange) {
  using T = TypeParam;
  const auto z = arguments<T>(sizeof(T) == 4 ? Bits<T>(4001) : static_cast<Bits<T>>(9000000000001));
  std::vector<long double> want;
  for (const T value : z) want.push_back(std::exp2(static_cast<long double>(value)));
  testing::on_every_target([&] {
    const auto got = exp2_of(z);
    long double worst = 0;
    for (std::size_t at = 0; at < z.size(); ++at) {
      if (want[at] <= std::numeric_limits<T>::min() / 2) {
        ASSERT_EQ(got[at], 0) << z[at];
      } else if (want[at] < std::numeric_limits<T>::min()) {
        ASSERT_LE(got[at], std::numeric_limits<T>::min()) << z[at];
      } else if (z[at] >= std::numeric_limits<T>::max_exponent) {
        ASSERT_EQ(got[at], std::numeric_limits<T>::infinity()) << z[at];
      } else if (z[at] < std::numeric_limits<T>::max_exponent - T(0.5) || !std::isinf(got[at])) {
        int exponent;
        std::frexp(want[at], &exponent);
        const long double ulp = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits);
        worst = std::max(worst, std::abs(got[at] - want[at]) / ulp);
      }
    }
    EXPECT_LE(worst, sizeof(T) == 4 ? 2.6L : 2.0L);  // as exp_sum-inl.hpp states
  });
}

// One column, so that softmin returns the logarithm of one exponential.
TYPED_TEST(Exponential, OfSoftminKeepsItsRelativeError) {
  using T = TypeParam;
  constexpr T kWindow = 55;  // inside which the sum is not redone
  std::vector<T> costs;
  for (T z = -kWindow; z <= kWindow; z += T(1.0 / 1024) + T(1e-5)) costs.push_back(z);
  std::vector<double> h(kernels::kPanel, -std::numeric_limits<double>::infinity());
  h[0] = 0;
  const std::int64_t n = static_cast<std::int64_t>(costs.size());
  const std::vector<double> shift(n, 0.0);
  kernels::Pairs<T> pairs;
  pairs.form = kernels::Form::matrix;
  pairs.matrix = costs.data();
  pairs.row_stride = pairs.col_stride = 1;
  pairs.n = n;
  pairs.m = 1;
  testing::on_every_target([&] {
    std::vector<double> out(n);
    Exec exec;
    kernels::softmin(kernels::SoftminArgs<T>{pairs, h.data(), shift.data(), out.data(), 1 / kLog2},
                     exec);
    double worst = 0;
    for (std::int64_t i = 0; i < n; ++i)
      worst = std::max(worst, std::abs(out[i] - costs[i]) * kLog2);
    // As exp_sum-inl.hpp states; in double log2 of the sum rounds as well.
    EXPECT_LE(worst, sizeof(T) == 4 ? 4.5e-7 : 5e-16 + kWindow * 0x1p-53);
  });
}

// |y|^p as the cost of a point at the origin. The square rounds, which counts p / 2 times, and so
// do the parts of its logarithm, whose error counts log(2) p / 2 times: a table's entry and a sum
// below 1 for AVX-512, a polynomial's last steps elsewhere; then the exponent, at most (p + 1) / 2
// beside its integer part, and the exponential as above. Constants bound what was rounded half a
// unit each.
TYPED_TEST(Exponential, PowersKeepTheirRelativeErrorOverTheirRange) {
  using T = TypeParam;
  constexpr int kCount = kernels::kColumnBlock, kRange = std::numeric_limits<T>::max_exponent;
  const T origin[kernels::kPanel] = {};
  alignas(64) T y[kCount], costs[cpu::kTileRows * kCount];
  for (const double power : {1.0, 1.3, 1.5, 2.7, 3.0, 4.0, 7.1}) {
    const T p = static_cast<T>(power);
    const double reach = 0.99 * kRange / std::max(power, 2.0);  // neither square nor cost leaves T
    y[0] = 0;
    for (int t = 1; t < kCount; ++t)
      y[t] = static_cast<T>(std::exp2(reach * (2.0 * t / kCount - 1)));
    y[kCount / 2] = std::nextafter(T(1), T(0));
    const cpu::TileArgs<T> args{.pairs = {.form = kernels::Form::power,
                                          .power = p,
                                          .rows = {origin, nullptr, 1, 1},
                                          .cols = {y, nullptr, kCount, 1},
                                          .n = 1,
                                          .m = kCount}};
    testing::on_every_target([&] {
      cpu::tile_functions<T>().costs(args, 0, 1, 0, kCount, costs);
      EXPECT_EQ(costs[0], 0);
      long double worst = 0;
      for (int t = 1; t < kCount; ++t) {
        const auto want = std::pow(static_cast<long double>(y[t]), static_cast<long double>(p));
        worst = std::max(worst, std::abs(costs[t] / want - 1));
      }
      const double u = std::numeric_limits<T>::epsilon() / 2;
      EXPECT_LE(worst, u * (7 + 2 * power)) << power;
    });
  }
}
}  // namespace
}  // namespace monge
