#pragma once
#include <vector>

#include "kernels/apply.hpp"
#include "reference/weights.hpp"

namespace monge::reference {
/// [n, k], as kernels::apply.
template <class T>
std::vector<Bounded> apply(const kernels::ApplyArgs<T>& a) {
  std::vector<Bounded> out(a.pairs.n * a.k);
  for (std::int64_t i = 0; i < a.pairs.n; ++i)
    for (std::int64_t j = 0; j < a.pairs.m; ++j) {
      const Pair ij = pair(a, i, j);
      Real w = ij.weight, error = ij.weight_error + std::numeric_limits<T>::epsilon();
      if (w == 0) continue;
      if (a.weighting == kernels::Weighting::squared) {
        w *= w;
        error *= 2;
      }
      Real extra = 0;  // absolute, where the factor itself may be near zero
      if (a.weighting == kernels::Weighting::cost) {
        extra = w * ij.cost_error;
        w *= ij.cost;
      }
      for (int k = 0; k < a.k; ++k) {
        const Real v = a.v ? a.v[j * a.v_row + k * a.v_col] : Real(1);
        out[i * a.k + k].add(w * v, error);
        out[i * a.k + k].error += extra * std::abs(v);
      }
    }
  return out;
}
}  // namespace monge::reference
