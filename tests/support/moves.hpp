// Derivatives of a problem against differences of its solves, and the transpose against its own
// definition. A problem has n(), m(), dim() of its points where these move and else 0, images() of
// the source's points, at(t, along), which solves it t along a direction, and a direction().
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/golden.hpp"
#include "support/tangents.hpp"

namespace monge::testing {
inline const SolveOptions kExact{.tolerance = 1e-13};

template <class Got>
void expect_relative(const Got& got, const std::vector<double>& want, double relative,
                     const std::string& what) {
  ASSERT_EQ(static_cast<std::size_t>(got.size()), want.size()) << what;
  const double size = std::max(1.0, norm(want));
  for (std::size_t e = 0; e < want.size(); ++e)
    EXPECT_NEAR(got[e], want[e], relative * size) << what << " " << e;
}

// A gradient itself is exact to about 1e-14, so that a difference at steps h errs by 1e-14 / h and
// h^4 times fifth derivatives: both below 1e-9 of the products' size at h = 3e-4, where no
// potential of a TV side meets its bound on the way.
inline constexpr double kDifferenceStep = 3e-4;

/// `got` against the difference of part(problem solved t along the direction).
template <class Problem, class Got, class Part>
void expect_difference(const Problem& problem, const Direction& along, const Got& got,
                       const Part& part, const std::string& what) {
  expect_relative(got,
                  difference([&](double t) { return part(problem.at(t, along)); }, kDifferenceStep),
                  1e-8, what);
}

/// hvp() in all that there is.
template <class Problem>
void check_products(const Problem& problem, const Direction& along, const std::string& name) {
  Exec exec;
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  ASSERT_GT(at.tv_margin(), 10 * kDifferenceStep) << name;
  const bool points = problem.dim() > 0;
  Wrt wrt = Wrt::source_weights | Wrt::target_weights | Wrt::epsilon | Wrt::penalty;
  if (points) wrt = wrt | Wrt::source | Wrt::target;
  const auto got = hvp(at, along.tangent(problem.dim()), wrt, kExact, exec);
  EXPECT_TRUE(got.report.converged) << name;
  const auto check = [&](const auto& values, const char* what, const auto& part) {
    expect_difference(problem, along, values, part, name + " " + what);
  };
  const auto slope = [&](auto Gradient<double>::*part) {
    return [&, part](const auto& s) { return (gradient(*s.plan, wrt, exec).*part).copy(); };
  };
  const auto number = [&](auto Gradient<double>::*part) {
    return [&, part](const auto& s) {
      return std::vector<double>{gradient(*s.plan, wrt, exec).*part};
    };
  };
  if (points) check(got.dx, "dx", slope(&Gradient<double>::dx));
  if (points) check(got.dy, "dy", slope(&Gradient<double>::dy));
  check(got.da, "da", slope(&Gradient<double>::da));
  check(got.db, "db", slope(&Gradient<double>::db));
  check(got.depsilon, "depsilon", number(&Gradient<double>::depsilon));
  check(got.drho_a, "drho_a", number(&Gradient<double>::drho_a));
  check(got.drho_b, "drho_b", number(&Gradient<double>::drho_b));
  check(got.df, "df", [](const auto& s) { return s.result.f.copy(); });
  check(got.dg, "dg", [](const auto& s) { return s.result.g.copy(); });
  if (!got.dlevel.empty())
    check(got.dlevel, "level",
          [](const auto& s) { return std::vector<double>{s.plan->mass_level()}; });
}

/// jvp()
template <class Problem>
void check_moves(const Problem& problem, const std::string& name) {
  Exec exec;
  const Direction along = problem.direction(32);
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  ASSERT_GT(at.tv_margin(), 10 * kDifferenceStep) << name;
  const auto got = jvp(at, along.tangent(problem.dim()), kExact, exec);
  const auto check = [&](const auto& values, const char* what, const auto& part) {
    expect_difference(problem, along, values, part, name + " " + what);
  };
  check(got.df, "f", [](const auto& s) { return s.result.f.copy(); });
  check(got.dg, "g", [](const auto& s) { return s.result.g.copy(); });
  check(got.source, "source", [&](const auto& s) { return s.plan->marginal(Side::source, exec); });
  check(got.target, "target", [&](const auto& s) { return s.plan->marginal(Side::target, exec); });
  if (problem.images() > 0)
    check(got.map, "map", [&](const auto& s) { return s.plan->barycentric(Side::source, exec); });
  check(got.transport_cost, "cost",
        [&](const auto& s) { return std::vector<double>{s.plan->terms(exec).linear}; });
  if (!got.dlevel.empty())
    check(got.dlevel, "level",
          [](const auto& s) { return std::vector<double>{s.plan->mass_level()}; });
}

/// <cotangent, jvp(tangent)> = <vjp(cotangent), tangent> for every part of either.
template <class Problem>
void check_adjoint(const Problem& problem, const std::string& name) {
  Exec exec;
  const auto n = problem.n(), m = problem.m(), d = problem.images();
  const auto solved = problem.at();
  const auto at = linearize(*solved.plan, exec);
  const Direction along = problem.direction(33);
  const auto pushed = jvp(at, along.tangent(problem.dim()), kExact, exec);
  // Through points of weight 0 nothing is differentiated.
  const auto u = [&](VectorView<const double> weight, std::int64_t cols, std::uint64_t stream) {
    auto out = random_vector<double>(weight.size * cols, 34, stream, -1);
    for (std::int64_t e = 0; e < weight.size * cols; ++e)
      if (weight[e / cols] == 0) out[e] = 0;
    return out;
  };
  const auto a = solved.plan->problem().a(), b = solved.plan->problem().b();
  const auto f = u(a, 1, 0), g = u(b, 1, 1), p = u(a, 1, 2), q = u(b, 1, 3), theta = u(a, d, 4);
  const MatrixView<const double> of_map =
      d > 0 ? MatrixView<const double>{theta.data(), n, d} : MatrixView<const double>{};
  const Cotangent<double> cotangents[] = {{.f = {f.data(), 1, n}},
                                          {.g = {g.data(), 1, m}},
                                          {.source = {p.data(), 1, n}},
                                          {.target = {q.data(), 1, m}},
                                          {.map = of_map},
                                          {.transport_cost = {0.7}},
                                          {.f = {f.data(), 1, n},
                                           .g = {g.data(), 1, m},
                                           .source = {p.data(), 1, n},
                                           .target = {q.data(), 1, m},
                                           .map = of_map,
                                           .transport_cost = {0.7}}};
  Wrt wrt = Wrt::source_weights | Wrt::target_weights | Wrt::epsilon | Wrt::penalty;
  if (problem.dim() > 0) wrt = wrt | Wrt::source | Wrt::target;
  for (const auto& c : cotangents) {
    double want = 0;
    if (c.f.data) want += dot(pushed.df, f);
    if (c.g.data) want += dot(pushed.dg, g);
    if (c.source.data) want += dot(pushed.source, p);
    if (c.target.data) want += dot(pushed.target, q);
    if (c.map.data) want += dot(pushed.map, theta);
    if (!c.transport_cost.empty()) want += 0.7 * pushed.transport_cost[0];
    const auto pulled = vjp(at, c, wrt, kExact, exec);
    EXPECT_TRUE(pulled.report.converged);
    double got = dot(pulled.da, along.da) + dot(pulled.db, along.db) +
                 pulled.depsilon[0] * along.depsilon + pulled.drho_a[0] * along.drho_a +
                 pulled.drho_b[0] * along.drho_b;
    if (problem.dim() > 0) got += dot(pulled.dx, along.dx) + dot(pulled.dy, along.dy);
    if (!pulled.dmass.empty()) got += pulled.dmass[0] * along.dmass;
    EXPECT_NEAR(got, want, 1e-11 * std::max(1.0, norm(pulled.dx) + norm(pulled.da)))
        << name << " cotangent " << &c - cotangents;
  }
}
}  // namespace monge::testing
