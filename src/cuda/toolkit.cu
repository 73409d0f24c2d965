#include "cuda/toolkit.hpp"

#include "cuda/launch.cuh"

namespace monge::cuda {
std::string toolkit_version() {
  return std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
}

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, index) == cudaSuccess)
      names.push_back(properties.name);
  }
  return names;
}

std::int64_t launches() { return launch_count(); }
}  // namespace monge::cuda
