// All pairs as the model of truncated Newton (newton_cg.hpp): responses are the half-steps of an
// Alternation, which therefore stands at the last of them, products are two sweeps of apply. Sides
// are Balanced, KL or TV, rows and columns that a bound of TV holds being frozen.
#pragma once
#include <cstdint>

#include "ot/coarse.hpp"
#include "ot/newton_cg.hpp"

namespace monge {
template <class T>
class DenseModel {
 public:
  /// `coarse`: the second level of its preconditioner; null: the diagonal alone.
  DenseModel(Alternation<T>& alternation, const Coarse<T>* coarse, Exec& exec);

  struct Totals {};
  NewtonSide side() const { return {weight_.data(), columns().weight.size, columns().penalty}; }
  void respond(const kernels::ResponseArgs& args, Totals*, Exec& exec);
  double dual(const Totals&) const { return dual_; }
  bool projects() const;
  void squares(double* out, Exec& exec);
  void product(const double* v, double* out, Exec& exec);  // P^T D1^-1 P v
  void step(const kernels::StepArgs& args, Exec& exec);

 private:
  const typename Alternation<T>::Half& rows() const { return alternation_.leading(); }
  const typename Alternation<T>::Half& columns() const { return alternation_.following(); }
  /// T [rows] or [columns] = w x of the plan's w_ij = P_ij over the weight of the side.
  void apply(const typename Alternation<T>::Half& side, const typename Alternation<T>::Half& from,
             kernels::Weighting weighting, const Buffer<T>& x, Buffer<T>& out, Exec& exec);

  Alternation<T>& alternation_;
  const Coarse<T>* coarse_;
  Buffer<double> weight_;
  Buffer<T> response_;  // a / D1
  Buffer<T> on_rows_, on_columns_, result_;
  double dual_ = 0;
};
}  // namespace monge
