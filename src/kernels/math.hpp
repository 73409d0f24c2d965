// The costs as formulas of s = |x - y|^2, shared by every backend and the references.
#pragma once
#include <cmath>

#include "kernels/host_device.hpp"
#include "kernels/pairs.hpp"

namespace monge::kernels {
/// c(x, y) for the forms that depend on the distance alone.
template <class T>
MONGE_HOST_DEVICE inline T cost_of_squared(Form form, T scale, T power, T s) {
  using std::pow, std::sqrt;
  switch (form) {
    case Form::distance:
      return scale * sqrt(s);
    case Form::power:
      return scale * pow(s, power / 2);
    default:
      return scale * s;
  }
}

/// The factor r with dc/dx = r (x - y): 2 scale, scale / |x - y|, scale p |x - y|^(p - 2). 0 at
/// x = y, where the derivative is 0 (p > 1) or not unique (p = 1).
template <class T>
MONGE_HOST_DEVICE inline T slope_of_squared(Form form, T scale, T power, T s) {
  using std::pow, std::sqrt;
  if (form == Form::squared) return 2 * scale;
  if (!(s > 0)) return 0;
  return form == Form::distance ? scale / sqrt(s) : scale * power * pow(s, power / 2 - 1);
}
}  // namespace monge::kernels
