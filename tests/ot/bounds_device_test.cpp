// Lower bounds on a GPU: the plan of the CPU, and all that is asked of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "monge/ot/bounds.hpp"
#include "monge/ot/derivatives.hpp"
#include "monge/ot/plan.hpp"
#include "monge/ot/sinkhorn.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::back;
using testing::placed;

/// A problem with bounds on pairs that the plan would leave nearly empty, solved on
/// current_device().
struct Bounded {
  std::vector<std::int64_t> rows{3, 3, 7, 40, 61, 12}, columns{5, 70, 5, 0, 33, 71};
  std::vector<double> values{2e-3, 1e-3, 3e-3, 1e-3, 5e-3, 1e-9};
  testing::PlacedClouds<double> in;
  SinkhornResult<double> result;
  Plan<double> plan;

  explicit Bounded(const testing::Mixture& mix)
      : in(testing::random_clouds<double>(64, 72, 3, 5, mix.mass_a, mix.mass_b), mix.a, mix.b,
           SquaredEuclidean{}, options()),
        result(sinkhorn(in.problem, testing::tight(0.05, 1e-12), in.exec)),
        plan(in.problem, result) {}

  ProblemOptions options() const {
    ProblemOptions out;
    const auto size = static_cast<std::int64_t>(values.size());
    out.bounds = LowerBounds{{rows.data(), size}, {columns.data(), size}, {values.data(), size}};
    return out;
  }
};

void expect_near(const std::vector<double>& got, const std::vector<double>& want, double tolerance,
                 const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], tolerance * (1 + std::abs(want[i]))) << what << " " << i;
}

TEST(LowerBoundsOnDevice, AreThoseOfTheCpu) {
  for (const auto& mix : testing::mixtures()) {
    SCOPED_TRACE(mix.name);
    std::unique_ptr<Bounded> host;
    {
      const testing::DeviceScope scope(Device{});
      host = std::make_unique<Bounded>(mix);
    }
    testing::on_every_gpu([&] {
      Bounded gpu(mix);
      EXPECT_EQ(gpu.result.report.status, host->result.report.status);
      EXPECT_NEAR(gpu.result.report.dual_value, host->result.report.dual_value, 1e-10);
      // Potentials of two hard sides have a constant in common; what is of the plan has none.
      constexpr double kNear = 1e-8;
      const auto same = [&](const auto& of, const char* what) {
        expect_near(back(of(gpu)), back(of(*host)), kNear, what);
      };
      same([](Bounded& b) { return b.plan.dense(b.in.exec); }, "plan");
      for (const Side side : {Side::source, Side::target}) {
        same([&](Bounded& b) { return b.plan.marginal(side, b.in.exec); }, "marginal");
        same([&](Bounded& b) { return b.plan.barycentric(side, b.in.exec); }, "map");
        const auto product = [&](Bounded& b, bool squared) {
          const std::int64_t size = side == Side::source ? 72 : 64;
          std::vector<double> v(2 * size);
          for (std::size_t e = 0; e < v.size(); ++e) v[e] = std::cos(static_cast<double>(e));
          const auto there = placed(v);
          const MatrixView<const double> view(there.data(), size, 2, 2, 1, there.device());
          return squared ? b.plan.apply_squared(side, view, b.in.exec)
                         : b.plan.apply(side, view, b.in.exec);
        };
        const auto on_host = [&](bool squared) {
          const testing::DeviceScope scope(Device{});
          return back(product(*host, squared));
        };
        for (const bool squared : {false, true})
          expect_near(back(product(gpu, squared)), on_host(squared), kNear, "product");
      }
      EXPECT_NEAR(gpu.plan.value(gpu.in.exec), host->plan.value(host->in.exec), 1e-9);
      const auto terms = gpu.plan.terms(gpu.in.exec), want = host->plan.terms(host->in.exec);
      EXPECT_NEAR(terms.linear, want.linear, kNear);
      EXPECT_NEAR(terms.entropy, want.entropy, kNear);
      const auto g = gradient(gpu.plan, gpu.in.exec), g_want = gradient(host->plan, host->in.exec);
      expect_near(back(g.dx), back(g_want.dx), kNear, "dx");
      expect_near(back(g.dy), back(g_want.dy), kNear, "dy");
      const auto best = gpu.plan.top_k(4, gpu.in.exec),
                 best_want = host->plan.top_k(4, host->in.exec);
      EXPECT_EQ(back(best.columns), back(best_want.columns));
      expect_near(back(best.values), back(best_want.values), kNear, "best");
      const auto bounds = lower_bounds(gpu.in.problem);
      EXPECT_EQ(bounds.values.size(), static_cast<std::int64_t>(gpu.values.size()));
    });
  }
}

TEST(LowerBoundsOnDevice, RefuseWhatIsMalformed) {
  testing::on_every_gpu([] {
    auto clouds = testing::random_clouds<double>(6, 8, 2, 3, 1, 1);
    const std::int64_t row = 0, column = 0;
    const double value = 1;
    ProblemOptions options;
    options.bounds = LowerBounds{{&row, 1}, {&column, 1}, {&value, 1}};
    EXPECT_THROW(
        testing::PlacedClouds<double>(clouds, Balanced{}, Balanced{}, SquaredEuclidean{}, options),
        InvalidArgument);
  });
}
}  // namespace
}  // namespace monge
