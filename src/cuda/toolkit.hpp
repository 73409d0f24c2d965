// The CUDA run time as the rest of monge may see it: no CUDA header appears here.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace monge::cuda {
/// Version of the run time that was linked, "13.0".
std::string toolkit_version();
/// What the kernels were compiled for: "sm_90a" is machine code, "compute_80" is PTX.
std::vector<std::string> code();
/// The newest CUDA version that the driver supports, "13.0"; empty where there is no driver.
std::string driver_version();
/// "cuda:0 NVIDIA H100 80GB HBM3 (sm_90, 79 GiB)" of each visible device; empty where there is no
/// driver.
std::vector<std::string> device_names();
/// Kernels that were put on streams, one or many of a kind at a time: tests count them.
std::int64_t launches();
/// Whether those of a fiber go as chains there (chain.cuh).
bool has_chains(int device);
/// Bytes of arrays and scratch on a GPU, as they are and the most since the last call: tests ask.
struct MemoryUse {
  std::int64_t now, high;
};
MemoryUse memory_use(int device);
}  // namespace monge::cuda
