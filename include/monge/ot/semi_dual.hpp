// Hard and soft c-transforms, and the semi-dual of transport: the dual as a function of g alone,
// the best f for it being the c-transform of g. Concave in g, it is what stochastic ascent climbs
// where the source is only sampled (semi-discrete transport; Genevay, Cuturi, Peyre, Bach 2016).
#pragma once
#include <cstdint>

#include "monge/ot/plan.hpp"

namespace monge {
template <class T>
struct CTransform {
  Buffer<T> values;             ///< [n] min_j (c_ij - g_j)
  Buffer<std::int64_t> column;  ///< [n] the lowest j that attains it; -1 beside +infinity
};

/// The limit epsilon -> 0 of softmin for the points of `rows`; `potential` belongs to the other
/// side, where -infinity and weight 0 remove a point. A row without partner gets +infinity. One
/// pass; values as exact as T. Throws InvalidArgument for a wrong length, NaN or +infinity.
template <class T>
CTransform<T> c_transform(const Problem<T>& problem, Side rows, VectorView<const T> potential,
                          Exec& exec);

template <class T>
struct SemiDual {
  double value = 0;  ///< max_f of the dual at g: a lower bound of the optimum at every g
  Buffer<T> f;       ///< [n] where it is attained
  Buffer<T> dg;      ///< [m] derivative in g: the marginal that g asks for, less the plan's
  Buffer<T> dy;      ///< [m, d] derivative in the target points; empty on a CostMatrix
};

/// The semi-dual at g [m] and its gradients; two passes. epsilon = 0: the hard problem, one pass,
/// and at a tie the supergradient of the lower column; its sums are formed on the host. Throws
/// InvalidArgument for a g of wrong length or not finite and for epsilon < 0, NotAvailable for TV
/// sides, a total mass and lower bounds.
template <class T>
SemiDual<T> semi_dual(const Problem<T>& problem, double epsilon, VectorView<const T> g, Exec& exec);
}  // namespace monge
