#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/derivatives.hpp"
#include "monge/ot/divergence_derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/gauge.hpp"
#include "ot/derivatives/products.hpp"
#include "ot/derivatives/self.hpp"
#include "ot/plan_parts.hpp"

namespace monge {
/// The three terms; a self term is symmetric where its system may be the symmetric one.
template <class T>
struct LinearDivergence {
  struct Term {
    std::unique_ptr<const Problem<T>> problem;
    std::optional<Linearization<T>> at;
    const Linear<T>& linear() const { return at->linear(); }
  };
  Term ab, aa, bb;
  bool symmetric;
};

namespace {
/// Costs whose exp(-c / eps) is a positive definite kernel at every eps.
bool is_positive_definite(const Cost& cost) {
  const auto* power = std::get_if<Power>(&cost);
  return !power || power->p <= 2;
}

void merge(DerivativeReport& all, const DerivativeReport& one) {
  all.converged = all.converged && one.converged;
  all.iterations += one.iterations;
  all.passes += one.passes;
  all.residual = std::max(all.residual, one.residual);
  all.marginal_error = std::max(all.marginal_error, one.marginal_error);
  all.diagonal_ratio = std::min(all.diagonal_ratio, one.diagonal_ratio);
  all.tv_margin = std::min(all.tv_margin, one.tv_margin);
}

/// What one self term takes off: the mean of the products of its two slots.
template <class T>
struct SelfProduct {
  Buffer<T> points, weights;
};
template <class T>
SelfProduct<T> self_product(const Linear<T>& linear, bool symmetric, const Tangent<T>& along,
                            bool points, bool weights, const SolveOptions& options,
                            DerivativeReport& report, Exec& exec) {
  DerivativeReport own = begin_report(linear);
  const Directions<T> directions(linear, along, exec);
  SelfProduct<T> out;
  if (symmetric) {
    auto moves = solve_self_moves(linear, directions, points, options, own, exec);
    if (points) out.points = point_product(linear, directions, moves, Side::source, exec);
    if (weights) out.weights = weight_product(linear, directions, moves, Side::source, exec);
  } else {
    auto moves = solve_moves(linear, directions,
                             {.source_points = points,
                              .target_points = points,
                              .source_flow = weights,
                              .target_flow = weights},
                             options, own, exec);
    fix_gauge(linear, directions, moves, exec);
    const auto mean = [&](auto&& product) {
      auto first = product(Side::source);
      const auto second = product(Side::target);
      kernels::each(kernels::AddArgs<T>{first.data(), T(-0.5), first.data()}, first.size(), exec);
      add(first, T(0.5), second, exec);
      return first;
    };
    if (points)
      out.points =
          mean([&](Side side) { return point_product(linear, directions, moves, side, exec); });
    if (weights)
      out.weights =
          mean([&](Side side) { return weight_product(linear, directions, moves, side, exec); });
  }
  merge(report, own);
  return out;
}
}  // namespace

template <class T>
DivergenceLinearization<T> linearize(const Measure<T>& source, const Measure<T>& target,
                                     const Divergence<T>& result, const DivergenceOptions& options,
                                     Exec& exec) {
  auto out = std::make_shared<LinearDivergence<T>>();
  const auto term = [&](typename LinearDivergence<T>::Term& to, const Measure<T>& first,
                        const Measure<T>& second, const SinkhornResult<T>& solved) {
    to.problem = std::make_unique<const Problem<T>>(
        PointCloud<T>{first.points, second.points, options.cost}, first.weights, second.weights,
        options.marginal_a, options.marginal_b,
        ProblemOptions{
            .total_mass = {}, .mass_tolerance = options.mass_tolerance, .stream = exec.stream});
    to.at.emplace(linearize(Plan<T>(*to.problem, solved), exec));
  };
  term(out->ab, source, target, result.ab);
  term(out->aa, source, source, result.aa);
  term(out->bb, target, target, result.bb);
  const auto& a = out->ab.linear().source.penalty;
  const auto& b = out->ab.linear().target.penalty;
  out->symmetric =
      a.kind == b.kind && a.strength == b.strength && is_positive_definite(options.cost);
  return DivergenceLinearization<T>(std::move(out));
}

template <class T>
HvpResult<T> hvp(const DivergenceLinearization<T>& at, const Tangent<T>& along, Wrt wrt,
                 const SolveOptions& options, Exec& exec) {
  const LinearDivergence<T>& linear = at.linear();
  if (has(wrt, Wrt::epsilon | Wrt::penalty | Wrt::cost))
    throw NotAvailable(
        "[derivatives] a divergence's Hessian product is available in points and weights");
  SolveOptions each = options;
  each.strict = false;  // of the whole, below
  auto out = hvp(*linear.ab.at, along, wrt, each, exec);
  // Both copies of a self term move, in all that its side and the whole are moved by.
  const auto take_off = [&](const typename LinearDivergence<T>::Term& term, Side side,
                            Buffer<T>& points, Buffer<T>& weights) {
    if (points.size() + weights.size() == 0) return;
    const bool source = side == Side::source;
    Tangent<T> both = along;
    both.dx = both.dy = source ? along.dx : along.dy;
    both.da = both.db = source ? along.da : along.db;
    const auto own =
        self_product(term.linear(), linear.symmetric && along.drho_a == along.drho_b, both,
                     points.size() > 0, weights.size() > 0, each, out.report, exec);
    if (points.size() > 0) add(points, T(-1), own.points, exec);
    if (weights.size() > 0) add(weights, T(-1), own.weights, exec);
  };
  take_off(linear.aa, Side::source, out.dx, out.da);
  take_off(linear.bb, Side::target, out.dy, out.db);
  // eps (m_a - m_b) of the term of the masses.
  const Linear<T>& ab = linear.ab.linear();
  const Directions<T> directions(ab, along, exec);
  const auto mass_term = [&](Buffer<T>& weights, double sign) {
    const std::int64_t n = weights.size() / along.count;
    for (std::int64_t r = 0; weights.size() > 0 && r < along.count; ++r) {
      const double deps = along.depsilon.empty() ? 0 : along.depsilon[r];
      const double by = ab.eps * (directions.source.moved[r] - directions.target.moved[r]) +
                        deps * (ab.source.mass - ab.target.mass);
      kernels::shift<T>(weights.data() + r * n, n, sign * by, exec);
    }
  };
  mass_term(out.da, 1);
  mass_term(out.db, -1);
  finish_report(options, out.report);
  return out;
}

#define MONGE_INSTANTIATE(T)                                                                    \
  template DivergenceLinearization<T> linearize(const Measure<T>&, const Measure<T>&,           \
                                                const Divergence<T>&, const DivergenceOptions&, \
                                                Exec&);                                         \
  template HvpResult<T> hvp(const DivergenceLinearization<T>&, const Tangent<T>&, Wrt,          \
                            const SolveOptions&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
