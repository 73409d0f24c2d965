// Functions of whole vectors, for the O(n) steps: compiled once per target.
#pragma once
#include <cstdint>

#include "kernels/pairs.hpp"

namespace monge::cpu {
struct VectorFunctions {
  /// In place, to a few ulp, also near 0; 0 and -1 at -inf, a NaN stays.
  void (*exp)(double* values, int count);
  void (*expm1)(double* values, int count);
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
