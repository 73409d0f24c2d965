// One thread a task, the long ones first; a task that outweighs all that is left has every thread.
#include "kernels/tasks.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/target_pin.hpp"
#include "kernels/poll.hpp"

namespace monge::kernels::cpu {
void tasks(std::span<const double> work, const TaskBody& body, Exec& exec) {
  const auto count = static_cast<std::int64_t>(work.size());
  std::vector<std::int64_t> order(work.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t i, std::int64_t j) { return work[i] > work[j]; });
  std::atomic<std::int64_t> next{0}, finished{0};
  std::atomic<bool> halt{false};
  // The calling thread asks the caller, all others it: `halt` is its word to them, and theirs to
  // it.
  const auto exec_of = [&](int thread, int its_threads) {
    Exec own;
    own.threads = its_threads;
    own.stop = thread == 0 ? exec.stop : &halt;
    if (thread == 0)
      own.progress = [&](Progress at) {
        at.entries = count;
        at.entries_done = finished;
        return !halt && (!exec.progress || exec.progress(at));
      };
    return own;
  };

  const int most = monge::cpu::thread_count(exec);
  double rest = std::accumulate(work.begin(), work.end(), 0.0);
  for (Exec whole = exec_of(0, exec.threads); next < count && work[order[next]] * most > rest;) {
    poll(whole, 0);
    rest -= work[order[next]];
    body(order[next++], whole);
    ++finished;
  }

  const int threads = static_cast<int>(std::min<std::int64_t>(most, count - next));
  std::exception_ptr error;
  std::mutex guard;
  monge::cpu::team(threads, [&](int thread) {
    Exec own = exec_of(thread, 1);
    try {
      const monge::cpu::TargetPin pin;
      for (std::int64_t place; !halt && (place = next++) < count; ++finished) {
        poll(own, 0);
        body(order[place], own);
      }
      if (thread != 0) return;
      for (; !halt && finished < count; std::this_thread::sleep_for(std::chrono::milliseconds(1)))
        poll(own, 0);
    } catch (...) {
      const std::lock_guard lock(guard);
      if (!error) error = std::current_exception();
      halt = true;
    }
  });
  if (error) std::rethrow_exception(error);
}
}  // namespace monge::kernels::cpu
