// Makes the device of an Exec current for the length of a verb, and the caller's own again.
#pragma once
#include "cuda/launch.cuh"

namespace monge::cuda {
class Current {
 public:
  explicit Current(const Exec& exec) {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ != exec.device.index) check(cudaSetDevice(exec.device.index), "cudaSetDevice");
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  ~Current() { cudaSetDevice(before_); }

 private:
  int before_ = 0;
};
}  // namespace monge::cuda
