// Functions of whole vectors, for the O(n) steps: compiled once per target.
#pragma once
#include <cstdint>

#include "kernels/pairs.hpp"

namespace monge::cpu {
/// Coordinates whose products are summed by themselves, then added: of norms and of all products of
/// points alike, so that x.x is |x|^2 to the bit.
inline constexpr int kSummed = 32;

/// Of a balanced side: sums of a, p, a f and |p - a|, p = a exp(z), and the largest |p / a - 1|.
struct BalancedSums {
  double weight = 0, mass = 0, dual = 0, residual = 0, apart = 0;
};

struct VectorFunctions {
  /// In place, to a few ulp, also near 0; 0 and -1 at -inf, a NaN stays.
  void (*exp)(double* values, int count);
  void (*expm1)(double* values, int count);
  /// Adds those of count points, z = (f - s) / eps + log_scale. Points of weight 0 do not count;
  /// sums are not finite where a potential of others is not, or p too large.
  void (*balanced)(const double* f, const double* s, const double* weight, int count, double eps,
                   double log_scale, BalancedSums* sums);
  /// norms [padded(count)] of panels, as kernels::Panels has them: the same bits on every target.
  void (*norms_f32)(const kernels::Panels<float>& panels, float* norms);
  void (*norms_f64)(const kernels::Panels<double>& panels, double* norms);
};
/// For the current target.
VectorFunctions vector_functions();

inline void norms(const kernels::Panels<float>& panels, float* out) {
  vector_functions().norms_f32(panels, out);
}
inline void norms(const kernels::Panels<double>& panels, double* out) {
  vector_functions().norms_f64(panels, out);
}
}  // namespace monge::cpu
