// pack: panels in T of points in From, less the center, formed in double and rounded once, zeros in
// the padding;
// with norms for the product form. The product that makes a direction may be fused into the
// difference; everything else has the same bits on every backend.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/backend.hpp"
#include "kernels/host_device.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
template <class T, class From = T>
struct PackArgs {
  MatrixView<const From> points;  // any strides
  const double* center;           // [dim]; null: nothing is subtracted
  bool unit_length;               // directions: a point without one becomes the first axis
  T* data;                        // panels [padded(n) * dim]
  T* norms;                       // [padded(n)], see Panels; null: not wanted
  T* inverse_length;              // unit_length: [n] 1/|x|, 0 without direction; else null
};

/// 1/|x_i|, without overflow on the way. Not a positive normal number of T: x_i has no direction.
template <class T>
MONGE_HOST_DEVICE double inverse_length(const MatrixView<const T>& points, std::int64_t i) {
  double largest = 0, sum = 0;
  for (std::int64_t k = 0; k < points.cols; ++k)
    largest = std::fmax(largest, std::fabs(static_cast<double>(points(i, k))));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (largest == 0) return kInfinity;
  for (std::int64_t k = 0; k < points.cols; ++k) {
    const double part = points(i, k) / largest;
    sum += part * part;
  }
  return 1 / std::sqrt(sum) / largest;
}
template <class T>
MONGE_HOST_DEVICE bool has_direction(double inverse_length) {
  const T rounded = static_cast<T>(inverse_length);
  constexpr T kLeast = std::numeric_limits<T>::min(), kMost = std::numeric_limits<T>::max();
  return rounded >= kLeast && rounded <= kMost;
}

namespace cpu {
template <class T, class From>
void pack(const PackArgs<T, From>&, Exec&);
}
namespace cuda {
template <class T, class From>
void pack(const PackArgs<T, From>&, Exec&);
}

/// Of the same type, or of float in double.
template <class T, class From = T>
void pack(const PackArgs<T, From>& args, Exec& exec) {
  MONGE_ON(exec.device, pack(args, exec));
}
}  // namespace monge::kernels
