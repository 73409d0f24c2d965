// How a plan itself moves along a tangent, from the moves of its potentials.
#pragma once
#include "ot/derivatives/directions.hpp"

namespace monge {
/// [count, n] of a marginal whose flow is known.
template <class T>
Buffer<T> marginal_move(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves,
                        Side side, Exec& exec);

/// One sweep of dP / a over the source's rows: with its costs, and with means for `images` where
/// these are given.
template <class T>
TangentSums<T> plan_move(const Linear<T>& linear, const Directions<T>& along, const Moves<T>& moves,
                         const CentredImages<T>* images, Exec& exec);
/// sum_ij dP_ij c_ij of direction r.
template <class T>
double cost_sum(const Linear<T>& linear, const TangentSums<T>& move, std::int64_t count,
                std::int64_t r, Exec& exec);

/// How the derivatives in epsilon and in the strengths move: [count] of each.
template <class T>
struct StrengthMoves {
  std::vector<double> epsilon, source, target;
};
template <class T>
StrengthMoves<T> strength_moves(const Linear<T>& linear, const Directions<T>& along,
                                Moves<T>& moves, bool epsilon, Exec& exec);
}  // namespace monge
