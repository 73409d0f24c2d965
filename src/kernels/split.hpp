// split: points once more, as the matrix units of a backend read them (cuda/split.hpp): made once
// per set of points, read by every softmin and pull that is a product.
#pragma once
#include <cstdint>

#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
namespace cpu {
template <class T>
std::int64_t split_size(const Panels<T>&, Exec&) {
  return 0;
}
template <class T>
void split(const Panels<T>&, void*, Exec&) {}
}  // namespace cpu
namespace cuda {
template <class T>
std::int64_t split_size(const Panels<T>&, Exec&);
template <class T>
void split(const Panels<T>&, void* out, Exec&);
}  // namespace cuda

/// Bytes; 0 where the device has no use for it.
template <class T>
std::int64_t split_size(const Panels<T>& points, Exec& exec) {
  return MONGE_ON(exec.device, split_size(points, exec));
}
/// `out`: split_size bytes, aligned to 256.
template <class T>
void split(const Panels<T>& points, void* out, Exec& exec) {
  MONGE_ON(exec.device, split(points, out, exec));
}
}  // namespace monge::kernels
