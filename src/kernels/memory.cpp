#include "kernels/memory.hpp"

#include "kernels/backend.hpp"
#include "monge/core/memory.hpp"
#include "monge/core/release.hpp"

namespace monge {
using namespace kernels;

void* detail::allocate(std::int64_t bytes, Device device) {
  return MONGE_ON(device, allocate(bytes, device));
}

void detail::deallocate(void* data, Device device) noexcept {
  if (data) MONGE_ON(device, deallocate(data, device));
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream) {
  if (bytes <= 0) return;
  MONGE_ON(to_device.is_cuda() ? to_device : from_device,
           copy(to, to_device, from, from_device, bytes, stream));
}

void synchronize(Device device, void* stream) { MONGE_ON(device, synchronize(device, stream)); }

void release_memory(Device device) { MONGE_ON(device, release_memory(device)); }
}  // namespace monge
