// Ctrl-C and SIGTERM. Until something must be cleaned up they end the process at once; from then
// on they set a flag that solves poll.
#pragma once
#include <atomic>

namespace monge::cli {
/// Takes both signals over.
void watch_signals();
/// From here on signals set stop_flag() instead of ending the process.
void defer_signals();
const std::atomic<bool>& stop_flag();
/// Throws Interrupted once a signal has come.
void check_stop();
/// 130 after Ctrl-C, 143 after SIGTERM, as shells have it.
int interrupted_code();
}  // namespace monge::cli
