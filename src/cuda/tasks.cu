// A task is a fiber; what it launches joins the launches of the others (tape.cuh). Some threads,
// each with a stream and fibers of its own, share the tasks: what bounds small ones is the host.
#include "kernels/tasks.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cuda/current.cuh"
#include "cuda/deck.cuh"
#include "kernels/poll.hpp"
#include "kernels/threads.hpp"

namespace monge::kernels::cuda {
namespace {
// Of the tasks that live: a sweep of all of them takes some 5 ms, which fills any device; more
// would only take memory, of which an absorbed kernel has 8 bytes a pair.
constexpr double kMostWork = 5e10;
constexpr std::int64_t kTasksOfThread = 8;  // at least: their launches are as many as those of one
constexpr std::int64_t kMostThreads = 8;    // the driver serves one at a time

/// A stream of the current device beside all others, kept for the next.
class OwnStream {
 public:
  OwnStream() : device_(monge::cuda::current_device()) {
    const std::lock_guard lock(mutex());
    auto& kept = free_streams()[device_];
    if (kept.empty()) {
      monge::cuda::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
    } else {
      stream_ = kept.back();
      kept.pop_back();
    }
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  ~OwnStream() {
    const std::lock_guard lock(mutex());
    free_streams()[device_].push_back(stream_);
  }
  cudaStream_t get() const { return stream_; }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::vector<cudaStream_t>* free_streams() {
    static std::vector<cudaStream_t> streams[monge::cuda::kDevices];
    return streams;
  }

  const int device_;
  cudaStream_t stream_ = nullptr;
};

/// The tasks of one thread, on `stream`, at the word of `asked`.
void serve(std::span<const FiberTask> tasks, double most_work, const TaskBody& body,
           const Exec& exec, cudaStream_t stream, Exec& asked, std::vector<const Exec*>& running,
           std::atomic<std::int64_t>& done) {
  const auto run = [&](std::int64_t i) {
    Exec own;
    own.device = exec.device;
    own.stream = exec.stream;
    own.stop = asked.stop;
    running.push_back(&own);
    struct Leave {
      std::vector<const Exec*>& running;
      const Exec* own;
      ~Leave() { running.erase(std::find(running.begin(), running.end(), own)); }
    } const leave{running, &own};
    body(i, own);
    ++done;
  };
  if (in_fiber()) {  // tapes know no order among them: what one needs of another was put out before
    monge::cuda::Tape::current()->settle(false);
    run_fibers(tasks, 0, run, nullptr);
    return park(false);
  }
  asked.device = exec.device;
  asked.stream = stream;
  monge::cuda::Deck deck(asked);
  run_fibers(tasks, most_work, run, &deck);
  deck.flush();
  deck.wait();
}
}  // namespace

void tasks(std::span<const double> work, const TaskBody& body, Exec& exec) {
  const auto count = static_cast<std::int64_t>(work.size());
  std::vector<FiberTask> sorted;
  for (std::int64_t i = 0; i < count; ++i) sorted.push_back({i, work[i]});
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const FiberTask& a, const FiberTask& b) { return a.work > b.work; });
  std::atomic<std::int64_t> done{0};
  if (in_fiber()) {
    Exec asked;
    asked.stop = exec.stop;
    std::vector<const Exec*> running;
    return serve(sorted, 0, body, exec, nullptr, asked, running, done);
  }

  const std::int64_t threads = std::clamp<std::int64_t>(
      std::min<std::int64_t>(host_threads(exec), count / kTasksOfThread), 1, kMostThreads);
  std::vector<std::vector<FiberTask>> shares(threads);
  for (std::int64_t i = 0; i < count; ++i) shares[i % threads].push_back(sorted[i]);
  // The calling thread asks the caller, all others it: `halt` is its word to them, and theirs to
  // it.
  std::atomic<bool> halt{false};
  std::exception_ptr error;
  std::mutex guard;
  host_team(static_cast<int>(threads), [&](int thread) {
    try {
      const monge::cuda::Current current(exec);
      std::vector<const Exec*> running;
      Exec asked;  // between the turns of the fibers
      asked.stop = thread == 0 ? exec.stop : &halt;
      if (thread == 0)
        asked.progress = [&](const Progress&) {
          if (!exec.progress) return !halt;
          Progress at = running.empty() ? exec.state : running.front()->state;
          at.entries = count;
          at.entries_done = done;
          return !halt && exec.progress(at);
        };
      std::optional<OwnStream> own;
      if (threads > 1) own.emplace();
      serve(shares[thread], kMostWork / static_cast<double>(threads), body, exec,
            own ? own->get() : static_cast<cudaStream_t>(exec.stream), asked, running, done);
      for (; thread == 0 && !halt && done < count;
           std::this_thread::sleep_for(std::chrono::microseconds(20)))
        poll(asked, 0);
    } catch (...) {
      const std::lock_guard lock(guard);
      if (!error) error = std::current_exception();
      halt = true;
    }
  });
  if (error) std::rethrow_exception(error);
}
}  // namespace monge::kernels::cuda
