// The bodies behind monge/core/memory.hpp and release.hpp, whose contracts they have. A cuda body
// gets the CUDA device that takes part; of two, the target's.
#pragma once
#include <cstdint>

#include "monge/core/device.hpp"

namespace monge::kernels {
namespace cpu {
void* allocate(std::int64_t bytes, Device device);
void deallocate(void* data, Device device) noexcept;
void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream);
void synchronize(Device device, void* stream);
void release_memory(Device device);
}  // namespace cpu
namespace cuda {
void* allocate(std::int64_t bytes, Device device);
void deallocate(void* data, Device device) noexcept;
void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream);
void synchronize(Device device, void* stream);
void release_memory(Device device);
}  // namespace cuda
}  // namespace monge::kernels
