// A copy on the device, of the host's pinned memory or its own, as a kernel that others may join.
#pragma once
#include <cstdint>

#include "cuda/launch.cuh"

namespace monge::cuda {
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
}  // namespace monge::cuda
