// Memory of the device, from the pool of scratch: mapping pages anew would cost a small solve more
// than its iterations. Freeing waits for the device, so nothing that a stream still reads is ever
// handed out again, and what is handed out is ready for every stream.
#include "kernels/memory.hpp"

#include <cstring>
#include <mutex>
#include <optional>
#include <string>

#include "cuda/answer.cuh"
#include "cuda/current.cuh"

namespace monge::cuda {
namespace {
/// Allocations are queued on a stream of their own, on which no work ever waits.
cudaStream_t allocations(Device device) {
  static cudaStream_t streams[kDevices] = {};
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  auto& stream = streams[device.index];
  if (!stream) check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  return stream;
}
}  // namespace

void* allocate_now(std::int64_t bytes, Device device) {
  const Current current(device);
  const cudaMemPool_t pool = scratch_pool();
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

void deallocate_now(void* data, Device device) noexcept {
  try {
    const Current current(device);
    check(cudaDeviceSynchronize(), "memory");
    check(cudaFreeAsync(data, allocations(device)), "memory");
  } catch (const Error&) {  // the device is lost, or we are exiting
  }
}
}  // namespace monge::cuda

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr std::int64_t kSmallAnswer = std::int64_t{64} << 10;

/// Of the fibers' copies: 16 bytes a thread.
struct CopyBytes {
  static constexpr int kThreads = 256;
  void* to;
  const void* from;
  std::int64_t bytes;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t begin = (std::int64_t{at.x} * kThreads + threadIdx.x) * 16;
    const auto aligned = [](const void* p) {
      return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
    };
    if (begin + 16 <= bytes && aligned(to) && aligned(from)) {
      static_cast<uint4*>(to)[begin / 16] = static_cast<const uint4*>(from)[begin / 16];
      return;
    }
    for (std::int64_t i = begin; i < min(bytes, begin + 16); ++i)
      static_cast<char*>(to)[i] = static_cast<const char*>(from)[i];
  }
};

/// A copy that need not stand alone; what is of the host goes through pinned memory. False: the
/// copy is too large for that, or goes elsewhere.
bool record_copy(Tape& tape, void* to, Device to_device, const void* from, Device from_device,
                 std::int64_t bytes, void* stream) {
  constexpr std::int64_t kMost = std::int64_t{1} << 20;
  const bool of_host = !to_device.is_cuda() || !from_device.is_cuda();
  if (of_host ? bytes > kMost : to_device != from_device) return false;
  Exec exec;
  exec.stream = stream;
  const auto record = [&](void* to, const void* from) {
    constexpr int kBytes = 16 * CopyBytes::kThreads;
    launch(CopyBytes{to, from, bytes}, (bytes + kBytes - 1) / kBytes, exec);
  };
  if (!from_device.is_cuda()) {
    const Tape::Memory pinned = tape.pin(bytes);
    std::memcpy(pinned.data, from, static_cast<std::size_t>(bytes));
    record(to, pinned.data);
    tape.unpin_later(pinned);
  } else if (!to_device.is_cuda()) {
    const Answer answer(bytes);
    record(answer.as<void>(), from);
    tape.settle(true);
    std::memcpy(to, answer.as<void>(), static_cast<std::size_t>(bytes));
  } else {
    record(to, from);
  }
  return true;
}

/// Whether a GPU reads the host's memory where it stands, after the call that said so returned.
bool is_pinned(const void* data) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, data), "copy");
  return attributes.type != cudaMemoryTypeUnregistered;
}
}  // namespace

void* allocate(std::int64_t bytes, Device device) {
  if (Tape* const tape = Tape::current()) return tape->allocate(bytes);
  return allocate_now(bytes, device);
}

void deallocate(void* data, Device device) noexcept {
  if (!data) return;
  if (Tape* const tape = Tape::current()) return tape->release(data);
  if (!release_block(data)) deallocate_now(data, device);
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream) {
  Tape* const tape = Tape::current();
  if (tape && record_copy(*tape, to, to_device, from, from_device, bytes, stream)) return;
  const Current current(to_device.is_cuda() ? to_device : from_device);
  auto on = static_cast<cudaStream_t>(stream);
  if (tape) on = tape->stream(on);
  // A small answer comes by way of pinned memory: straight to the host's it takes twice as long.
  std::optional<Answer> answer;
  if (!tape && !to_device.is_cuda() && from_device.is_cuda() && bytes <= kSmallAnswer)
    answer.emplace(bytes);
  const cudaError_t error = cudaMemcpyAsync(answer ? answer->as<void>() : to, from,
                                            static_cast<std::size_t>(bytes), cudaMemcpyDefault, on);
  if (error != cudaSuccess)
    check(error, ("copy of " + std::to_string(bytes) + " bytes from " + to_string(from_device) +
                  " to " + to_string(to_device))
                     .c_str());
  if (!to_device.is_cuda() || (!from_device.is_cuda() && is_pinned(from)))
    check(cudaStreamSynchronize(on), "copy");
  if (answer) std::memcpy(to, answer->as<void>(), static_cast<std::size_t>(bytes));
}

void synchronize(Device device, void* stream) {
  if (Tape* const tape = Tape::current()) return tape->settle(true);
  const Current current(device);
  check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "synchronize");
}
}  // namespace monge::kernels::cuda
