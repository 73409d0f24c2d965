// Derivatives are the same wherever the arrays are: from one pair of potentials, on each device
// against the CPU, bitwise again on the same one and for any number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "monge/ot/divergence_derivatives.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::back;
using testing::placed;
using testing::PlacedClouds;
using testing::random_clouds;
using testing::random_vector;

constexpr Wrt kAll = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights;

template <class T>
class DerivativesOnDevice : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DerivativesOnDevice, Scalars);

/// Everything that a plan's linearization says of two directions.
template <class T>
std::vector<std::vector<T>> derivatives(PlacedClouds<T>&& in, double eps, const std::vector<T>& f,
                                        const std::vector<T>& g) {
  const auto n = in.host.n, m = in.host.m, d = in.host.d;
  Exec& exec = in.exec;
  const auto on_f = placed(f), on_g = placed(g);
  const Plan<T> plan(in.problem, eps, on_f.view(), on_g.view());
  const auto at = linearize(plan, exec);
  const auto dx = placed(random_vector<T>(2 * n * d, 71, 0, -1)),
             dy = placed(random_vector<T>(2 * m * d, 71, 1, -1)),
             da = placed(random_vector<T>(2 * n, 71, 2, -0.01, 0.01)),
             theta = placed(random_vector<T>(2 * n * d, 71, 3, -1)),
             of_f = placed(random_vector<T>(2 * n, 71, 4, -1));
  Tangent<T> along{.count = 2};
  along.dx = {dx.data(), 2 * n, d, d, 1, exec.device};
  along.dy = {dy.data(), 2 * m, d, d, 1, exec.device};
  along.da = {da.data(), 2, n, n, 1, exec.device};
  along.depsilon = {0.1, -0.2};
  const SolveOptions options{.tolerance = sizeof(T) == 4 ? 1e-6 : 1e-12};
  const auto h = hvp(at, along, kAll, options, exec);
  const auto j = jvp(at, along, options, exec);
  Cotangent<T> cotangent{.count = 2};
  cotangent.f = {of_f.data(), 2, n, n, 1, exec.device};
  cotangent.map = {theta.data(), 2 * n, d, d, 1, exec.device};
  cotangent.transport_cost = {1, 2};
  const auto v = vjp(at, cotangent, kAll | Wrt::epsilon | Wrt::penalty, options, exec);
  EXPECT_TRUE(h.report.converged && j.report.converged && v.report.converged);
  Buffer<T> dense;
  if (d < 10) dense = hessian(at, Side::source, {}, exec).value;
  const auto numbers = [](const std::vector<double>& of) {
    return std::vector<T>(of.begin(), of.end());
  };
  return {back(h.dx),        back(h.dy),  back(h.da),     back(h.db),
          back(h.df),        back(j.map), back(j.source), numbers(j.transport_cost),
          back(v.dx),        back(v.dy),  back(v.da),     numbers(v.depsilon),
          numbers(v.drho_a), back(dense)};
}

// In float both sides have their own rounding, of sums that conjugate gradients feed on: the bound
// of float against double, twice.
template <class T>
void expect_close(const std::vector<std::vector<T>>& got, const std::vector<std::vector<T>>& want,
                  double tolerance) {
  for (std::size_t part = 0; part < want.size(); ++part) {
    double off = 0, size = 0;
    ASSERT_EQ(got[part].size(), want[part].size());
    for (std::size_t e = 0; e < want[part].size(); ++e) {
      off += std::pow(got[part][e] - want[part][e], 2);
      size += std::pow(static_cast<double>(want[part][e]), 2);
    }
    EXPECT_LE(std::sqrt(off), tolerance * std::sqrt(size)) << "part " << part;
  }
}

TYPED_TEST(DerivativesOnDevice, AgreeWithTheCpu) {
  using T = TypeParam;
  for (const std::int64_t d : {2, 7, 40}) {
    const double eps = 0.1 * static_cast<double>(d);
    const auto clouds = random_clouds<T>(90, 70, d, 72);
    const PlacedClouds<T> here(clouds, KL{2}, KL{1});
    Exec exec;
    auto options = testing::tight(eps, sizeof(T) == 4 ? 1e-6 : 1e-12);
    options.max_iterations = 2000;
    const auto solved = sinkhorn(here.problem, options, exec);
    const auto f = back(solved.f), g = back(solved.g);
    const auto all = [&](int threads) {
      PlacedClouds<T> in(clouds, KL{2}, KL{1});
      in.exec.threads = threads;
      return derivatives(std::move(in), eps, f, g);
    };
    const auto want = all(1);
    testing::on_every_device([&] {
      const auto got = all(1);
      expect_close(got, want, sizeof(T) == 4 ? 2e-5 : 1e-10);
      EXPECT_TRUE(all(1) == got);
      EXPECT_TRUE(all(2) == got);
    });
  }
}

TYPED_TEST(DerivativesOnDevice, OfTheDivergence) {
  using T = TypeParam;
  const auto clouds = random_clouds<T>(90, 110, 3, 73);
  DivergenceOptions options;
  static_cast<SinkhornOptions&>(options) = testing::tight(0.1, sizeof(T) == 4 ? 1e-5 : 1e-12);
  options.max_iterations = 2000;
  options.marginal_a = options.marginal_b = KL{1};
  const auto v = random_vector<T>(270, 74, 0, -1);
  std::vector<std::vector<T>> want;
  testing::on_every_device([&] {
    PlacedClouds<T> in(clouds, KL{1}, KL{1});
    Exec& exec = in.exec;
    const Measure<T> source{in.points(in.x), in.a.view()}, target{in.points(in.y), in.b.view()};
    const auto result = divergence(source, target, options, exec);
    const auto on_v = placed(v);
    Tangent<T> along;
    along.dx = in.points(on_v);
    const auto h = hvp(linearize(source, target, result, options, exec), along, kAll,
                       {.tolerance = sizeof(T) == 4 ? 1e-6 : 1e-12}, exec);
    const std::vector<std::vector<T>> got{back(h.dx), back(h.dy), back(h.da), back(h.db)};
    if (want.empty()) want = got;
    expect_close(got, want, sizeof(T) == 4 ? 2e-4 : 1e-9);  // each device has solved by itself
  });
}
}  // namespace
}  // namespace monge
