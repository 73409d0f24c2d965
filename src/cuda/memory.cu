// Memory of the device by cudaMalloc: freeing waits for the device, so nothing that a stream still
// reads is ever handed out again. A solve allocates before its first iteration and not after it.
#include "kernels/memory.hpp"

#include <string>

#include "cuda/current.cuh"

namespace monge::kernels::cuda {
using monge::cuda::check, monge::cuda::Current;

void* allocate(std::int64_t bytes, Device device) {
  const Current current(device);
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, static_cast<std::size_t>(bytes));
  if (error == cudaSuccess) return data;
  if (error != cudaErrorMemoryAllocation) check(error, "cudaMalloc");
  cudaGetLastError();
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw DeviceError("[cuda] no memory for " + std::to_string(bytes) + " bytes on " +
                    to_string(device) + ": " + std::to_string(free) + " of " +
                    std::to_string(total) + " are free");
}

void deallocate(void* data, Device) noexcept {
  if (cudaFree(data) != cudaSuccess) cudaGetLastError();  // the device is lost, or we are exiting
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream) {
  const Current current(to_device.is_cuda() ? to_device : from_device);
  const auto on = static_cast<cudaStream_t>(stream);
  const auto size = static_cast<std::size_t>(bytes);
  check(cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, on),
        ("copy of " + std::to_string(bytes) + " bytes from " + to_string(from_device) + " to " +
         to_string(to_device))
            .c_str());
  if (to_device != from_device) check(cudaStreamSynchronize(on), "copy");
}

void synchronize(Device device, void* stream) {
  const Current current(device);
  check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "synchronize");
}
}  // namespace monge::kernels::cuda
