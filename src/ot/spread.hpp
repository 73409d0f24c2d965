// How many entries of a row carry the plan: what a support would leave outside.
#pragma once
#include <span>
#include <vector>

#include "ot/alternation.hpp"

namespace monge {
/// From a sample of its rows, for a small part of a pass: shares of the plan beyond the k best
/// entries of a row, for each of `counts`, rising, with the following potential as it is. Empty
/// where points are not known.
template <class T>
std::vector<double> outside(const Problem<T>& problem, const Alternation<T>& alternation,
                            std::span<const int> counts, Exec& exec);

/// About the share of the plan that the k best entries of every row carry, with the following
/// potential as it is: from the squares of all pairs, for two passes and no list.
template <class T>
double best_share(Alternation<T>& alternation, int k, Exec& exec);
}  // namespace monge
