// Entropy relative to another rank-one measure r_a r_b^T is the same problem with other weights:
//   a* = r_a^(1-tau) a^tau,  tau = rho/(rho+eps)  (Balanced: a* = a)
// on every geometry, for Balanced and KL sides (ot.md section 3). r = 1 is the counting
// reference of POT's 'entropy', OTT-JAX and moscot.
#pragma once
#include <memory>

#include "monge/ot/problem.hpp"

namespace monge {
/// Takes results of the equivalent problem back to the one that was asked for.
template <class T>
struct ReferenceMap {
  double value_offset = 0;                  ///< OT_ref = OT* + value_offset
  Buffer<T> potential_offset_a, potential_offset_b;  ///< f_ref = f* + offset, [n] and [m]
  Buffer<T> weight_chain_a, weight_chain_b; ///< d a*_i / d a_i
  Buffer<T> offset_gradient_a, offset_gradient_b;    ///< d value_offset / d a_i, at fixed a*
};

template <class T>
struct ReferencedProblem {
  Buffer<T> a, b;                       ///< the equivalent weights, viewed by `problem`
  std::unique_ptr<Problem<T>> problem;  ///< the problem to solve
  ReferenceMap<T> map;
};

/// An empty r means counting. Throws NotAvailable for TV sides or a total mass, InvalidArgument
/// where r is not positive at a positive weight.
template <class T>
ReferencedProblem<T> with_reference(const Problem<T>& problem, double epsilon,
                                    VectorView<const T> r_a, VectorView<const T> r_b);
}  // namespace monge
