// Memory of the device by cudaMalloc: freeing waits for the device, so nothing that a stream still
// reads is ever handed out again. A solve allocates before its first iteration and not after it.
#include <cuda_runtime.h>

#include <string>

#include "kernels/memory.hpp"
#include "monge/core/error.hpp"

namespace monge::kernels::cuda {
namespace {
[[noreturn]] void fail(const std::string& doing, cudaError_t error) {
  cudaGetLastError();  // not the next call's
  throw DeviceError("[cuda] " + doing + ": " + cudaGetErrorString(error));
}
void check(const std::string& doing, cudaError_t error) {
  if (error != cudaSuccess) fail(doing, error);
}

// Makes a device current, and the caller's own again.
class Current {
 public:
  explicit Current(Device device) {
    int count = 0;
    const cudaError_t found = cudaGetDeviceCount(&count);
    if (found == cudaErrorInitializationError)
      fail("start on " + to_string(device) + " (CUDA does not survive fork(): spawn the process)",
           found);
    if (found != cudaSuccess || count == 0)
      throw NotAvailable("[cuda] " + to_string(device) + " was asked for and there is no GPU: " +
                         cudaGetErrorString(found != cudaSuccess ? found : cudaErrorNoDevice));
    if (device.index < 0 || device.index >= count)
      throw NotAvailable("[cuda] " + to_string(device) + " was asked for and there are " +
                         std::to_string(count) + " GPUs, counted from 0");
    check("cudaGetDevice", cudaGetDevice(&before_));
    if (before_ != device.index) check("cudaSetDevice", cudaSetDevice(device.index));
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current() { cudaSetDevice(before_); }

 private:
  int before_ = 0;
};
}  // namespace

void* allocate(std::int64_t bytes, Device device) {
  const Current current(device);
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, static_cast<std::size_t>(bytes));
  if (error == cudaSuccess) return data;
  if (error != cudaErrorMemoryAllocation) fail("cudaMalloc", error);
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
  check("copy of " + std::to_string(bytes) + " bytes from " + to_string(from_device) + " to " +
            to_string(to_device),
        cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, on));
  if (to_device != from_device) check("copy", cudaStreamSynchronize(on));
}

void synchronize(Device device, void* stream) {
  const Current current(device);
  check("synchronize", cudaStreamSynchronize(static_cast<cudaStream_t>(stream)));
}
}  // namespace monge::kernels::cuda
