#include "kernels/fibers.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "monge/core/error.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#else
// NOLINTBEGIN(bugprone-reserved-identifier): the sanitizer's names
inline void __sanitizer_start_switch_fiber(void**, const void*, std::size_t) {}
inline void __sanitizer_finish_switch_fiber(void*, const void**, std::size_t*) {}
// NOLINTEND(bugprone-reserved-identifier)
#endif

namespace monge::kernels {
namespace {
// Reserved, not used: a fiber touches a few pages. The lowest page is nobody's to touch.
constexpr std::size_t kStackBytes = std::size_t{512} << 10;
constexpr std::size_t kMostKept = 256;

/// Stacks are kept: the pages of a new one take longer than a small solve.
class Stacks {
 public:
  std::byte* take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        std::byte* const base = free_.back();
        free_.pop_back();
        return base;
      }
    }
    void* const base = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) throw OutOfMemory("[fibers] no memory for another stack");
    mprotect(base, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), PROT_NONE);
    return static_cast<std::byte*>(base);
  }
  void give(std::byte* base) {
    {
      const std::lock_guard lock(mutex_);
      if (free_.size() < kMostKept) return free_.push_back(base);
    }
    munmap(base, kStackBytes);
  }

 private:
  std::mutex mutex_;
  std::vector<std::byte*> free_;
};
Stacks& stacks() {
  static Stacks all;
  return all;
}

/// As Boost.Context wants them.
struct StackAllocator {
  std::byte* base;
  boost::context::stack_context allocate() const {
    boost::context::stack_context stack;
    stack.size = kStackBytes;
    stack.sp = base + kStackBytes;
    return stack;
  }
  void deallocate(boost::context::stack_context&) const { stacks().give(base); }
};

/// The fibers of one call of run_fibers.
struct Group {
  const std::function<void(std::int64_t)>* body;
  const Group* outer;
  std::int64_t open = 0;  // that have not ended
  std::exception_ptr error{};

  bool failed() const { return error || (outer && outer->failed()); }
};

struct Fiber {
  enum class State : std::uint8_t { ready, flush, wait, join, ended };
  Group* group;
  std::int64_t index;
  double work;
  std::unique_ptr<FiberState> own;
  State state = State::ready;
  const Group* joined = nullptr;
  const std::function<void()>* call = nullptr;  // for the caller's stack
  std::exception_ptr call_error{};
  boost::context::fiber at{}, caller{};
  std::byte* stack = nullptr;
};

class Scheduler {
 public:
  static thread_local Scheduler* current;

  explicit Scheduler(FiberHost& host) : host_(host), before_(std::exchange(current, this)) {}
  Scheduler(const Scheduler&) = delete;
  ~Scheduler() { current = before_; }

  Fiber* running() const { return running_; }

  void run(std::span<const FiberTask> tasks, double most_work, Group& group) {
    for (;;) {
      while (!tasks.empty() && !group.failed() && live_.size() < kMostFibers &&
             (live_.empty() || work_ + tasks.front().work <= most_work)) {
        start(group, tasks.front());
        tasks = tasks.subspan(1);
      }
      if (resume_ready()) continue;  // an end may leave room for the next, or be waited for
      if (live_.empty()) return;
      if (!group.failed()) serve(group);
      for (const auto& fiber : live_)
        if (group.failed() && fiber->state != Fiber::State::join)
          fiber->state = Fiber::State::ready;
    }
  }

  void start(Group& group, const FiberTask& task) {
    std::unique_ptr<Fiber> fiber(new Fiber{&group, task.index, task.work, host_.begin()});
    Fiber& f = *fiber;
    f.stack = stacks().take();
    f.at = boost::context::fiber(
        std::allocator_arg, StackAllocator{f.stack}, [this, &f](boost::context::fiber&& caller) {
          __sanitizer_finish_switch_fiber(nullptr, &callers_stack_, &callers_bytes_);
          f.caller = std::move(caller);
          try {
            if (!f.group->failed()) (*f.group->body)(f.index);
          } catch (...) {
            if (!f.group->failed()) f.group->error = std::current_exception();
          }
          f.state = Fiber::State::ended;
          __sanitizer_start_switch_fiber(nullptr, callers_stack_, callers_bytes_);
          return std::move(f.caller);
        });
    ++group.open;
    work_ += f.work;
    live_.push_back(std::move(fiber));
  }

  /// In the running fiber: to the caller, until somebody resumes it.
  void leave(Fiber& f) {
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, callers_stack_, callers_bytes_);
    f.caller = std::move(f.caller).resume();
    __sanitizer_finish_switch_fiber(fake, &callers_stack_, &callers_bytes_);
  }

 private:
  void resume(Fiber& f) {
    for (;;) {
      running_ = &f;
      f.state = Fiber::State::ready;
      void* fake = nullptr;
      __sanitizer_start_switch_fiber(&fake, f.stack, kStackBytes);
      f.at = std::move(f.at).resume();
      __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
      running_ = nullptr;
      if (!f.call) return;
      try {
        (*std::exchange(f.call, nullptr))();
      } catch (...) {
        f.call_error = std::current_exception();
      }
    }
  }

  /// Whether any ran.
  bool resume_ready() {
    bool ran = false;
    // It grows where one starts others. NOLINTNEXTLINE(modernize-loop-convert)
    for (std::size_t i = 0; i < live_.size(); ++i) {
      Fiber& f = *live_[i];
      const bool ready =
          f.state == Fiber::State::join ? f.joined->open == 0 : f.state == Fiber::State::ready;
      if (!ready) continue;
      ran = true;
      resume(f);
      if (f.state != Fiber::State::ended) continue;
      --f.group->open;
      work_ -= f.work;
      host_.end(std::move(f.own));
    }
    std::erase_if(live_, [](const auto& f) { return f->state == Fiber::State::ended; });
    return ran;
  }

  void serve(Group& group) {
    const auto release = [&](Fiber::State state) {
      bool any = false;
      for (const auto& f : live_)
        if (f->state == state) {
          f->state = Fiber::State::ready;
          any = true;
        }
      return any;
    };
    try {
      host_.flush();
      if (release(Fiber::State::flush)) return;
      host_.wait();
      release(Fiber::State::wait);
    } catch (...) {
      group.error = std::current_exception();
    }
  }

  FiberHost& host_;
  Scheduler* const before_;
  std::vector<std::unique_ptr<Fiber>> live_;
  double work_ = 0;  // of those that live
  Fiber* running_ = nullptr;
  const void* callers_stack_ = nullptr;
  std::size_t callers_bytes_ = 0;
};
thread_local Scheduler* Scheduler::current = nullptr;

Fiber* running() { return Scheduler::current ? Scheduler::current->running() : nullptr; }
}  // namespace

void run_fibers(std::span<const FiberTask> tasks, double most_work,
                const std::function<void(std::int64_t)>& body, FiberHost* host) {
  Fiber* const parent = running();
  Group group{&body, parent ? parent->group : nullptr};
  if (parent) {
    for (const FiberTask& task : tasks) Scheduler::current->start(group, {task.index, 0});
    parent->joined = &group;
    parent->state = Fiber::State::join;
    Scheduler::current->leave(*parent);
  } else {
    Scheduler(*host).run(tasks, most_work, group);
  }
  if (group.error) std::rethrow_exception(group.error);
  if (group.failed()) throw Interrupted();
}

FiberState* fiber_state() {
  const Fiber* const fiber = running();
  return fiber ? fiber->own.get() : nullptr;
}
bool in_fiber() { return running() != nullptr; }

void park(bool wait) {
  Fiber& f = *running();
  f.state = wait ? Fiber::State::wait : Fiber::State::flush;
  Scheduler::current->leave(f);
  if (f.group->failed()) throw Interrupted();
}

void on_callers_stack(const std::function<void()>& call) {
  Fiber* const f = running();
  if (!f) return call();
  f->call = &call;
  Scheduler::current->leave(*f);
  if (f->call_error) std::rethrow_exception(std::exchange(f->call_error, nullptr));
}
}  // namespace monge::kernels
