// Launching kernels: the stream of an Exec, its scratch, and errors as exceptions.
#pragma once
#include <cuda_runtime.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "monge/core/error.hpp"
#include "monge/core/exec.hpp"

namespace monge::cuda {
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // not the next call's
  throw DeviceError(std::string("[cuda] ") + what + ": " + cudaGetErrorString(status));
}

/// After a launch: errors of the launch itself. Those of the kernel appear at the next sync.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

inline constexpr int kDevices = 64;

/// The current device, an index below kDevices.
inline int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "device");
  if (device >= kDevices) throw DeviceError("[cuda] more than 64 devices");
  return device;
}

/// Whether the code compiled for sm_90a runs on the current device. Else that of sm_80 does, or
/// what the driver makes of its PTX, also on a Hopper GPU: a build for sm_80 alone,
/// CUDA_FORCE_PTX_JIT.
bool on_hopper();

/// Launches a kernel that begins with await_previous(): on Hopper its blocks may be set up while
/// the kernel before it still runs. Arguments convert to the kernel's parameters.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, unsigned threads, std::size_t shared,
            cudaStream_t stream, const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &early;
  config.numAttrs = on_hopper() ? 1 : 0;  // where the code that waits is compiled
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), "launch");
}
#if defined(__CUDACC__)
/// Until all that the previous kernel wrote is there. Before any access to memory.
__device__ __forceinline__ void await_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// The next kernel's blocks may be set up as this one's leave room.
__device__ __forceinline__ void allow_next() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#endif

/// The stream that all work of this Exec is queued on.
inline cudaStream_t stream_of(const Exec& exec) { return static_cast<cudaStream_t>(exec.stream); }

/// Where scratch and arrays of the current device come from: a pool of its own, which keeps what
/// was freed (up to 64 MiB while nothing runs), so that allocating maps nothing.
inline cudaMemPool_t scratch_pool() {
  static cudaMemPool_t pools[kDevices] = {};
  static std::mutex mutex;
  const int device = current_device();
  const std::lock_guard<std::mutex> lock(mutex);
  if (!pools[device]) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    check(cudaMemPoolCreate(&pools[device], &properties), "scratch pool");
    std::uint64_t keep = std::uint64_t{64} << 20;
    check(cudaMemPoolSetAttribute(pools[device], cudaMemPoolAttrReleaseThreshold, &keep),
          "scratch pool");
  }
  return pools[device];
}

/// Scratch on the device, queued like a kernel: allocated before the work that uses it, freed
/// after it.
class Scratch {
 public:
  Scratch(Exec& exec, std::int64_t bytes) : stream_(stream_of(exec)) {
    if (bytes > 0)
      check(
          cudaMallocFromPoolAsync(&data_, static_cast<std::size_t>(bytes), scratch_pool(), stream_),
          "scratch memory");
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_) cudaFreeAsync(data_, stream_);
  }
  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  cudaStream_t stream_;
  void* data_ = nullptr;
};
}  // namespace monge::cuda
