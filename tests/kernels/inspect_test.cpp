// What inspect and pack report and write, against plain loops, on every device and for any strides.
#include "kernels/inspect.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/vectors.hpp"
#include "kernels/pack.hpp"
#include "support/devices.hpp"
#include "support/problems.hpp"

namespace monge {
namespace {
using testing::Placed;

constexpr double kInf = std::numeric_limits<double>::infinity();

template <class T>
class Inspect : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Inspect, Scalars);

/// Points row-major or column-major, and weights with zeros.
template <class T>
struct Cloud {
  std::int64_t n, d;
  bool by_rows;
  std::vector<T> values, weight;

  Cloud(std::int64_t n, std::int64_t d, bool by_rows)
      : n(n),
        d(d),
        by_rows(by_rows),
        values(testing::random_vector<T>(n * d, 1, 0, -1, 3)),
        weight(testing::random_vector<T>(n, 1, 1, 0.5, 1)) {
    for (std::int64_t i = 0; i + 1 < n; i += 3) weight[i] = 0;
  }
  T& at(std::int64_t i, std::int64_t k) { return values[by_rows ? i * d + k : k * n + i]; }
  MatrixView<const T> points(Placed& on) const {
    return {on.in(values), n, d, by_rows ? d : 1, by_rows ? 1 : n, testing::current_device()};
  }
  VectorView<const T> weights(Placed& on) const {
    return {on.in(weight), n, 1, testing::current_device()};
  }
};

TYPED_TEST(Inspect, BoxesAndSumsAreThoseOfThePointsThatCount) {
  using T = TypeParam;
  testing::on_every_device([&] {
    for (const bool by_rows : {true, false})
      for (const auto& [n, d] : {std::pair<std::int64_t, std::int64_t>{1, 1},
                                 {2, 3},
                                 {17, 5},
                                 {1000, 2},
                                 {5000, 70},
                                 {70000, 3}})
        for (const bool unit : {false, true}) {
          Cloud<T> in(n, d, by_rows);
          Placed on;
          Exec exec = on.exec();
          const auto got = kernels::inspect<T>(
              {.points = in.points(on), .weight = in.weights(on), .unit_length = unit}, exec);
          ASSERT_EQ(got.bad, -1);
          ASSERT_EQ(got.undirected, -1);
          std::int64_t count = 0, first = -1;
          std::vector<long double> sum(d, 0), size(d, 0);
          std::vector<double> low(d, kInf), high(d, -kInf), all_low(d, kInf), all_high(d, -kInf);
          const auto factor = [&](std::int64_t i) {
            double square = 0;
            for (std::int64_t k = 0; k < d; ++k)
              square += static_cast<double>(in.at(i, k)) * in.at(i, k);
            return unit ? 1 / std::sqrt(square) : 1.0;
          };
          for (std::int64_t i = 0; i < n; ++i) {
            const bool counts = in.weight[i] > 0;
            count += counts;
            if (counts && first < 0) first = i;
            const double scale = factor(i);
            for (std::int64_t k = 0; k < d; ++k) {
              const double v = in.at(i, k);
              all_low[k] = std::min(all_low[k], v);
              all_high[k] = std::max(all_high[k], v);
              if (!counts) continue;
              low[k] = std::min(low[k], v);
              high[k] = std::max(high[k], v);
              sum[k] += scale * v - static_cast<long double>(got.origin[k]);
              size[k] += std::abs(scale * v) + std::abs(got.origin[k]);
            }
          }
          ASSERT_EQ(got.count, count);
          ASSERT_EQ(got.low, low);
          ASSERT_EQ(got.high, high);
          ASSERT_EQ(got.all_low, all_low);
          ASSERT_EQ(got.all_high, all_high);
          for (std::int64_t k = 0; k < d; ++k) {
            ASSERT_NEAR(got.origin[k], factor(first) * in.at(first, k), 1e-14);
            ASSERT_NEAR(got.sum[k], static_cast<double>(sum[k]),
                        1.2e-16 * static_cast<double>(size[k] * (n + d + 16)));
          }
        }
  });
}

TYPED_TEST(Inspect, TheFirstBadEntryIsNamed) {
  using T = TypeParam;
  testing::on_every_device([&] {
    for (const bool by_rows : {true, false}) {
      Cloud<T> in(5000, 4, by_rows);
      in.at(4100, 1) = std::numeric_limits<T>::infinity();
      in.at(4100, 3) = std::numeric_limits<T>::quiet_NaN();
      in.at(4999, 0) = -std::numeric_limits<T>::infinity();
      Placed on;
      Exec exec = on.exec();
      EXPECT_EQ(kernels::inspect<T>({.points = in.points(on), .weight = {}}, exec).bad,
                4100 * 4 + 1);
    }
  });
}

TYPED_TEST(Inspect, TheFirstPointWithoutDirectionIsNamed) {
  using T = TypeParam;
  testing::on_every_device([&] {
    Cloud<T> in(300, 2, true);
    for (const std::int64_t i : {3, 40, 41})  // 3 has weight 0
      for (const int k : {0, 1}) in.at(i, k) = 0;
    Placed on;
    Exec exec = on.exec();
    const auto undirected = [&](bool weighted) {
      return kernels::inspect<T>(
                 {in.points(on), weighted ? in.weights(on) : VectorView<const T>(), true}, exec)
          .undirected;
    };
    EXPECT_EQ(undirected(true), 40);
    EXPECT_EQ(undirected(false), 3);
  });
}

TYPED_TEST(Inspect, WeightsAreSummedWithCompensation) {
  using T = TypeParam;
  testing::on_every_device([&] {
    for (const std::int64_t n : {1, 100, 300000}) {
      auto weight = testing::random_vector<T>(n, 3, 0);
      long double want = 0;
      for (const T w : weight) want += w;
      const auto report = [&] {
        Placed on;
        Exec exec = on.exec();
        return kernels::inspect<T>(
            {.points = {nullptr, n, 0}, .weight = {on.in(weight), n, 1, testing::current_device()}},
            exec);
      };
      EXPECT_EQ(report().bad_weight, -1);
      EXPECT_EQ(report().count,
                std::count_if(weight.begin(), weight.end(), [](T w) { return w > 0; }));
      EXPECT_NEAR(report().mass, static_cast<double>(want), 1e-15 * static_cast<double>(want));
      if (n < 100) continue;
      weight[n - 1] = std::numeric_limits<T>::quiet_NaN();
      EXPECT_EQ(report().bad_weight, n - 1);
      weight[n / 2] = -1;
      EXPECT_EQ(report().bad_weight, n / 2);
    }
  });
}

TYPED_TEST(Inspect, MatricesAreBoundedOverPairsThatCount) {
  using T = TypeParam;
  testing::on_every_device([&] {
    for (const bool by_rows : {true, false})
      for (const auto& [n, m] :
           {std::pair<std::int64_t, std::int64_t>{1, 1}, {3, 400}, {400, 3}, {130, 257}}) {
        Cloud<T> in(n, m, by_rows);
        auto a = in.weight, b = testing::random_vector<T>(m, 4, 0);
        for (std::int64_t j = 0; j < m; ++j) {
          if (j % 4 == 1) b[j] = 0;
          for (std::int64_t i = 0; i < n; ++i)
            if ((i + 2 * j) % 5 == 3) in.at(i, j) = std::numeric_limits<T>::infinity();
        }
        std::vector<double> rows(n, kInf), cols(m, kInf);
        double least = kInf, most = -kInf, needed = -kInf;
        bool forbids = false;
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t j = 0; j < m; ++j) {
            const double c = in.at(i, j);
            forbids = forbids || std::isinf(c);
            if (!(a[i] > 0 && b[j] > 0) || std::isinf(c)) continue;
            least = std::min(least, c);
            most = std::max(most, c);
            rows[i] = std::min(rows[i], c);
            cols[j] = std::min(cols[j], c);
          }
        for (const auto* minima : {&rows, &cols})
          for (const double c : *minima)
            if (std::isfinite(c)) needed = std::max(needed, c);
        const Device device = testing::current_device();
        std::vector<T> all_a(n, T(1)), all_b(m, T(1));
        const auto report = [&](bool weighted) {
          Placed on;
          Exec exec = on.exec();
          kernels::InspectMatrixArgs<T> args{in.points(on), {}, {}};
          if (weighted) args.a = {on.in(a), n, 1, device}, args.b = {on.in(b), m, 1, device};
          return kernels::inspect<T>(args, exec);
        };
        const auto of_all = report(false);  // as with weights that all count
        std::swap(a, all_a), std::swap(b, all_b);
        const auto of_ones = report(true);
        std::swap(a, all_a), std::swap(b, all_b);
        EXPECT_EQ(of_all.least, of_ones.least);
        EXPECT_EQ(of_all.most, of_ones.most);
        EXPECT_EQ(of_all.needed, of_ones.needed);
        EXPECT_LE(of_all.least, least);
        EXPECT_GE(of_all.most, most);
        const auto got = report(true);
        EXPECT_EQ(got.bad, -1);
        EXPECT_EQ(got.forbids, forbids);
        EXPECT_EQ(got.least, least);
        EXPECT_EQ(got.most, most);
        EXPECT_EQ(got.needed, needed);
        EXPECT_EQ(report(false).forbids, forbids);
        in.at(n - 1, m - 1) = std::numeric_limits<T>::quiet_NaN();
        EXPECT_EQ(report(false).bad, n * m - 1);
        in.at(0, m / 2) = -std::numeric_limits<T>::infinity();
        EXPECT_EQ(report(true).bad, m / 2);
      }
  });
}

// What is inspected together is reported as it is alone, whatever its neighbour is like.
TYPED_TEST(Inspect, SetsAreReportedOneByOne) {
  using T = TypeParam;
  testing::on_every_device([&] {
    Cloud<T> first(3000, 3, true), second(70, 40, false), bare(9000, 1, true);
    second.weight[69] = T(-1);
    Placed on;
    Exec exec = on.exec();
    const kernels::InspectPointsArgs<T> all[] = {
        {first.points(on), first.weights(on), true},
        {second.points(on), second.weights(on), false},
        {{nullptr, bare.n, 0}, bare.weights(on), false},
        {},
    };
    for (const auto& one : all)
      for (const auto& two : all) {
        const kernels::InspectPointsArgs<T> sets[] = {one, two};
        kernels::PointsReport got[2];
        kernels::inspect<T>(sets, got, exec);
        for (int s = 0; s < 2; ++s) {
          const auto want = kernels::inspect<T>(sets[s], exec);
          EXPECT_EQ(got[s].bad, want.bad);
          EXPECT_EQ(got[s].bad_weight, want.bad_weight);
          EXPECT_EQ(got[s].count, want.count);
          EXPECT_EQ(got[s].mass, want.mass);
          EXPECT_EQ(got[s].low, want.low);
          EXPECT_EQ(got[s].all_high, want.all_high);
          EXPECT_EQ(got[s].origin, want.origin);
          EXPECT_EQ(got[s].sum, want.sum);
        }
      }
    EXPECT_EQ(kernels::inspect<T>(all[1], exec).bad_weight, 69);
    EXPECT_EQ(kernels::inspect<T>(all[3], exec).count, 0);
  });
}

// Bit for bit: one rounding of a double difference, and a norm in the order that Panels states.
TYPED_TEST(Inspect, PanelsHoldRoundedDifferences) {
  using T = TypeParam;
  testing::on_every_device([&] {
    for (const bool by_rows : {true, false})
      for (const auto& [n, d] :
           {std::pair<std::int64_t, std::int64_t>{1, 1}, {16, 3}, {17, 4}, {1000, 70}})
        for (const bool unit : {false, true}) {
          Cloud<T> in(n, d, by_rows);
          if (unit && n > 5)
            for (std::int64_t k = 0; k < d; ++k) in.at(5, k) = 0;
          const auto center = testing::random_vector<double>(d, 5, 0);
          const std::int64_t padded = kernels::padded(n);
          const std::int64_t summed = testing::current_device().is_cuda() ? d : monge::cpu::kSummed;
          std::vector<T> data(padded * d, T(-7)), norms(padded, T(-7)), lengths(n, T(-7));
          Placed on;
          Exec exec = on.exec();
          kernels::pack<T>({.points = in.points(on),
                            .center = on.in(center),
                            .unit_length = unit,
                            .data = on.out(data),
                            .norms = on.out(norms),
                            .inverse_length = unit ? on.out(lengths) : nullptr},
                           exec);
          on.finish();
          for (std::int64_t i = 0; i < padded; ++i) {
            T norm = 0, part = 0;  // in parts, on a CPU
            double factor = 1, square = 0;
            for (std::int64_t k = 0; i < n && k < d; ++k)
              square += static_cast<double>(in.at(i, k)) * in.at(i, k);
            if (unit) factor = 1 / std::sqrt(square);
            for (std::int64_t k = 0; k < d; ++k) {
              const T got = data[(i / 16 * d + k) * 16 + i % 16];
              if (i >= n) {
                ASSERT_EQ(got, T(0));
                continue;
              }
              const double raw = square > 0 ? factor * in.at(i, k) : (k == 0 ? 1.0 : 0.0);
              const double want = raw - center[k];
              if (unit)
                ASSERT_NEAR(got, want, std::numeric_limits<T>::epsilon() * 2);
              else
                ASSERT_EQ(got, static_cast<T>(want));
              part = std::fma(got, got, part);
              if (k + 1 < d && (k + 1) % summed != 0) continue;
              norm += part;
              part = 0;
            }
            ASSERT_EQ(norms[i], norm) << i;
            if (unit && i < n) {
              if (square > 0)
                ASSERT_NEAR(lengths[i], factor,
                            (std::numeric_limits<T>::epsilon() + 1e-16 * (d + 4)) * factor);
              else
                ASSERT_EQ(lengths[i], T(0));
            }
          }
        }
  });
}
}  // namespace
}  // namespace monge
