// Launches that wait for company. Inside a fiber (kernels/fibers.hpp) a kernel is not launched but
// recorded, with memory beside the queue of the device; when all fibers are parked, those of their
// launches that are of one kernel go to the device as one, which takes their arguments from a
// table. What is not recorded comes after what is, by stream_of(): a verb need not know of it.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/fibers.hpp"
#include "monge/core/device.hpp"

namespace monge::cuda {
struct TableItem {  // of a thread block
  unsigned row, block;
};

/// A kernel of launch.cuh, whatever its type.
struct Kernel {
  const char* tag;  // the address of kTag of its type
  std::size_t row_bytes, args_at,
      args_bytes;  // of a table: width and height of the grid, arguments
  void (*one)(const void* args, dim3 grid, std::size_t shared, cudaStream_t);
  void (*many)(const void* rows, const TableItem* items, unsigned blocks, std::size_t shared,
               cudaStream_t);
};

class Deck;

/// What one fiber has recorded, and its memory.
class Tape : public kernels::FiberState {
 public:
  explicit Tape(Deck& deck) : deck_(deck) {}
  /// Of the fiber that runs; null outside.
  static Tape* current() { return static_cast<Tape*>(kernels::fiber_state()); }

  void record(const Kernel& kernel, const void* args, dim3 grid, std::size_t shared,
              cudaStream_t stream);
  /// To the stream goes what was recorded; `wait`: and is done.
  void settle(bool wait);
  /// The stream, behind all that was recorded and all that stands on `own`.
  cudaStream_t stream(cudaStream_t own);
  /// Counts multiply-adds; waits where many are recorded, so that the caller is asked in time.
  void pace(double work);

  struct Memory {
    void* data = nullptr;
    int size_class = 0, slab = 0;
  };
  /// On the device: to be used in the order of the records.
  Memory take(std::int64_t bytes);
  void put_back(const Memory& memory);
  /// The same behind a pointer. Whoever holds it when the fibers have ended gives it to
  /// deallocate().
  void* allocate(std::int64_t bytes);
  void release(void* data);
  /// Pinned, of the host.
  Memory pin(std::int64_t bytes);
  void unpin(const Memory& memory);
  /// When all that is recorded is done.
  void unpin_later(const Memory& memory);

 private:
  friend Deck;
  struct Launch {
    const Kernel* kernel;
    std::size_t args;  // where they begin
    dim3 grid;
    std::size_t shared;
  };

  Deck& deck_;
  std::vector<Launch> launches_;
  std::vector<std::byte> args_;
  std::vector<Memory> free_;
};

/// Memory of the device from its pool, whatever fiber runs.
void* allocate_now(std::int64_t bytes, Device device);
void deallocate_now(void* data, Device device) noexcept;
/// deallocate() of a block that a Tape allocated: true where it was one.
bool release_block(void* data);
}  // namespace monge::cuda
