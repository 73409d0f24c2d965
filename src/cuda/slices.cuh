// Long sweeps go to the device in slices of rows of about a tenth of a second, and the stop flag
// and the progress hook are asked in between. Shorter ones are a single slice and wait for nothing.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

#include "cuda/launch.cuh"
#include "kernels/poll.hpp"

namespace monge::cuda {
/// Before a sweep of that many multiply-adds: of long ones one alone is under way when the caller
/// is asked, or a solve would queue twenty.
inline void pace(Exec& exec, double work) {
  constexpr double kLong = 3e11;  // some 30 ms
  if (Tape* const tape = Tape::current()) return tape->pace(work);
  if (work > kLong) wait(exec, "sweep");
  kernels::poll(exec, 0);
}
}  // namespace monge::cuda

namespace monge::cuda::verbs {
/// launch(first, count) for all `blocks`, at most `most` at a time; one costs `work` multiply-adds.
template <class Launch>
void in_slices(std::int64_t blocks, double work, Exec& exec, const Launch& launch,
               std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
  constexpr double kSlice = 1e12;
  most = std::min(most, static_cast<std::int64_t>(std::max(1.0, kSlice / std::max(work, 1.0))));
  double queued = 0;
  kernels::poll(exec, 0);
  for (std::int64_t first = 0; first < blocks; first += most) {
    const std::int64_t count = std::min(most, blocks - first);
    queued += work * static_cast<double>(count);
    if (first > 0 && queued > kSlice) {
      queued = work * static_cast<double>(count);
      check(cudaStreamSynchronize(stream_of(exec)), "sweep");
      kernels::poll(exec, static_cast<double>(first) / static_cast<double>(blocks));
    }
    launch(first, count);
  }
}
}  // namespace monge::cuda::verbs
