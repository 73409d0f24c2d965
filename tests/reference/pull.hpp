#pragma once
#include <vector>

#include "kernels/pull.hpp"
#include "reference/weights.hpp"

namespace monge::reference {
/// [n, dim], as kernels::pull. The gradient of scale t^(q/2), t = |x - y|^2, is
/// scale q t^(q/2 - 1) (x - y); of -scale x.y it is -scale y. With norms the result is a difference
/// of two sums of the same weights: what these lose counts against |x - y|, what the sums round
/// against |x| + |y|.
template <class T>
std::vector<Bounded> pull(const kernels::PullArgs<T>& a) {
  const auto& p = a.pairs;
  const int dim = p.rows.dim;
  const Real u = std::numeric_limits<T>::epsilon() / 2;
  std::vector<Bounded> out(p.n * dim);
  for (std::int64_t i = 0; i < p.n; ++i)
    for (std::int64_t j = 0; j < p.m; ++j) {
      const Pair ij = pair(a, i, j);
      const Real w = ij.weight;
      if (w == 0) continue;
      Real factor = -static_cast<Real>(p.scale);
      // Weight, factor, difference and two products; a power's exponent as in cost_error.
      Real error = ij.weight_error + (dim + 8) * u;
      if (p.form != Form::dot) {
        const Real q = p.form == Form::squared    ? Real(2)
                       : p.form == Form::distance ? Real(1)
                                                  : static_cast<Real>(p.power);
        const Real t = squared_distance(p, i, j);
        factor = t == 0 ? 0 : p.scale * q * std::pow(t, q / 2 - 1);
        if (p.form == Form::power && t > 0)
          error += u * (dim + 8 + 4 * std::abs((q / 2 - 1) * std::log(t)));
      }
      for (int k = 0; k < dim; ++k) {
        const Real y = coordinate(p.cols, j, k),
                   x = p.form == Form::dot ? 0 : coordinate(p.rows, i, k);
        Bounded& sum = out[i * dim + k];
        sum.add(w * factor * (p.form == Form::dot ? y : x - y), error);
        if (p.rows.norms)
          sum.magnitude += w * std::abs(factor) * (std::abs(x) + std::abs(y) - std::abs(x - y));
      }
    }
  return out;
}
}  // namespace monge::reference
