#include "ot/derivatives/plan_move.hpp"

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"

namespace monge {
template <class T>
Buffer<T> marginal_move(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves,
                        Side side, Exec& exec) {
  const LinearSide<T>& at = linear.side(side);
  Buffer<T> out(at.weight.size * along.count, exec.device);
  kernels::each(kernels::MarginalMoveArgs<T>{at.weight, at.whole_ratio(), moves.flow(side).data(),
                                             along.side(side).alpha.data(), linear.eps,
                                             at.weight.size, along.count, out.data()},
                out.size(), exec);
  return out;
}

template <class T>
TangentSums<T> plan_move(const Linear<T>& linear, const Directions<T>& along, const Moves<T>& moves,
                         const CentredImages<T>* images, Exec& exec) {
  Buffer<double> row(linear.source.weight.size * along.count, exec.device);
  kernels::each(kernels::CombinationArgs<T>{moves.df.data(), along.source.alpha.data(), nullptr, 1,
                                            linear.eps, 0, row.data()},
                row.size(), exec);
  return sweep(linear, along,
               {.rows = Side::source,
                .scale = linear.eps,
                .row = &row,
                .col = &moves.dg,
                .costs = true,
                .images = images},
               exec);
}

template <class T>
double cost_sum(const Linear<T>& linear, const TangentSums<T>& move, std::int64_t count,
                std::int64_t r, Exec& exec) {
  return kernels::sum(kernels::WeightedRowsArgs<T>{linear.source.weight, move.costs.data(), nullptr,
                                                   nullptr, count, r},
                      linear.source.weight.size, exec)
      .value[0];
}

// Of epsilon, with u = (f + g - c) / epsilon:
//   d KL(P | a b^T) = sum dP u - <r, da / a> - <c, db / b> + m_b sum da + m_a sum db.
template <class T>
StrengthMoves<T> strength_moves(const Linear<T>& linear, const Directions<T>& along,
                                Moves<T>& moves, bool epsilon, Exec& exec) {
  StrengthMoves<T> out;
  const std::int64_t count = along.count;
  std::vector<double> paired(count, 0.0), lost(count, 0.0);
  for (const Side side : {Side::source, Side::target}) {
    const LinearSide<T>& at = linear.side(side);
    const auto moved = marginal_move(linear, along, moves, side, exec);
    for (std::int64_t r = 0; r < count; ++r) {
      const auto [score, weight, strength] =
          kernels::sum(kernels::StrengthMoveArgs<T>{at.weight, at.potential.data(), moved.data(),
                                                    at.whole_ratio(), at.tau.data(),
                                                    along.side(side).alpha.data(), at.penalty,
                                                    at.weight.size, count, r},
                       at.weight.size, exec)
              .value;
      paired[r] += score;
      lost[r] += weight - linear.side(other(side)).mass * along.side(side).moved[r];
      (side == Side::source ? out.source : out.target).push_back(strength);
    }
  }
  if (!epsilon) return out;
  const auto move = plan_move<T>(linear, along, moves, nullptr, exec);
  for (std::int64_t r = 0; r < count; ++r)
    out.epsilon.push_back((paired[r] - cost_sum(linear, move, count, r, exec)) / linear.eps -
                          lost[r]);
  return out;
}

#define MONGE_INSTANTIATE(T)                                                                    \
  template Buffer<T> marginal_move(const Linear<T>&, const Directions<T>&, Moves<T>&, Side,     \
                                   Exec&);                                                      \
  template TangentSums<T> plan_move(const Linear<T>&, const Directions<T>&, const Moves<T>&,    \
                                    const CentredImages<T>*, Exec&);                            \
  template double cost_sum(const Linear<T>&, const TangentSums<T>&, std::int64_t, std::int64_t, \
                           Exec&);                                                              \
  template StrengthMoves<T> strength_moves(const Linear<T>&, const Directions<T>&, Moves<T>&,   \
                                           bool, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
