// Entropy relative to another rank-one measure r_a r_b^T is the same problem with other weights:
//   a* = r_a^(1-tau) a^tau,  tau = rho/(rho+eps)  (Balanced: a* = a)
// on every geometry, for Balanced and KL sides (docs/formulas.md, "References"). r = 1 is the
// counting reference of POT's 'entropy', OTT-JAX and moscot.
#pragma once
#include <memory>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/problem.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge {
/// Takes results of the equivalent problem back to the one that was asked for. Where a weight is
/// 0 there is no plan whatever the reference says: potentials keep their half-step there.
template <class T>
struct ReferenceMap {
  double value_offset = 0;                           ///< OT_ref = OT* + value_offset
  double mass_offset = 0;                            ///< sum r_a sum r_b - m_a* m_b*
  Buffer<T> potential_offset_a, potential_offset_b;  ///< f_ref = f* + offset, [n] and [m]
  void* stream = nullptr;                            ///< the problem's: its order is kept

  /// The same report with dual values, those of its trace too, of the problem that was asked for.
  SinkhornReport to_asked(SinkhornReport report) const;
  /// The same pair and report in those terms; the equivalent result goes on making plans.
  SinkhornResult<T> to_asked(const SinkhornResult<T>& result) const;
  /// Potentials of the equivalent problem from those of the one asked for; empty stays empty.
  Buffer<T> from_asked(Side side, VectorView<const T> potential) const;
};

template <class T>
struct ReferencedProblem {
  const Problem<T>* asked = nullptr;    ///< must outlive this
  Buffer<T> a, b;                       ///< the equivalent weights, viewed by `problem`
  std::unique_ptr<Problem<T>> problem;  ///< the problem to solve
  ReferenceMap<T> map;
};

/// An empty r means counting. Throws NotAvailable for TV sides or a total mass, InvalidArgument
/// where r has the wrong length or is not positive and finite at a positive weight.
template <class T>
ReferencedProblem<T> with_reference(const Problem<T>& problem, double epsilon,
                                    VectorView<const T> r_a, VectorView<const T> r_b);

/// Gradient of the value that was asked for, at a plan of the equivalent problem: the reference
/// stays fixed, so da is the dual term phi(f_ref) alone and depsilon is KL(P | r_a r_b^T).
template <class T>
Gradient<T> gradient(const Plan<T>& plan, const ReferencedProblem<T>& referenced, Exec& exec);
}  // namespace monge
