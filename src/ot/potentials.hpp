// From potentials and weights to what the verbs read: h_j = g_j + eps log b_j.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/pairs.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/view.hpp"

namespace monge {
/// Room for `size` values and their padding.
template <class T>
Buffer<T> padded_buffer(std::int64_t size) {
  return Buffer<T>(kernels::padded(size));
}

/// out_j = potential_j + eps log weight_j, formed in double and rounded once; -inf at a zero
/// weight, at an infinite potential (a point without any allowed partner) and in the padding.
/// `out` holds kernels::padded(potential.size) entries.
template <class T>
void bias(VectorView<const T> potential, VectorView<const T> weights, double eps, T* out) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  const std::int64_t size = potential.size;
  for (std::int64_t j = 0; j < size; ++j) {
    const double value = potential[j], weight = weights[j];
    out[j] =
        weight > 0 && !std::isinf(value) ? static_cast<T>(value + eps * std::log(weight)) : kNone;
  }
  std::fill(out + size, out + kernels::padded(size), kNone);
}
}  // namespace monge
