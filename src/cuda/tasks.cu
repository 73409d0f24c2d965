// A task is a fiber; what it launches joins the launches of the others (tape.cuh).
#include "kernels/tasks.hpp"

#include <algorithm>
#include <vector>

#include "cuda/current.cuh"
#include "cuda/deck.cuh"

namespace monge::kernels::cuda {
namespace {
// Of the tasks that live: a sweep of all of them takes some 5 ms, which fills any device; more
// would only take memory, of which an absorbed kernel has 8 bytes a pair.
constexpr double kMostWork = 5e10;
}  // namespace

void tasks(std::span<const double> work, const TaskBody& body, Exec& exec) {
  const auto count = static_cast<std::int64_t>(work.size());
  std::int64_t done = 0;
  std::vector<const Exec*> running;
  const auto own_exec = [&] {
    Exec own;
    own.device = exec.device;
    own.stream = exec.stream;
    own.stop = exec.stop;
    return own;
  };
  const auto run = [&](std::int64_t i) {
    Exec own = own_exec();
    running.push_back(&own);
    struct Leave {
      std::vector<const Exec*>& running;
      const Exec* own;
      ~Leave() { running.erase(std::find(running.begin(), running.end(), own)); }
    } const leave{running, &own};
    body(i, own);
    ++done;
  };
  std::vector<FiberTask> tasks;
  for (std::int64_t i = 0; i < count; ++i) tasks.push_back({i, work[i]});
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const FiberTask& a, const FiberTask& b) { return a.work > b.work; });
  if (in_fiber()) return run_fibers(tasks, 0, run, nullptr);

  Exec asked = own_exec();  // between the turns of the fibers
  if (exec.progress)
    asked.progress = [&](const Progress&) {
      Progress at = running.empty() ? exec.state : running.front()->state;
      at.entries = count;
      at.entries_done = done;
      return exec.progress(at);
    };
  const monge::cuda::Current current(exec);
  monge::cuda::Deck deck(asked);
  run_fibers(tasks, kMostWork, run, &deck);
  deck.flush();
  deck.wait();
}
}  // namespace monge::kernels::cuda
