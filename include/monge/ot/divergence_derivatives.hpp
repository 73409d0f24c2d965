// Second derivatives of the debiased divergence
//   S = OT(a, b) - OT(a, a)/2 - OT(b, b)/2 + eps/2 (m_a - m_b)^2,
// whose self terms move with both of their copies. Where both sides have the same penalty and the
// kernel exp(-c/eps) is positive definite a self term has a symmetric system of condition at most
// 2, solved at one pass an iteration: (D + Q) dp = rows of Q dc, with its plan Q. Formulas:
// docs/formulas.md, "Derivatives".
#pragma once
#include <memory>
#include <utility>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/divergence.hpp"

namespace monge {
template <class T>
struct LinearDivergence;

/// A divergence and its first derivatives. Immutable, cheap to copy, shared between threads.
template <class T>
class DivergenceLinearization {
 public:
  explicit DivergenceLinearization(std::shared_ptr<const LinearDivergence<T>> linear)
      : linear_(std::move(linear)) {}
  const LinearDivergence<T>& linear() const { return *linear_; }

 private:
  std::shared_ptr<const LinearDivergence<T>> linear_;
};

/// `result` is that of divergence() of the same measures and options, which must outlive the
/// linearization; it is read here alone. Throws as linearize() of a plan.
template <class T>
DivergenceLinearization<T> linearize(const Measure<T>& source, const Measure<T>& target,
                                     const Divergence<T>& result, const DivergenceOptions& options,
                                     Exec& exec);

/// The derivative of the divergence's gradient along a tangent, as hvp() of a plan; df and dg are
/// those of the plan between the measures. The report is the worst of the terms, its passes and
/// iterations the sums.
template <class T>
HvpResult<T> hvp(const DivergenceLinearization<T>& at, const Tangent<T>& along, Wrt wrt,
                 const SolveOptions& options, Exec& exec);

struct StrengthGradient {
  double depsilon = 0, drho_a = 0, drho_b = 0;  ///< as Gradient's
};
/// Of the divergence in epsilon and the strengths of its marginals, at the potentials of `result`;
/// three passes a term.
template <class T>
StrengthGradient strength_gradient(const Measure<T>& source, const Measure<T>& target,
                                   const Divergence<T>& result, const DivergenceOptions& options,
                                   Exec& exec);
}  // namespace monge
