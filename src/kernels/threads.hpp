// Threads of the host, for a backend whose work is not the host's own: one place starts and counts
// them (src/cpu/parallel.cpp).
#pragma once
#include <functional>

#include "monge/core/exec.hpp"

namespace monge::kernels {
/// exec.threads, or the least of affinity, cgroup quota and OMP_NUM_THREADS; 1 inside a caller's
/// parallel region and in a child after fork().
int host_threads(const Exec& exec);

/// run(thread) once on each of `threads` threads, of which 0 is the caller's. It must not throw.
void host_team(int threads, const std::function<void(int thread)>& run);
}  // namespace monge::kernels
