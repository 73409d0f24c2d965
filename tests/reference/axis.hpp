// One pass over an axis in long double: what src/kernels/axis.hpp says, by definition.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/axis.hpp"
#include "kernels/math.hpp"

namespace monge::reference {
using Real = long double;

/// y - x, the shorter way round.
template <class T>
Real axis_offset(const kernels::AxisArgs<T>& a, std::int64_t i, std::int64_t j) {
  const Real u = static_cast<Real>(a.y[j]) - a.x[i], period = a.period;
  return period > 0 ? u - period * std::rint(u / period) : u;
}
template <class T>
Real axis_cost(const kernels::AxisArgs<T>& a, std::int64_t i, std::int64_t j) {
  const Real u = axis_offset(a, i, j);
  return kernels::cost_of_squared<Real>(a.form, a.scale, a.power, u * u);
}
template <class T>
Real axis_factor(const kernels::AxisArgs<T>& a, kernels::Factor factor, std::int64_t i,
                 std::int64_t j) {
  const Real u = axis_offset(a, i, j);
  switch (factor) {
    case kernels::Factor::one:
      return 1;
    case kernels::Factor::offset:
      return u;
    case kernels::Factor::square:
      return u * u;
    case kernels::Factor::cost:
      return axis_cost(a, i, j);
    case kernels::Factor::cost_square:
      return axis_cost(a, i, j) * axis_cost(a, i, j);
    case kernels::Factor::cost_offset:
      return axis_cost(a, i, j) * u;
    case kernels::Factor::slope:
      return -u * kernels::slope_of_squared<Real>(a.form, a.scale, a.power, u * u);
  }
  return 0;
}

struct AxisRow {
  Real log_sum = -std::numeric_limits<Real>::infinity();
  std::vector<Real> averages, sizes;  // of each output; of the terms' absolute values
};

/// Row i of line (s, t) of [before, ., after].
template <class T>
AxisRow axis_row(const kernels::AxisArgs<T>& a, std::int64_t s, std::int64_t i, std::int64_t t) {
  AxisRow out;
  out.averages.assign(a.outputs, 0);
  out.sizes.assign(a.outputs, 0);
  const auto at = [&](std::int64_t j) { return (s * a.m + j) * a.after + t; };
  Real top = -std::numeric_limits<Real>::infinity(), sum = 0;
  for (std::int64_t j = 0; j < a.m; ++j)
    if (!std::isinf(a.h[at(j)]))
      top = std::max(top, static_cast<Real>(a.h[at(j)]) - axis_cost(a, i, j));
  if (std::isinf(top)) return out;
  for (std::int64_t j = 0; j < a.m; ++j) {
    if (std::isinf(a.h[at(j)])) continue;
    const Real w = std::exp((a.h[at(j)] - axis_cost(a, i, j) - top) / a.eps);
    sum += w;
    for (const kernels::AxisTerm& term : a.terms) {
      const Real v = term.column < 0 ? 1 : a.v[at(j) * a.v_row + term.column * a.v_col];
      const Real one = w * v * axis_factor(a, term.factor, i, j);
      out.averages[term.output] += one;
      out.sizes[term.output] += std::abs(one);
    }
  }
  for (int q = 0; q < a.outputs; ++q) out.averages[q] /= sum, out.sizes[q] /= sum;
  out.log_sum = top + a.eps * std::log(sum);
  return out;
}
}  // namespace monge::reference
