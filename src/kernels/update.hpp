// The O(n) steps between two sweeps: bias, half-step, measures, and the steps that move both sides
// of a pair together. Potentials are double whatever T, the type of the problem, is. None but
// measure() hands anything to the host, so that an iteration waits for nothing between checks. Sums
// are double, over blocks of fixed size combined in order, so they depend on n alone.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/each.hpp"
#include "kernels/pairs.hpp"
#include "kernels/penalty.hpp"

namespace monge::kernels {
/// out_i = log a_i, -inf at a_i = 0.
template <class T>
struct LogWeightArgs {
  VectorView<const T> weight;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const {
    constexpr double kNone = -std::numeric_limits<double>::infinity();
    const double a = weight[i];
    out[i] = a > 0 ? std::log(a) : kNone;
  }
};

/// h_j = g_j + eps log b_j in [0, n), rounded once to H; -inf in [n, padded(n)), and where g_j =
/// +inf (a point without partner) or b_j = 0 (log_weight -inf).
template <class H>
struct BiasArgs {
  const double* potential;
  const double* log_weight;
  std::int64_t n;
  double eps;
  H* h;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    constexpr H kNone = -std::numeric_limits<H>::infinity();
    const bool counts = j < n && potential[j] != std::numeric_limits<double>::infinity();
    h[j] = counts ? static_cast<H>(potential[j] + eps * log_weight[j]) : kNone;
  }
};

/// f_i += by
template <class T>
struct ShiftArgs {
  T* f;
  double by;

  MONGE_HOST_DEVICE void operator()(std::int64_t i) const { f[i] = static_cast<T>(f[i] + by); }
};

/// f += omega (prox(s) - f), kept feasible; omega = 1 sets f = prox(s) exactly. Where omega > 1 a
/// step that lowers this side's dual
///   D(f) = sum a conjugate(f) - eps sum p,   p_i = a_i exp((f_i - s_i) / eps),
/// beyond its rounding, 8 u_T (|D| + eps mass), or makes it NaN, is replaced by the plain one. (Up
/// to 1 the step goes towards the maximiser of a concave function.)
template <class T>
struct HalfStepArgs {
  const double* s;
  double* f;
  VectorView<const T> weight;  // read where omega > 1; its size is n
  double mass;                 // host: sum of the weights
  Penalty penalty;
  const double* level = nullptr;  // where not null, penalty.level
  double eps, omega;
  // Where h is not null, the bias of the new f as well, as BiasArgs has it.
  const double* log_weight = nullptr;
  double* h = nullptr;
};

/// What z of p = a exp(z) counts as where the largest is sought, which all exponents are then taken
/// relative to: a weight near the least number may go with a z whose exponential is none, beside
/// which those of others would be 0.
MONGE_HOST_DEVICE inline double reference_of(double weight, double z) {
  constexpr double kTiny = 1e-260, kItsLog = 598;  // no weight of float's
  return weight < kTiny ? z - kItsLog : z;
}

/// What one side says about the pair, from s = softmin of the other potential at no extra pass:
/// p_i = a_i exp((f_i - s_i) / eps + log_scale).
template <class T>
struct MeasureArgs {
  const double* f;
  const double* s;  // null: only `dual` is wanted, log_mass is -inf
  VectorView<const T> weight;
  Penalty penalty;
  const double* level = nullptr;  // where not null, penalty.level
  double eps = 1, log_scale = 0;
  double slack = 0;         // see Penalty::optimality
  bool optimality = false;  // false: residual and gap are not wanted and 0
};
struct Measures {
  double log_mass;  // log sum p; -inf when it underflows everywhere
  double dual;      // sum a conjugate(f)
  double residual;  // L1
  double gap;
  double level;  // the level as it acted
};

/// One side of a pair, for the steps that move both.
template <class T>
struct MovedSide {
  double* f;
  double* s;  // softmin of the other side's potential: follows, so that it stays a good shift
  VectorView<const T> weight;
  double mass;  // host: sum of the weights
  Penalty penalty;
};

/// The best step along (f + l, g - l), which leaves the plan alone (Sejourne et al. 2022, arXiv
/// 2201.00730): l = rate (t_lead - t_follow), with t = log sum_i a_i exp(-f_i / rho) of a kl side
/// and log mass of a balanced one; rate = rho_a rho_b / (rho_a + rho_b), or the rho of the one soft
/// side. Sides are kl or balanced, not both balanced. f of lead += l, of follow -= l, s of lead
/// += l, of follow -= l; nothing where l is not finite.
template <class T>
struct TranslateArgs {
  MovedSide<T> lead, follow;
};

/// Both sides capped: f, g and the level rise together by l = eps/2 (log total_mass - log sum p),
/// p that of `follow` as in MeasureArgs, until the plan carries the total mass; both s fall by l.
/// Nothing where l is not finite.
template <class T>
struct MatchMassArgs {
  MovedSide<T> lead, follow;
  double eps, total_mass;
  double* level;
};

namespace cpu {
template <class T>
void half_step(const HalfStepArgs<T>&, Exec&);
template <class T>
void measure(std::span<const MeasureArgs<T>>, Measures* out, Exec&);
template <class T>
void translate(const TranslateArgs<T>&, Exec&);
template <class T>
void match_mass(const MatchMassArgs<T>&, Exec&);
}  // namespace cpu
namespace cuda {
template <class T>
void half_step(const HalfStepArgs<T>&, Exec&);
template <class T>
void measure(std::span<const MeasureArgs<T>>, Measures* out, Exec&);
template <class T>
void translate(const TranslateArgs<T>&, Exec&);
template <class T>
void match_mass(const MatchMassArgs<T>&, Exec&);
}  // namespace cuda

template <class T>
void log_weights(const LogWeightArgs<T>& args, Exec& exec) {
  each(args, args.weight.size, exec);
}
template <class H>
void bias(const BiasArgs<H>& args, Exec& exec) {
  each(args, padded(args.n), exec);
}
template <class T>
void shift(T* f, std::int64_t n, double by, Exec& exec) {
  if (by != 0) each(ShiftArgs<T>{f, by}, n, exec);
}
template <class T>
void half_step(const HalfStepArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, half_step(args, exec));
}
/// out (host) [sides.size()]; waits once for all of them.
template <class T>
void measure(std::span<const MeasureArgs<T>> sides, Measures* out, Exec& exec) {
  MONGE_ON(exec.device, measure(sides, out, exec));
}
template <class T>
void translate(const TranslateArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, translate(args, exec));
}
template <class T>
void match_mass(const MatchMassArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, match_mass(args, exec));
}
}  // namespace monge::kernels
