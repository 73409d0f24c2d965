#include "cpu/parallel.hpp"

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>

#include "kernels/poll.hpp"
#include "kernels/threads.hpp"

namespace monge::cpu {
namespace {
// libgomp's pool does not survive fork(): a child that entered it would wait for ever on threads
// that do not exist. Children therefore run on the calling thread alone.
std::atomic<bool> forked{false};
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] { forked = true; });

// Cores of the cgroup quota (v2, then v1), or a large number where there is none.
int quota_cores() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0)
    return std::max(1, static_cast<int>(std::ceil(std::atof(quota.c_str()) / period)));
  std::ifstream q1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
      p1("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double q = 0;
  if (q1 >> q && p1 >> period && q > 0 && period > 0)
    return std::max(1, static_cast<int>(std::ceil(q / period)));
  return 1 << 20;
}

int machine_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int affinity = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  int threads = std::min(std::max(1, affinity), quota_cores());
  if (const char* text = std::getenv("OMP_NUM_THREADS"))
    if (const int limit = std::atoi(text); limit > 0) threads = std::min(threads, limit);
  return threads;
}
}  // namespace

int thread_count(const Exec& exec) {
  if (forked || omp_in_parallel()) return 1;
  static const int machine = machine_threads();
  return exec.threads > 0 ? exec.threads : machine;
}

void team(int threads, const std::function<void(int)>& run) {
  if (threads <= 1) return run(0);
#pragma omp parallel num_threads(threads)
  run(omp_get_thread_num());
}

void parallel_blocks(std::int64_t blocks, Exec& exec,
                     const std::function<void(std::int64_t, int)>& body, double work) {
  const int threads =
      work < kSmallWork ? 1 : static_cast<int>(std::min<std::int64_t>(thread_count(exec), blocks));
  if (threads <= 1) {
    for (std::int64_t block = 0; block < blocks; ++block) {
      kernels::poll(exec, static_cast<double>(block) / static_cast<double>(blocks));
      body(block, 0);
    }
    return;
  }
  std::atomic<std::int64_t> next{0}, done{0};
  std::atomic<bool> halt{false}, interrupted{false};
  std::exception_ptr error;
  std::mutex guard;

  const auto poll = [&] {
    if (!kernels::hook_is_due()) return;
    exec.state.pass_fraction = static_cast<double>(done) / static_cast<double>(blocks);
    if (!exec.progress(exec.state)) interrupted = halt = true;
  };
  const auto run = [&](int thread) {
    try {
      for (;;) {
        if (kernels::stopped(exec)) interrupted = halt = true;
        if (thread == 0 && exec.progress) poll();
        if (halt) return;
        const std::int64_t block = next++;
        if (block >= blocks) return;
        body(block, thread);
        ++done;
      }
    } catch (...) {
      const std::lock_guard lock(guard);
      if (!error) error = std::current_exception();
      halt = true;
    }
  };

  team(threads, run);
  if (error) std::rethrow_exception(error);
  if (interrupted) throw Interrupted();
}
}  // namespace monge::cpu

namespace monge::kernels {
int host_threads(const Exec& exec) { return monge::cpu::thread_count(exec); }
void host_team(int threads, const std::function<void(int)>& run) { monge::cpu::team(threads, run); }
}  // namespace monge::kernels
