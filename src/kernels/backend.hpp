// The one place that picks a backend. Every verb is declared twice, in namespaces cpu and cuda, and
// its inline front says
//
//   return MONGE_ON(exec.device, softmin(args, exec));
//
// Pointers of an argument struct, and the data of its views, are on exec.device unless the
// contract says `host`; the struct itself and what it points to as a struct (a BlockList) are host
// memory and read before the verb returns. A cuda body makes exec.device current and leaves the
// caller's device as it was, puts its work on exec.stream in the order of the calls, and waits only
// where its contract hands something to the host.
#pragma once
#include "monge/core/device.hpp"
#include "monge/core/error.hpp"

#ifdef MONGE_WITH_CUDA
#define MONGE_ON(device, call) ((device).is_cuda() ? cuda::call : cpu::call)
#else
#define MONGE_ON(device, call) (monge::kernels::require_cpu(device), cpu::call)
namespace monge::kernels {
inline void require_cpu(Device device) {
  if (device.is_cuda())
    throw NotAvailable("[device] " + to_string(device) +
                       " was asked for and this build has no CUDA backend");
}
}  // namespace monge::kernels
#endif
