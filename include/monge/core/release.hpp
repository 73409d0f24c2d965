// Memory that freed arrays left with monge.
#pragma once
#include "monge/core/device.hpp"

namespace monge {
/// Gives back to a GPU what monge keeps of freed memory for the next call, up to a 64th of the
/// GPU's memory and 1 GiB; waits for the GPU. The CPU keeps none. Throws NotAvailable where there
/// is no such device.
void release_memory(Device device);
}  // namespace monge
