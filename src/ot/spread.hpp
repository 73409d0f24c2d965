// How many entries of a row carry the plan, from a sample of its rows: what a support would leave
// outside, for a small part of a pass.
#pragma once
#include <span>
#include <vector>

#include "ot/alternation.hpp"

namespace monge {
/// Shares of the plan beyond the k best entries of a row, for each of `counts`, rising, with the
/// following potential as it is. Empty where points are not known.
template <class T>
std::vector<double> outside(const Problem<T>& problem, const Alternation<T>& alternation,
                            std::span<const int> counts, Exec& exec);
}  // namespace monge
