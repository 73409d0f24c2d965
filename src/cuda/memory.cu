// Memory of the device, from the pool of scratch: mapping pages anew would cost a small solve more
// than its iterations. Freeing waits for the device, so nothing that a stream still reads is ever
// handed out again, and what is handed out is ready for every stream.
#include "kernels/memory.hpp"

#include <mutex>
#include <string>

#include "cuda/current.cuh"

namespace monge::kernels::cuda {
using monge::cuda::check, monge::cuda::Current;

namespace {
/// Allocations are queued on a stream of their own, on which no work ever waits.
cudaStream_t allocations(Device device) {
  static cudaStream_t streams[monge::cuda::kDevices] = {};
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  auto& stream = streams[device.index];
  if (!stream) check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  return stream;
}

/// Whether a GPU reads the host's memory where it stands, after the call that said so returned.
bool is_pinned(const void* data) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, data), "copy");
  return attributes.type != cudaMemoryTypeUnregistered;
}
}  // namespace

void* allocate(std::int64_t bytes, Device device) {
  const Current current(device);
  const cudaMemPool_t pool = monge::cuda::scratch_pool();
  const cudaStream_t stream = allocations(device);
  void* data = nullptr;
  const cudaError_t error =
      cudaMallocFromPoolAsync(&data, static_cast<std::size_t>(bytes), pool, stream);
  if (error == cudaSuccess) {
    check(cudaStreamSynchronize(stream), "memory");
    return data;
  }
  if (error != cudaErrorMemoryAllocation) check(error, "memory");
  cudaGetLastError();
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw DeviceError("[cuda] no memory for " + std::to_string(bytes) + " bytes on " +
                    to_string(device) + ": " + std::to_string(free) + " of " +
                    std::to_string(total) + " are free");
}

void deallocate(void* data, Device device) noexcept {
  if (!data) return;
  try {
    const Current current(device);
    check(cudaDeviceSynchronize(), "memory");
    check(cudaFreeAsync(data, allocations(device)), "memory");
  } catch (const Error&) {  // the device is lost, or we are exiting
  }
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream) {
  const Current current(to_device.is_cuda() ? to_device : from_device);
  const auto on = static_cast<cudaStream_t>(stream);
  const cudaError_t error =
      cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault, on);
  if (error != cudaSuccess)
    check(error, ("copy of " + std::to_string(bytes) + " bytes from " + to_string(from_device) +
                  " to " + to_string(to_device))
                     .c_str());
  if (!to_device.is_cuda() || (!from_device.is_cuda() && is_pinned(from)))
    check(cudaStreamSynchronize(on), "copy");
}

void synchronize(Device device, void* stream) {
  const Current current(device);
  check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "synchronize");
}
}  // namespace monge::kernels::cuda
