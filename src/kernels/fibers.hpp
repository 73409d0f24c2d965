// Host code of many entries on the calling thread, each on a stack of its own: loops stay plain
// code, and where one would wait for a device it parks, so that what all of them want is done at
// once. Nothing depends on how the entries take turns but when they are served.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace monge::kernels {
/// What a fiber has of its host's.
struct FiberState {
  virtual ~FiberState() = default;
};

/// Serves the fibers. An exception of its ends them all.
class FiberHost {
 public:
  virtual ~FiberHost() = default;
  /// A fiber is about to begin.
  virtual std::unique_ptr<FiberState> begin() = 0;
  /// It ended; its state goes.
  virtual void end(std::unique_ptr<FiberState>) = 0;
  /// All that live are parked: puts to the device what they left for it.
  virtual void flush() = 0;
  /// And they want its answers.
  virtual void wait() = 0;
};

struct FiberTask {
  std::int64_t index;
  double work;
};
/// body(index) of all tasks, in the order given, as many at a time as together have `most_work`,
/// and kMostFibers at most: what more of them touch between two turns leaves the caches. An
/// exception ends the others where they park, by Interrupted, and is rethrown. Inside a fiber: as
/// fibers of the same host, `host` and `most_work` unused.
inline constexpr int kMostFibers = 128;
void run_fibers(std::span<const FiberTask> tasks, double most_work,
                const std::function<void(std::int64_t)>& body, FiberHost* host);

/// Of the fiber that runs; null outside. `in_fiber` where the host gave none.
FiberState* fiber_state();
bool in_fiber();

/// In a fiber: what it left is put to the device, and after `wait` is done. Throws Interrupted
/// where another fiber failed.
void park(bool wait);

/// call() on the caller's own stack, which has room for more than a fiber's; outside of fibers as
/// it is.
void on_callers_stack(const std::function<void()>& call);
}  // namespace monge::kernels
