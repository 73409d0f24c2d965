// The one place where monge starts threads.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>

#include "monge/core/exec.hpp"

namespace monge::cpu {
/// Threads a call will use: exec.threads, or the least of affinity, cgroup quota and
/// OMP_NUM_THREADS; 1 inside a caller's parallel region and in a child after fork().
int thread_count(const Exec& exec);

/// run(thread) once on each of `threads` threads, of which 0 is the caller's. It must not throw.
void team(int threads, const std::function<void(int thread)>& run);

void parallel_blocks(std::int64_t blocks, Exec& exec,
                     const std::function<void(std::int64_t block, int thread)>& body, double work);

/// body(block, thread) for every block in [0, blocks), dynamically scheduled. Between blocks it
/// polls exec.stop, and on the calling thread exec.progress (at most every 0.1 s, with
/// pass_fraction = blocks done / blocks). Rethrows the first exception of a body; throws
/// Interrupted when asked to stop. `work`: about how many arithmetic steps all blocks take; below
/// kSmallWork the calling thread runs them alone, as waking another would take as long.
inline constexpr double kSmallWork = 4e5;
template <class Body>
void parallel_for(std::int64_t blocks, Exec& exec, const Body& body,
                  double work = std::numeric_limits<double>::infinity()) {
  parallel_blocks(blocks, exec, std::cref(body), work);  // a reference needs no memory
}
}  // namespace monge::cpu
