// sinkhorn() that hands on what it made of the problem, for the plan of its result.
#pragma once
#include <memory>

#include "monge/ot/sinkhorn.hpp"
#include "ot/operator.hpp"

namespace monge {
/// Null: plans prepare it anew.
template <class T>
using Prepared = std::shared_ptr<const Operator<T>>;

/// `prepared`: where it goes, if wanted.
template <class T>
SinkhornResult<T> sinkhorn(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                           const Start<T>& start, Prepared<T>* prepared);
}  // namespace monge
