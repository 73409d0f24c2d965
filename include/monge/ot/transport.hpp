// A solve and the first derivatives of its value in one call, as losses ask for them: the problem
// is prepared once.
#pragma once
#include <span>
#include <vector>

#include "monge/ot/batch.hpp"
#include "monge/ot/derivatives.hpp"

namespace monge {
template <class T>
struct Transport {
  SinkhornResult<T> result;
  Gradient<T> gradient;  ///< what was asked for
};

/// sinkhorn(), and gradient() of its plan in what `wrt` names (Wrt{}: nothing). Where goes_on()
/// says so a problem of float goes on in double, from points and lattices without bounds or a fixed
/// mass; its derivatives are then those of double, rounded. Throws as the two do.
template <class T>
Transport<T> transport(const Problem<T>& problem, const SinkhornOptions& options, Wrt wrt,
                       Exec& exec, const Start<T>& start = {});
/// Of a batch, see batch.hpp.
template <class T>
std::vector<Transport<T>> transport(std::span<const BatchEntry<T>> entries, Wrt wrt, Exec& exec);
}  // namespace monge
