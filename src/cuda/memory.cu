// Memory of the device, from the pool of scratch: mapping pages anew would cost a small solve more
// than its iterations. Between the end of a block and its next use the device is waited for, so
// nothing that a stream still reads is ever handed out again, and what is handed out is ready for
// every stream. Small blocks are kept, as the driver takes as long over one as over a kernel, and
// one wait serves all that came back before it.
#include "kernels/memory.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cuda/answer.cuh"
#include "cuda/copy.cuh"
#include "cuda/current.cuh"

namespace monge::cuda {
namespace {
/// Allocations are queued on a stream of their own, on which no work ever waits.
cudaStream_t allocations(Device device) {
  static cudaStream_t streams[kDevices] = {};
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  auto& stream = streams[device.index];
  if (!stream) check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  return stream;
}

/// Small blocks of a device that nobody uses, by their bytes: the next solve asks for the same, and
/// what compute-sanitizer sees of their ends stays exact.
class Spares {
 public:
  static constexpr std::int64_t kLargest = std::int64_t{8} << 20;

  static Spares& of(Device device) {
    static auto* const all = new Spares[kDevices];  // arrays may be freed while the process exits
    return all[device.index];
  }
  /// The one that came back first; null: there is none. Of the current device.
  void* take(std::int64_t bytes) {
    std::unique_lock lock(mutex_);
    const auto found = spare_.find(bytes);
    if (found == spare_.end() || found->second.empty()) return nullptr;
    const auto [data, returned] = found->second.front();
    found->second.pop_front();
    kept_ -= bytes;
    if (returned <= waited_) return data;
    const std::int64_t now = returned_;
    lock.unlock();
    check(cudaDeviceSynchronize(), "memory");
    lock.lock();
    waited_ = std::max(waited_, now);
    return data;
  }
  /// A block that was allocated where there was none.
  void add(void* data, std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_[data] = bytes;
  }
  /// What the driver gets back, after a wait: nothing; the block, if it is none of these; or all,
  /// for room.
  std::vector<void*> put_back(void* data) {
    const std::lock_guard lock(mutex_);
    const auto known = bytes_.find(data);
    if (known == bytes_.end()) return {data};
    const std::int64_t bytes = known->second;
    std::vector<void*> out;
    if (kept_ + bytes > kMost) out = empty();
    spare_[bytes].push_back({data, ++returned_});
    kept_ += bytes;
    return out;
  }
  /// All of them, to be freed after a wait.
  std::vector<void*> give_up() {
    const std::lock_guard lock(mutex_);
    return empty();
  }

 private:
  static constexpr std::int64_t kMost = std::int64_t{64} << 20;  // half of what the pool keeps
  struct Spare {
    void* data;
    std::int64_t returned;  // as which; all up to waited_ were waited for
  };

  std::vector<void*> empty() {
    std::vector<void*> out;
    for (auto& [bytes, blocks] : spare_)
      for (const Spare& spare : blocks) out.push_back(spare.data);
    for (void* const data : out) bytes_.erase(data);
    spare_.clear();
    kept_ = 0;
    return out;
  }

  std::mutex mutex_;
  std::unordered_map<void*, std::int64_t> bytes_;  // of every block, spare or not
  std::unordered_map<std::int64_t, std::deque<Spare>> spare_;
  std::int64_t kept_ = 0, returned_ = 0, waited_ = 0;
};
}  // namespace

void* allocate_now(std::int64_t bytes, Device device) {
  const Current current(device);
  const bool small = bytes <= Spares::kLargest;
  Spares& spares = Spares::of(device);
  if (small)
    if (void* const data = spares.take(bytes)) return data;
  const cudaStream_t stream = allocations(device);
  void* data = nullptr;
  const auto attempt = [&] {
    return cudaMallocFromPoolAsync(&data, static_cast<std::size_t>(bytes), scratch_pool(), stream);
  };
  cudaError_t error = attempt();
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    const auto given_up = spares.give_up();
    check(cudaDeviceSynchronize(), "memory");
    for (void* const spare : given_up) cudaFreeAsync(spare, stream);
    error = attempt();
  }
  if (error == cudaSuccess) {
    check(cudaStreamSynchronize(stream), "memory");
    if (small) spares.add(data, bytes);
    return data;
  }
  if (error != cudaErrorMemoryAllocation) check(error, "memory");
  cudaGetLastError();
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  throw DeviceError("[cuda] no memory for " + std::to_string(bytes) + " bytes on " +
                    to_string(device) + ": " + std::to_string(free) + " of " +
                    std::to_string(total) + " are free");
}

void deallocate_now(void* data, Device device) noexcept {
  try {
    const Current current(device);
    const auto freed = Spares::of(device).put_back(data);
    if (!freed.empty()) check(cudaDeviceSynchronize(), "memory");
    for (void* const block : freed) check(cudaFreeAsync(block, allocations(device)), "memory");
  } catch (const Error&) {  // the device is lost, or we are exiting
  }
}
}  // namespace monge::cuda

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr std::int64_t kSmallAnswer = std::int64_t{64} << 10;

/// A copy that need not stand alone; what is of the host goes through pinned memory. False: the
/// copy is too large for that, or goes elsewhere.
bool record_copy(Tape& tape, void* to, Device to_device, const void* from, Device from_device,
                 std::int64_t bytes, void* stream) {
  constexpr std::int64_t kMost = std::int64_t{1} << 20;
  const bool of_host = !to_device.is_cuda() || !from_device.is_cuda();
  if (of_host ? bytes > kMost : to_device != from_device) return false;
  Exec exec;
  exec.stream = stream;
  const auto record = [&](void* to, const void* from) {
    constexpr int kBytes = 16 * CopyBytes::kThreads;
    launch(CopyBytes{to, from, bytes}, (bytes + kBytes - 1) / kBytes, exec);
  };
  if (!from_device.is_cuda()) {
    const Tape::Memory pinned = tape.pin(bytes);
    std::memcpy(pinned.data, from, static_cast<std::size_t>(bytes));
    record(to, pinned.data);
    tape.unpin_later(pinned);
  } else if (!to_device.is_cuda()) {
    const Answer answer(bytes);
    record(answer.as<void>(), from);
    tape.settle(true);
    std::memcpy(to, answer.as<void>(), static_cast<std::size_t>(bytes));
  } else {
    record(to, from);
  }
  return true;
}

/// Whether a GPU reads the host's memory where it stands, after the call that said so returned.
bool is_pinned(const void* data) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, data), "copy");
  return attributes.type != cudaMemoryTypeUnregistered;
}
}  // namespace

void* allocate(std::int64_t bytes, Device device) {
  if (Tape* const tape = Tape::current()) return tape->allocate(bytes);
  return allocate_now(bytes, device);
}

void deallocate(void* data, Device device) noexcept {
  if (!data) return;
  if (Tape* const tape = Tape::current()) return tape->release(data);
  if (!release_block(data)) deallocate_now(data, device);
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::int64_t bytes,
          void* stream) {
  Tape* const tape = Tape::current();
  if (tape && record_copy(*tape, to, to_device, from, from_device, bytes, stream)) return;
  const Current current(to_device.is_cuda() ? to_device : from_device);
  auto on = static_cast<cudaStream_t>(stream);
  if (tape) on = tape->stream(on);
  // A small answer comes by way of pinned memory: straight to the host's it takes twice as long.
  std::optional<Answer> answer;
  if (!tape && !to_device.is_cuda() && from_device.is_cuda() && bytes <= kSmallAnswer)
    answer.emplace(bytes);
  const cudaError_t error = cudaMemcpyAsync(answer ? answer->as<void>() : to, from,
                                            static_cast<std::size_t>(bytes), cudaMemcpyDefault, on);
  if (error != cudaSuccess)
    check(error, ("copy of " + std::to_string(bytes) + " bytes from " + to_string(from_device) +
                  " to " + to_string(to_device))
                     .c_str());
  if (!to_device.is_cuda() || (!from_device.is_cuda() && is_pinned(from)))
    check(cudaStreamSynchronize(on), "copy");
  if (answer) std::memcpy(to, answer->as<void>(), static_cast<std::size_t>(bytes));
}

void synchronize(Device device, void* stream) {
  if (Tape* const tape = Tape::current()) return tape->settle(true);
  const Current current(device);
  check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "synchronize");
}

void release_memory(Device device) {
  const Current current(device);
  const cudaStream_t stream = allocations(device);
  const auto given_up = Spares::of(device).give_up();
  check(cudaDeviceSynchronize(), "memory");
  for (void* const spare : given_up) check(cudaFreeAsync(spare, stream), "memory");
  check(cudaStreamSynchronize(stream), "memory");
  check(cudaMemPoolTrimTo(scratch_pool(), 0), "memory");
}
}  // namespace monge::kernels::cuda
