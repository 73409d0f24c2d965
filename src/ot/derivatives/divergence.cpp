#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/derivatives.hpp"
#include "monge/ot/divergence_derivatives.hpp"
#include "ot/arrays.hpp"
#include "ot/derivatives/gauge.hpp"
#include "ot/derivatives/plan_move.hpp"
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

template <class T>
std::unique_ptr<const Problem<T>> problem_of(const Measure<T>& first, const Measure<T>& second,
                                             const DivergenceOptions& options, const Exec& exec) {
  return std::make_unique<const Problem<T>>(
      PointCloud<T>{first.points, second.points, options.cost}, first.weights, second.weights,
      options.marginal_a, options.marginal_b,
      ProblemOptions{
          .total_mass = {}, .mass_tolerance = options.mass_tolerance, .stream = exec.stream});
}

/// What one self term takes off: the mean of the products of its two slots, and twice what its
/// strengths do.
template <class T>
struct SelfProduct {
  Buffer<T> points, weights;
  StrengthMoves<T> strengths;
};
/// The parts that are wanted of one.
struct SelfWanted {
  bool points, weights, epsilon, penalty;
  bool strengths() const { return epsilon || penalty; }
};
template <class T>
SelfProduct<T> self_product(const Linear<T>& linear, bool symmetric, const Tangent<T>& along,
                            const SelfWanted& wanted, const SolveOptions& options,
                            DerivativeReport& report, Exec& exec) {
  DerivativeReport own = begin_report(linear);
  const Directions<T> directions(linear, along, exec);
  SelfProduct<T> out;
  Moves<T> moves;
  if (symmetric) {
    moves = solve_self_moves(linear, directions, wanted.points, options, own, exec);
    if (wanted.points) out.points = point_product(linear, directions, moves, Side::source, exec);
    if (wanted.weights) out.weights = weight_product(linear, directions, moves, Side::source, exec);
    if (wanted.strengths())
      moves.dg = moves.df.copy(exec.stream), moves.flow_b = moves.flow_a.copy(exec.stream);
  } else {
    const bool flows = wanted.weights || wanted.strengths();
    moves = solve_moves(linear, directions,
                        {.source_points = wanted.points,
                         .target_points = wanted.points,
                         .source_flow = flows,
                         .target_flow = flows},
                        options, own, exec);
    fix_gauge(linear, directions, moves, exec);
    const auto mean = [&](auto&& product) {
      auto first = product(Side::source);
      const auto second = product(Side::target);
      kernels::each(kernels::AddArgs<T>{first.data(), T(-0.5), first.data()}, first.size(), exec);
      add(first, T(0.5), second, exec);
      return first;
    };
    if (wanted.points)
      out.points =
          mean([&](Side side) { return point_product(linear, directions, moves, side, exec); });
    if (wanted.weights)
      out.weights =
          mean([&](Side side) { return weight_product(linear, directions, moves, side, exec); });
  }
  if (wanted.strengths())
    out.strengths = strength_moves(linear, directions, moves, wanted.epsilon, exec);
  own.passes += wanted.epsilon ? 1 : 0;
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
    to.problem = problem_of(first, second, options, exec);
    to.at.emplace(linearize(Plan<T>(*to.problem, solved), exec, options.kernel_cache));
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
  SolveOptions each = options;
  each.strict = false;  // of the whole, below
  auto out = hvp(*linear.ab.at, along, wrt, each, exec);
  // Both copies of a self term move, in all that its side and the whole are moved by.
  const auto take_off = [&](const typename LinearDivergence<T>::Term& term, Side side,
                            Buffer<T>& points, Buffer<T>& weights) {
    const SelfWanted wanted{points.size() > 0, weights.size() > 0, has(wrt, Wrt::epsilon),
                            has(wrt, Wrt::penalty)};
    if (!wanted.points && !wanted.weights && !wanted.strengths()) return;
    const bool source = side == Side::source;
    Tangent<T> both = along;
    both.dx = both.dy = source ? along.dx : along.dy;
    both.da = both.db = source ? along.da : along.db;
    both.df = both.dg = {};
    const auto own = self_product(term.linear(), linear.symmetric && along.drho_a == along.drho_b,
                                  both, wanted, each, out.report, exec);
    if (wanted.points) add(points, T(-1), own.points, exec);
    if (wanted.weights) add(weights, T(-1), own.weights, exec);
    const auto half = [](std::vector<double>& to, const std::vector<double>& from) {
      for (std::size_t r = 0; r < to.size(); ++r) to[r] -= from[r] / 2;
    };
    half(out.depsilon, own.strengths.epsilon);
    half(out.drho_a, own.strengths.source);
    half(out.drho_b, own.strengths.target);
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
  for (std::size_t r = 0; r < out.depsilon.size(); ++r)
    out.depsilon[r] += (ab.source.mass - ab.target.mass) *
                       (directions.source.moved[r] - directions.target.moved[r]);
  finish_report(options, out.report);
  return out;
}

template <class T>
StrengthGradient strength_gradient(const Measure<T>& source, const Measure<T>& target,
                                   const Divergence<T>& result, const DivergenceOptions& options,
                                   Exec& exec) {
  StrengthGradient out;
  const auto add_term = [&](const Measure<T>& first, const Measure<T>& second,
                            const SinkhornResult<T>& solved, double share) {
    const auto problem = problem_of(first, second, options, exec);
    const auto of = gradient(Plan<T>(*problem, solved), Wrt::epsilon | Wrt::penalty, exec);
    out.depsilon += share * of.depsilon;
    out.drho_a += share * of.drho_a;
    out.drho_b += share * of.drho_b;
    return problem->mass_a();
  };
  add_term(source, target, result.ab, 1);
  const double off =
      add_term(source, source, result.aa, -0.5) - add_term(target, target, result.bb, -0.5);
  out.depsilon += off * off / 2;
  return out;
}

#define MONGE_INSTANTIATE(T)                                                                    \
  template DivergenceLinearization<T> linearize(const Measure<T>&, const Measure<T>&,           \
                                                const Divergence<T>&, const DivergenceOptions&, \
                                                Exec&);                                         \
  template HvpResult<T> hvp(const DivergenceLinearization<T>&, const Tangent<T>&, Wrt,          \
                            const SolveOptions&, Exec&);                                        \
  template StrengthGradient strength_gradient(const Measure<T>&, const Measure<T>&,             \
                                              const Divergence<T>&, const DivergenceOptions&,   \
                                              Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
