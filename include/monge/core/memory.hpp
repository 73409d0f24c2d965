// Bytes on a device. The bodies belong to the backends; asking for one that was not built throws
// NotAvailable.
#pragma once
#include <cstdint>

#include "monge/core/device.hpp"

namespace monge {
namespace detail {
/// At least 64-byte aligned, uninitialised, ready for every stream. Throws OutOfMemory with the
/// bytes wanted, for a GPU DeviceError with the bytes wanted and free.
void* allocate(std::int64_t bytes, Device device);
/// Waits for what still uses the memory. Null is nothing.
void deallocate(void* data, Device device) noexcept;
}  // namespace detail

/// Copies in the order of `stream`, a cudaStream_t of the GPU that takes part (null: its legacy
/// default stream). To the host it returns when the bytes are there; to a GPU it does not wait for
/// that, only until memory of the host that it reads may change.
void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream = nullptr);
/// Waits for all work on `stream`; the CPU has none that is pending.
void synchronize(Device device, void* stream = nullptr);
}  // namespace monge
