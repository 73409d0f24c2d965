// Derivatives of lattices, with lower bounds and with a total mass, on each device against the CPU.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/grids.hpp"
#include "support/placed_clouds.hpp"
#include "support/solved.hpp"

namespace monge {
namespace {
using testing::back;
using testing::placed;
using testing::random_vector;

const SolveOptions kOptions{.tolerance = 1e-12};

/// Of weights and epsilon, from a pair of potentials on the host.
std::vector<std::vector<double>> derivatives(const Problem<double>& problem, double eps,
                                             const std::vector<double>& f,
                                             const std::vector<double>& g, double level,
                                             bool points) {
  Exec exec;
  exec.device = problem.device();
  const auto on_f = placed(f), on_g = placed(g);
  const Plan<double> plan(problem, eps, on_f.view(), on_g.view(), level);
  const auto at = linearize(plan, exec);
  const std::int64_t n = at.n(), d = at.dim();
  const auto a = back(problem.a().data, n, exec.device);
  auto move = random_vector<double>(n, 81, 0, -0.1, 0.1);
  auto cotangent = random_vector<double>(n, 81, 1, -1);
  for (std::int64_t i = 0; i < n; ++i) move[i] *= a[i], cotangent[i] = a[i] > 0 ? cotangent[i] : 0;
  auto turn = random_vector<double>(n * d, 81, 3, -1);
  for (std::int64_t e = 0; e < n * d; ++e) turn[e] = a[e / d] > 0 ? turn[e] : 0;
  const auto da = placed(move), of_f = placed(cotangent), theta = placed(turn),
             dx = placed(random_vector<double>(n * d, 81, 2, -1));
  Tangent<double> along;
  along.da = {da.data(), 1, n, n, 1, exec.device};
  along.depsilon = {0.1};
  if (points) along.dx = {dx.data(), n, d, d, 1, exec.device};
  Wrt wrt = Wrt::source_weights | Wrt::target_weights | Wrt::epsilon;
  if (points) wrt = wrt | Wrt::source | Wrt::target;
  const auto h = hvp(at, along, wrt, kOptions, exec);
  const auto j = jvp(at, along, kOptions, exec);
  Cotangent<double> of;
  of.f = {of_f.data(), 1, n, n, 1, exec.device};
  of.map = {theta.data(), n, d, d, 1, exec.device};
  of.transport_cost = {1};
  const auto v = vjp(at, of, wrt, kOptions, exec);
  EXPECT_TRUE(h.report.converged && j.report.converged && v.report.converged);
  Buffer<double> dense;
  if (points) dense = hessian(at, Side::target, {}, exec).value;
  return {back(h.dx), back(h.dy), back(h.da),     back(h.db),  h.depsilon,       h.dlevel,
          back(j.df), back(j.dg), back(j.target), back(j.map), j.transport_cost, back(v.dx),
          back(v.da), back(v.db), v.depsilon,     back(dense)};
}

void expect_close(const std::vector<std::vector<double>>& got,
                  const std::vector<std::vector<double>>& want) {
  for (std::size_t part = 0; part < want.size(); ++part) {
    double off = 0, size = 0;
    ASSERT_EQ(got[part].size(), want[part].size());
    for (std::size_t e = 0; e < want[part].size(); ++e) {
      off += std::pow(got[part][e] - want[part][e], 2);
      size += std::pow(want[part][e], 2);
    }
    EXPECT_LE(std::sqrt(off), 1e-10 * std::max(1.0, std::sqrt(size))) << "part " << part;
  }
}

TEST(GeometryDerivativesOnDevice, OfLattices) {
  constexpr double kEps = 0.05;
  for (const auto& any : testing::all_grids<double>()) {
    const auto grids = testing::untied(any);
    const auto host = grids.on_lattice(KL{1}, KL{0.5});
    Exec exec;
    const auto solved = sinkhorn(host, testing::tight(kEps, 1e-12), exec);
    const auto f = back(solved.f), g = back(solved.g);
    std::vector<std::vector<double>> want;
    testing::on_every_device([&] {
      auto lattice = grids.lattice;
      lattice.device = testing::current_device();
      const auto a = placed(grids.a), b = placed(grids.b);
      const Problem<double> problem(lattice, a.view(), b.view(), KL{1}, KL{0.5});
      const auto got = derivatives(problem, kEps, f, g, 0, false);
      if (want.empty()) want = got;
      expect_close(got, want);
    });
  }
}

void check_clouds(const ProblemOptions& options, const Marginal& a, const Marginal& b) {
  constexpr double kEps = 0.1;
  const auto clouds = testing::random_clouds<double>(40, 30, 2, 82);
  const auto host = clouds.problem(a, b, SquaredEuclidean{}, options);
  Exec exec;
  const auto solved = sinkhorn(host, testing::tight(kEps, 1e-13), exec);
  const auto f = back(solved.f), g = back(solved.g);
  std::vector<std::vector<double>> want;
  testing::on_every_device([&] {
    const testing::PlacedClouds<double> in(clouds, a, b, SquaredEuclidean{}, options);
    const auto got = derivatives(in.problem, kEps, f, g, solved.report.mass_level, true);
    if (want.empty()) want = got;
    expect_close(got, want);
  });
}

TEST(GeometryDerivativesOnDevice, WithLowerBounds) {
  const std::vector<std::int64_t> rows{3, 3, 7, 39, 12}, columns{5, 29, 5, 0, 17};
  const std::vector<double> values{5e-3, 5e-3, 3e-3, 8e-3, 1e-9};
  ProblemOptions options;
  options.bounds = {{rows.data(), 5}, {columns.data(), 5}, {values.data(), 5}};
  check_clouds(options, KL{1}, KL{0.5});
}

TEST(GeometryDerivativesOnDevice, WithATotalMass) {
  const TV cap{std::numeric_limits<double>::infinity()};
  check_clouds({.total_mass = 0.6, .mass_tolerance = 0}, cap, cap);
}
}  // namespace
}  // namespace monge
