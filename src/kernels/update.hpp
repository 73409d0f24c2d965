// The O(n) steps between two sweeps: bias, half-step, measures, translation. Sums are double, over
// blocks of fixed size combined in order, so they depend on n alone.
#pragma once
#include <cstdint>

#include "kernels/pairs.hpp"
#include "kernels/penalty.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
/// h_j = g_j + eps log b_j in [0, n), rounded once; -inf in [n, padded(n)), and where g_j = +inf (a
/// point without partner) or b_j = 0 (log_weight -inf).
template <class T>
struct BiasArgs {
  const T* potential;
  const double* log_weight;
  std::int64_t n;
  double eps;
  T* h;
};

/// f += omega (prox(s) - f), kept feasible; omega = 1 sets f = prox(s) exactly.
template <class T>
struct HalfStepArgs {
  const double* s;
  T* f;
  std::int64_t n;
  Penalty penalty;
  double eps, omega;
};

/// What one side says about the pair, from s = softmin of the other potential at no extra pass:
/// p_i = a_i exp((f_i - s_i) / eps + log_scale).
template <class T>
struct MeasureArgs {
  const T* f;
  const double* s;
  VectorView<const T> weight;
  Penalty penalty;
  double eps, log_scale;
  double slack;     // see Penalty::optimality
  bool optimality;  // false: residual and gap are not wanted and 0
};
struct Measures {
  double log_mass;  // log sum p; -inf when it underflows everywhere
  double dual;      // sum a conjugate(f)
  double residual;  // L1
  double gap;
};

/// log sum_i a_i exp(-f_i / rho), for the translation step.
template <class T>
struct LogSumArgs {
  const T* f;
  VectorView<const T> weight;
  double rho;
};

namespace cpu {
template <class T>
void bias(const BiasArgs<T>&, Exec&);
template <class T>
void half_step(const HalfStepArgs<T>&, Exec&);
template <class T>
Measures measure(const MeasureArgs<T>&, Exec&);
template <class T>
double log_sum(const LogSumArgs<T>&, Exec&);
template <class T>
void shift(T* f, std::int64_t n, double by, Exec&);
}  // namespace cpu

template <class T>
void bias(const BiasArgs<T>& args, Exec& exec) {
  cpu::bias(args, exec);
}
template <class T>
void half_step(const HalfStepArgs<T>& args, Exec& exec) {
  cpu::half_step(args, exec);
}
template <class T>
Measures measure(const MeasureArgs<T>& args, Exec& exec) {
  return cpu::measure(args, exec);
}
template <class T>
double log_sum(const LogSumArgs<T>& args, Exec& exec) {
  return cpu::log_sum(args, exec);
}
/// f_i += by
template <class T>
void shift(T* f, std::int64_t n, double by, Exec& exec) {
  cpu::shift(f, n, by, exec);
}
}  // namespace monge::kernels
