// Long sweeps go to the device in slices of rows of about a tenth of a second, and the stop flag
// and the progress hook are asked in between. Shorter ones are a single slice and wait for nothing.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cuda/launch.cuh"
#include "kernels/poll.hpp"

namespace monge::cuda::verbs {
/// launch(first, count) for all `blocks`; one costs `work` multiply-adds.
template <class Launch>
void in_slices(std::int64_t blocks, double work, Exec& exec, const Launch& launch) {
  constexpr double kSlice = 1e12;
  const auto most = static_cast<std::int64_t>(std::max(1.0, kSlice / std::max(work, 1.0)));
  for (std::int64_t first = 0; first < blocks; first += most) {
    if (first > 0) check(cudaStreamSynchronize(stream_of(exec)), "sweep");
    kernels::poll(exec, static_cast<double>(first) / static_cast<double>(blocks));
    launch(first, std::min(most, blocks - first));
  }
}
}  // namespace monge::cuda::verbs
