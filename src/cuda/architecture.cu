#include "cuda/launch.cuh"

namespace monge::cuda {
namespace {
__global__ void probe_kernel() {}
}  // namespace

// Asked at every launch, so remembered. A kernel knows the PTX version that it was compiled from:
// 90 of sm_90a's code, 80 of all other.
bool on_hopper() {
  static std::atomic<int> known[kDevices] = {};
  const int device = current_device();
  int version = known[device].load(std::memory_order_relaxed);
  if (version == 0) {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, probe_kernel), "device");
    known[device] = version = attributes.ptxVersion;
  }
  return version >= 90;
}
}  // namespace monge::cuda
