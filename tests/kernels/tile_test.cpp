#include "cpu/tile.hpp"

#include <gtest/gtest.h>

#include "kernels/math.hpp"
#include "reference/weights.hpp"
#include "support/kernel_case.hpp"
#include "support/on_targets.hpp"

namespace monge {
namespace {
using cpu::kTileRows;
using kernels::Form;
using kernels::kColumnBlock;
using reference::Real;

template <class T>
class Tile : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Tile, Scalars);

constexpr double kUntouched = -12345;

template <class T>
struct Buffers {
  alignas(64) T weights[kTileRows * kColumnBlock], costs[kTileRows * kColumnBlock];
  alignas(64) T scores[kTileRows * kColumnBlock], slopes[kTileRows * kColumnBlock];
  alignas(64) T again[kTileRows * kColumnBlock], once_more[kTileRows * kColumnBlock];
  Buffers() {
    for (T* buffer : {weights, costs, scores, slopes, again, once_more})
      std::fill_n(buffer, kTileRows * kColumnBlock, T(kUntouched));
  }
};

// Every tile of the case, `tile_rows` rows at a time, against long double.
template <class T>
void check_case(const testing::CaseOptions& options, int tile_rows) {
  const testing::KernelCase<T> in(options);
  SCOPED_TRACE(in.name());
  const auto p = in.pairs();
  const auto tiles = cpu::tile_functions<T>();
  const cpu::TileArgs<T> args{p, in.h.data(), in.shift.data(), in.eps};
  const bool sloped = p.form == Form::squared || p.form == Form::distance || p.form == Form::power;
  for (std::int64_t i0 = 0; i0 < p.n; i0 += tile_rows)
    for (std::int64_t j0 = 0; j0 < p.m; j0 += kColumnBlock) {
      const int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, p.n - i0));
      const int columns =
          static_cast<int>(std::min<std::int64_t>(kColumnBlock, kernels::padded(p.m) - j0));
      Buffers<T> b;
      tiles.weights(args, i0, rows, j0, columns, b.weights);
      tiles.costs(args, i0, rows, j0, columns, b.costs);
      tiles.scores(args, i0, rows, j0, columns, b.scores);
      tiles.weights_of_costs(args, i0, rows, j0, columns, b.costs, b.again);
      tiles.weights_of_scores(args, i0, rows, j0, columns, b.scores, b.once_more);
      if (sloped) tiles.slopes(args, i0, rows, j0, columns, b.slopes);
      for (int r = 0; r < kTileRows; ++r)
        for (int t = 0; t < kColumnBlock; ++t) {
          const int at = r * kColumnBlock + t;
          if (r >= rows || t >= columns) {
            for (const T* buffer : {b.weights, b.costs, b.scores, b.again, b.once_more, b.slopes})
              ASSERT_EQ(buffer[at], T(kUntouched));
            continue;
          }
          const std::int64_t i = i0 + r, j = j0 + t;
          if (j >= p.m) {
            ASSERT_EQ(b.weights[at], 0);
            ASSERT_TRUE(std::isfinite(b.costs[at]));
            ASSERT_EQ(b.scores[at], -std::numeric_limits<T>::infinity());
            continue;
          }
          const Real c = reference::cost(p, i, j), error = reference::cost_error(p, i, j, c);
          if (std::isinf(c)) {
            ASSERT_EQ(b.costs[at], std::numeric_limits<T>::infinity());
            ASSERT_EQ(b.weights[at], 0);
            continue;
          }
          ASSERT_NEAR(b.costs[at], c, error);
          const auto pair = reference::pair(
              cpu::TileArgs<T>{
                  .pairs = p, .h = in.h.data(), .shift = in.shift.data(), .eps = in.eps},
              i, j);
          const Real weight_error = pair.weight * pair.weight_error + std::numeric_limits<T>::min();
          ASSERT_NEAR(b.weights[at], pair.weight, weight_error);
          if (cpu::is_direct(p)) {
            ASSERT_NEAR(b.again[at], b.weights[at], 2 * weight_error);
          } else {
            ASSERT_EQ(b.again[at], b.weights[at]);
          }
          ASSERT_NEAR(b.once_more[at], b.weights[at], 2 * weight_error);
          if (std::isinf(in.h[j])) {
            ASSERT_EQ(b.scores[at], in.h[j]);
          } else {
            const Real roundings = (p.rows.dim + 1) * std::numeric_limits<T>::epsilon() / 2;
            ASSERT_NEAR(b.scores[at], in.h[j] - c,
                        error + roundings * (std::abs(in.h[j]) + std::abs(c)));
          }
          if (!sloped) continue;
          const Real s = reference::squared_distance(p, i, j);
          const Real slope = kernels::slope_of_squared<Real>(p.form, p.scale, p.power, s);
          // cost / s has the relative error of the cost and of s, twice over for roots.
          const Real u = std::numeric_limits<T>::epsilon() / 2;
          const Real bound = c > 0 ? 2 * error / c + 8 * u * (p.rows.dim + 4) : 0;
          ASSERT_NEAR(b.slopes[at], slope, bound * std::abs(slope));
        }
    }
}

TYPED_TEST(Tile, MatchesReferenceOnEveryTarget) {
  testing::on_every_target([] {
    for (testing::CaseOptions options : testing::all_forms())
      for (const auto& [n, m, dim] :
           {std::tuple{1, 1, 1}, {9, 17, 2}, {16, 257, 3}, {8, 300, 4}, {11, 40, 37}})
        for (const double eps : {1e-2, 10.0}) {
          options.n = n, options.m = m, options.dim = dim, options.eps = eps;
          check_case<TypeParam>(options, kTileRows);
          check_case<TypeParam>(options, 1);
        }
  });
}
}  // namespace
}  // namespace monge
