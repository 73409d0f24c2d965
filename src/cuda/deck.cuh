// The host of fibers on one stream of a device: deals their tapes out to it.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cuda/answer.cuh"
#include "cuda/chain.cuh"
#include "cuda/launch.cuh"
#include "cuda/tape.cuh"

namespace monge::cuda {
/// Blocks cut from slabs, by classes of size, so that what is freed fits what comes.
class Heap {
 public:
  struct Slab {
    std::byte* data;
    std::int64_t bytes, used = 0, out = 0;  // out: blocks that were taken and not given back
  };
  Heap(std::int64_t slab_bytes, std::function<std::byte*(std::int64_t)> make_slab)
      : slab_bytes_(slab_bytes), make_slab_(std::move(make_slab)) {}

  using Memory = Tape::Memory;
  static int size_class(std::int64_t bytes);
  Memory take(int size_class);
  /// Its user may take it again, or put it back.
  void free(const Memory& memory) { --slabs_[memory.slab].out; }
  void retake(const Memory& memory) { ++slabs_[memory.slab].out; }
  void put_back(const Memory& memory);
  const std::vector<Slab>& slabs() const { return slabs_; }

 private:
  const std::int64_t slab_bytes_;
  const std::function<std::byte*(std::int64_t)> make_slab_;
  std::vector<Slab> slabs_;
  std::vector<std::vector<Memory>> spare_;  // by class
};

class Deck : public kernels::FiberHost {
 public:
  /// For the device and stream of `exec`, whose stop flag and hook are asked.
  explicit Deck(Exec& exec);
  /// Waits.
  ~Deck() override;

  std::unique_ptr<kernels::FiberState> begin() override;
  void end(std::unique_ptr<kernels::FiberState>) override;
  void flush() override;
  void wait() override;

 private:
  friend Tape;
  /// Tables on their way: filled on the host, copied to the device, read by the launches after it.
  struct Chunk {
    Chunk(std::int64_t bytes, Device device) : host(bytes), device(bytes, device) {}
    Pinned host;
    Buffer<std::byte> device;
    std::size_t used = 0, sent = 0;
  };
  struct Deal {
    const Kernel* kernel;
    const void* rows;  // or the arguments of one
    const TableItem* items;
    dim3 grid;
    std::size_t shared;
    const Chain* chain = nullptr;  // of so many rows as the grid is wide
  };
  /// A launch, or the links of a chain, where a tape goes on.
  struct Front {
    Tape* tape;
    std::size_t next = 0, count = 1;
    const Tape::Launch& launch(std::size_t after = 0) const {
      return tape->launches_[next + after];
    }
  };

  /// Those that come to a kernel, or to chains of a kind.
  struct Queue {
    const Kernel* kernel;
    const Chain* chain;
    std::vector<Front> fronts{};
  };

  /// Puts work on the stream behind all that stands on `other`.
  void join(cudaStream_t other);
  void queue(Front front);
  const Chain* begin_chain(Front& front) const;
  Chunk& chunk(std::size_t bytes);
  void deal(Queue& from);
  void deal_chains(const Chain& chain);
  void submit();

  Exec& exec_;
  const cudaStream_t stream_;
  const bool chains_ = on_hopper();
  std::vector<cudaStream_t> joined_;  // beside it
  double work_ = 0;
  std::deque<Pinned> pinned_slabs_;
  Heap device_, pinned_;
  std::vector<Tape*> live_;
  std::vector<std::unique_ptr<Tape>> ended_, spare_;
  std::unordered_map<void*, Tape::Memory> held_;  // behind pointers
  std::vector<void*> later_;                      // of others, to be freed after a wait
  std::vector<Tape::Memory> unpinned_;            // and pinned memory
  std::vector<Queue> queues_;
  std::vector<Front> dealt_;
  std::vector<Deal> deals_;
  std::deque<Chunk> chunks_;
  std::size_t chunks_used_ = 0;
};
}  // namespace monge::cuda
