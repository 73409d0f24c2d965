#include "cuda/toolkit.hpp"

#include "cuda/current.cuh"

#include <iterator>
#include <sstream>

namespace monge::cuda {
namespace {
std::string spelled(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}
}  // namespace

std::string toolkit_version() { return spelled(CUDART_VERSION); }

std::vector<std::string> code() {
  std::istringstream names(MONGE_CUDA_CODE);
  return {std::istream_iterator<std::string>(names), {}};
}

std::string driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess && version > 0 ? spelled(version) : "";
}

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, index) == cudaSuccess)
      names.push_back("cuda:" + std::to_string(index) + " " + properties.name + " (sm_" +
                      std::to_string(10 * properties.major + properties.minor) + ", " +
                      std::to_string(properties.totalGlobalMem >> 30) + " GiB)");
  }
  return names;
}

std::int64_t launches() { return launch_count(); }

bool has_chains(int device) {
  const Current current(Device{DeviceKind::cuda, device});
  return on_hopper();
}

MemoryUse memory_use(int device) {
  const Current current(Device{DeviceKind::cuda, device});
  const cudaMemPool_t pool = scratch_pool();
  std::uint64_t now = 0, high = 0, none = 0;
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &now), "memory");
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &high), "memory");
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &none), "memory");
  return {static_cast<std::int64_t>(now), static_cast<std::int64_t>(high)};
}
}  // namespace monge::cuda
