#include "cli/interrupt.hpp"

#include <unistd.h>

#include <csignal>

#include "monge/core/error.hpp"

namespace monge::cli {
namespace {
std::atomic<bool> deferred{false}, stop{false};
std::atomic<int> received{SIGINT};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler may only touch lock-free atomics");

extern "C" void on_signal(int signal) {
  if (!deferred) _exit(128 + signal);
  received = signal;
  stop = true;
}
}  // namespace

void watch_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}
void defer_signals() { deferred = true; }
const std::atomic<bool>& stop_flag() { return stop; }
void check_stop() {
  if (stop) throw Interrupted();
}
int interrupted_code() { return 128 + received; }
}  // namespace monge::cli
