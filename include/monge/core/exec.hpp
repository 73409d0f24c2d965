// How a call runs: device, threads, scratch memory, and how to stop it. No globals anywhere.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "monge/core/buffer.hpp"
#include "monge/core/device.hpp"

namespace monge {
/// Where a long call stands; what the progress hook is told.
struct Progress {
  int iterations = 0;        ///< of the current solve
  std::int64_t passes = 0;   ///< finished sweeps over all pairs
  double pass_fraction = 0;  ///< of the sweep in progress, 0 to 1
  double epsilon = 0;        ///< of the current annealing level, in units of the cost
  double marginal_error = std::numeric_limits<double>::quiet_NaN();  ///< at the last check
  std::int64_t entries = 1,
               entries_done = 0;  ///< of a batch; the others are of one that is running
};

/// Scratch that only grows, a piece for each device: sized by the first pass of a solve, reused by
/// all others.
class Workspace {
 public:
  /// At least `bytes` bytes, 64-byte aligned, contents undefined; valid until the next call for
  /// the same device.
  std::byte* reserve(std::int64_t bytes, Device device = {}) {
    auto piece = std::find_if(memory_.begin(), memory_.end(),
                              [&](const auto& m) { return m.device() == device; });
    if (piece == memory_.end()) piece = memory_.emplace(piece, std::int64_t{0}, device);
    if (bytes > piece->size()) {
      *piece = Buffer<std::byte>(std::int64_t{0}, device);  // the old one goes first
      *piece = Buffer<std::byte>(bytes, device);
    }
    return piece->data();
  }

 private:
  std::vector<Buffer<std::byte>> memory_;
};

struct Exec {
  Device device{};  ///< that of the arrays
  /// A cudaStream_t of a CUDA device, on which all work of the call is put; null: its legacy
  /// default stream. Arrays are read and results are ready in its order.
  void* stream = nullptr;
  /// 0: the least of processor affinity, cgroup quota and OMP_NUM_THREADS. Inside a caller's
  /// parallel region always one. Results do not depend on it.
  int threads = 0;
  /// Polled between row blocks; once true the call throws Interrupted.
  const std::atomic<bool>* stop = nullptr;
  /// Called on the calling thread between row blocks, at most every 0.1 s; returning false
  /// makes the call throw Interrupted.
  std::function<bool(const Progress&)> progress;
  Progress state;       ///< kept up to date by the solver, passed to the hook
  Workspace workspace;  ///< one call at a time per Exec
};
}  // namespace monge
