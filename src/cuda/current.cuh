// Makes a device current for the length of a verb, and the caller's own again.
#pragma once
#include <string>

#include "cuda/launch.cuh"

namespace monge::cuda {
class Current {
 public:
  explicit Current(const Exec& exec) : Current(exec.device) {}
  /// Throws NotAvailable where there is no such device.
  explicit Current(Device device) {
    if (Tape::current()) return;  // their host has seen to it
    int count = 0;
    const cudaError_t found = cudaGetDeviceCount(&count);
    if (found == cudaErrorInitializationError)
      check(found,
            ("start on " + to_string(device) + " (CUDA does not survive fork(): spawn the process)")
                .c_str());
    if (found != cudaSuccess || count == 0)
      throw NotAvailable("[cuda] " + to_string(device) + " was asked for and there is no GPU: " +
                         cudaGetErrorString(found != cudaSuccess ? found : cudaErrorNoDevice));
    if (device.index < 0 || device.index >= count)
      throw NotAvailable("[cuda] " + to_string(device) + " was asked for and there are " +
                         std::to_string(count) + " GPUs, counted from 0");
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ != device.index) check(cudaSetDevice(device.index), "cudaSetDevice");
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current() {
    if (before_ >= 0) cudaSetDevice(before_);
  }

 private:
  int before_ = -1;
};
}  // namespace monge::cuda
