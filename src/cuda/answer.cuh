// Small results for the host: pinned memory of the host that a kernel writes itself, so that
// nothing is copied and the host waits for that kernel alone.
#pragma once
#include <algorithm>
#include <mutex>
#include <optional>
#include <vector>

#include "cuda/launch.cuh"

namespace monge::cuda {
/// Pinning takes longer than a small solve: blocks are kept, as many as calls ran at a time.
class Pinned {
 public:
  explicit Pinned(std::int64_t bytes) {
    {
      const std::lock_guard<std::mutex> lock(mutex());
      auto& blocks = free_blocks();
      auto fits = blocks.end();  // the smallest that does
      for (auto block = blocks.begin(); block != blocks.end(); ++block)
        if (block->bytes >= bytes && (fits == blocks.end() || block->bytes < fits->bytes))
          fits = block;
      if (fits != blocks.end()) {
        block_ = *fits;
        blocks.erase(fits);
        return;
      }
    }
    block_.bytes = std::max(bytes, kLeast);
    check(cudaHostAlloc(&block_.data, static_cast<std::size_t>(block_.bytes),
                        cudaHostAllocPortable | cudaHostAllocMapped),
          "pinned memory");
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() {
    if (block_.bytes > kMostKept) {
      cudaFreeHost(block_.data);
      return;
    }
    const std::lock_guard<std::mutex> lock(mutex());
    free_blocks().push_back(block_);
  }

  void* data() const { return block_.data; }

 private:
  struct Block {
    void* data = nullptr;
    std::int64_t bytes = 0;
  };
  static constexpr std::int64_t kLeast = std::int64_t{64} << 10, kMostKept = std::int64_t{4} << 20;
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::vector<Block>& free_blocks() {
    static std::vector<Block> blocks;
    return blocks;
  }

  Block block_;
};

class Answer {
 public:
  explicit Answer(std::int64_t bytes) : tape_(Tape::current()) {
    if (tape_)
      memory_ = tape_->pin(bytes);
    else
      memory_.data = own_.emplace(bytes).data();
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() {
    if (tape_) tape_->unpin(memory_);
  }

  /// For kernels of any device; for the host after a wait.
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_.data);
  }

 private:
  Tape* const tape_;
  std::optional<Pinned> own_;
  Tape::Memory memory_;
};
}  // namespace monge::cuda
