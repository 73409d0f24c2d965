// sinkhorn() that hands on what it made of the problem, for the plan of its result.
#pragma once
#include <memory>
#include <utility>

#include "monge/ot/sinkhorn.hpp"
#include "ot/operator.hpp"

namespace monge {
/// Null: plans prepare it anew.
template <class T>
using Prepared = std::shared_ptr<const Operator<T>>;

/// Of a solve's operator, which is done with; null where it has trees of its own.
template <class T>
Prepared<T> handed_over(Operator<T>&& op) {
  if (op.planted()) return nullptr;
  op.forget();
  op.sweep_in(kernels::Precision::accurate);
  return std::make_shared<const Operator<T>>(std::move(op));
}

/// `prepared`: where it goes, if wanted.
template <class T>
SinkhornResult<T> sinkhorn(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                           const Start<T>& start, Prepared<T>* prepared);
}  // namespace monge
