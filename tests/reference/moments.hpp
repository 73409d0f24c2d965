#pragma once
#include <vector>

#include "kernels/moments.hpp"
#include "reference/weights.hpp"

namespace monge::reference {
struct Moments {
  std::vector<Bounded> mass, first, second;  // [n], [n, dim], [n, dim, dim]
};

template <class T>
Moments moments(const kernels::MomentsArgs<T>& a) {
  const int dim = a.values.dim;
  const Real u = std::numeric_limits<T>::epsilon() / 2;
  Moments out;
  out.mass.resize(a.pairs.n);
  out.first.resize(a.pairs.n * dim);
  out.second.resize(a.pairs.n * dim * dim);
  std::vector<Real> offset(dim);
  for (std::int64_t i = 0; i < a.pairs.n; ++i)
    for (std::int64_t j = 0; j < a.pairs.m; ++j) {
      const Pair ij = pair(a, i, j);
      const Real w = ij.weight, error = ij.weight_error;
      if (w == 0) continue;
      for (int k = 0; k < dim; ++k)
        offset[k] = coordinate(a.values, j, k) - static_cast<Real>(a.center[i * dim + k]);
      out.mass[i].add(w, error);
      for (int k = 0; k < dim; ++k) {
        out.first[i * dim + k].add(w * offset[k], error + 3 * u);
        for (int l = 0; l < dim; ++l)
          out.second[(i * dim + k) * dim + l].add(w * offset[k] * offset[l], error + 5 * u);
      }
    }
  return out;
}
}  // namespace monge::reference
