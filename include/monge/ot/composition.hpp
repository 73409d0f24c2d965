// Plans one after the other: P diag(1/m) Q, an operator again. m is the marginal of Q on the side
// that both share, so that what arrives at a point there goes on as Q sends what it has there:
// every row keeps the mass that P sends to points that Q moves.
#pragma once
#include <cstdint>
#include <vector>

#include "monge/ot/plan.hpp"

namespace monge {
template <class T>
class Composition {
 public:
  /// Of at least two plans, which must outlive it; a pass over each but the first. Where a plan
  /// carries no mass at a shared point, nothing goes on there. Throws InvalidArgument where the
  /// target of one plan and the source of the next differ in number of points or in weights (by
  /// more than the problems' mass tolerance).
  Composition(std::vector<const Plan<T>*> plans, Exec& exec);
  Composition(Composition&&) noexcept = default;
  Composition& operator=(Composition&&) noexcept = default;

  std::int64_t n() const { return plans_.front()->n(); }
  std::int64_t m() const { return plans_.back()->m(); }

  /// As of Plan: [m, k] -> [n, k] for side source, [n, k] -> [m, k] for target; a pass over each
  /// plan.
  Buffer<T> apply(Side rows, MatrixView<const T> v, Exec& exec) const;
  Buffer<T> marginal(Side side, Exec& exec) const;
  /// [n, m]. Throws InvalidArgument above `limit` entries, before allocating.
  Buffer<T> dense(Exec& exec, std::int64_t limit = Plan<T>::kDenseLimit) const;

 private:
  std::vector<const Plan<T>*> plans_;
  std::vector<Buffer<T>> shares_;  // [points shared with the plan before], 1 / m or 0
};
}  // namespace monge
