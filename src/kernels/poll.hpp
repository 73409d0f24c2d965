// How the caller of a long call is asked whether to go on, on every backend alike.
#pragma once
#include <chrono>

#include "monge/core/error.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
inline bool stopped(const Exec& exec) {
  return exec.stop && exec.stop->load(std::memory_order_relaxed);
}

/// Whether 0.1 s have gone since it last said so on this thread: paces the hook across passes.
inline bool hook_is_due() {
  using Clock = std::chrono::steady_clock;
  static thread_local Clock::time_point last{};
  const auto now = Clock::now();
  if (now - last < std::chrono::milliseconds(100)) return false;
  last = now;
  return true;
}

/// Throws Interrupted where the stop flag or the hook says so. `fraction`: of the pass, done.
inline void poll(Exec& exec, double fraction) {
  if (stopped(exec)) throw Interrupted();
  if (!exec.progress || !hook_is_due()) return;
  exec.state.pass_fraction = fraction;
  if (!exec.progress(exec.state)) throw Interrupted();
}
}  // namespace monge::kernels
