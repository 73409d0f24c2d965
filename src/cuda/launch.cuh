// Launching kernels: the stream of an Exec, its scratch, and errors as exceptions.
#pragma once
#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <type_traits>

#include "cuda/tape.cuh"
#include "monge/core/error.hpp"
#include "monge/core/exec.hpp"

namespace monge::cuda {
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // not the next call's
  throw DeviceError(std::string("[cuda] ") + what + ": " + cudaGetErrorString(status));
}

/// After a launch: errors of the launch itself. Those of the kernel appear at the next sync.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

inline constexpr int kDevices = 64;

/// The current device, an index below kDevices.
inline int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "device");
  if (device >= kDevices) throw DeviceError("[cuda] more than 64 devices");
  return device;
}

/// Whether the code compiled for sm_90a runs on the current device. Else that of sm_80 does, or
/// what the driver makes of its PTX, also on a Hopper GPU: a build for sm_80 alone,
/// CUDA_FORCE_PTX_JIT.
bool on_hopper();

/// Which block of its grid: as blockIdx and gridDim.x say where the kernel is launched alone.
struct Block {
  unsigned x, y, z, width;
};

/// A kernel is a struct of its arguments, plain data, with
///   kThreads, and kResident where it asks for that many blocks to a multiprocessor
///   __device__ void operator()(Block) const, which begins with await_previous().
/// It is launched alone, or from a table with others of its kind (tape.cuh).
template <class K>
constexpr int resident() {
  if constexpr (requires { K::kResident; }) return K::kResident;
  return 1;
}
template <class K>
struct TableRow {
  unsigned width, height;
  K kernel;
};

/// Kernels that launch() put on a stream so far, one or many at a time: tests count them.
inline std::atomic<std::int64_t>& launch_count() {
  static std::atomic<std::int64_t> count{0};
  return count;
}

#if defined(__CUDACC__)
template <class K>
__global__ void __launch_bounds__(K::kThreads, resident<K>())
    one_kernel(const __grid_constant__ K kernel) {
  kernel(Block{blockIdx.x, blockIdx.y, blockIdx.z, gridDim.x});
}

template <class K>
__global__ void __launch_bounds__(K::kThreads, resident<K>())
    many_kernel(const TableRow<K>* rows, const TableItem* items) {
  using Word = unsigned long long;
  constexpr int kWords = sizeof(TableRow<K>) / sizeof(Word);
  static_assert(kWords * sizeof(Word) == sizeof(TableRow<K>));
  __shared__ __align__(16) Word words[kWords];
  const TableItem item = items[blockIdx.x];
  const Word* const from = reinterpret_cast<const Word*>(rows + item.row);
  for (int t = threadIdx.x; t < kWords; t += K::kThreads) words[t] = from[t];
  __syncthreads();
  const auto& row = *reinterpret_cast<const TableRow<K>*>(words);
  const unsigned x = item.block % row.width, rest = item.block / row.width;
  row.kernel(Block{x, rest % row.height, rest / row.height, row.width});
}

/// A kernel that begins with await_previous(): on Hopper its blocks may be set up while the kernel
/// before it still runs.
template <class... Parameters>
void launch_early(void (*kernel)(Parameters...), dim3 blocks, unsigned threads, std::size_t shared,
                  cudaStream_t stream, std::type_identity_t<Parameters>... parameters) {
  if (shared > std::size_t{48} << 10)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared)),
          "shared memory");
  launch_count().fetch_add(1, std::memory_order_relaxed);
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &early;
  config.numAttrs = on_hopper() ? 1 : 0;  // where the code that waits is compiled
  check(cudaLaunchKernelEx(&config, kernel, parameters...), "launch");
}

/// Of a kernel, for those who are not to instantiate it.
template <class K>
inline constexpr char kTag = 0;

template <class K>
inline constexpr Kernel kKernel{
    .tag = &kTag<K>,
    .row_bytes = sizeof(TableRow<K>),
    .args_at = std::max(2 * sizeof(unsigned), alignof(K)),
    .args_bytes = sizeof(K),
    .one =
        [](const void* args, dim3 grid, std::size_t shared, cudaStream_t stream) {
          launch_early(one_kernel<K>, grid, K::kThreads, shared, stream,
                       *static_cast<const K*>(args));
        },
    .many =
        [](const void* rows, const TableItem* items, unsigned blocks, std::size_t shared,
           cudaStream_t stream) {
          launch_early(many_kernel<K>, blocks, K::kThreads, shared, stream,
                       static_cast<const TableRow<K>*>(rows), items);
        }};

template <class K>
void launch(const K& kernel, dim3 grid, const Exec& exec, std::size_t shared = 0) {
  static_assert(std::is_trivially_copyable_v<K>);
  const auto stream = static_cast<cudaStream_t>(exec.stream);
  if (Tape* const tape = Tape::current())
    return tape->record(kKernel<K>, &kernel, grid, shared, stream);
  kKernel<K>.one(&kernel, grid, shared, stream);
}
template <class K>
void launch(const K& kernel, std::int64_t blocks, const Exec& exec, std::size_t shared = 0) {
  launch(kernel, dim3(static_cast<unsigned>(blocks)), exec, shared);
}

/// Until all that the previous kernel wrote is there. Before any access to memory.
__device__ __forceinline__ void await_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/// The next kernel's blocks may be set up as this one's leave room.
__device__ __forceinline__ void allow_next() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#endif

/// The stream that all work of this Exec is queued on, behind all that stands on it so far.
inline cudaStream_t stream_of(const Exec& exec) {
  const auto stream = static_cast<cudaStream_t>(exec.stream);
  Tape* const tape = Tape::current();
  return tape ? tape->stream(stream) : stream;
}

/// Until the work of this Exec is done.
inline void wait(const Exec& exec, const char* what) {
  if (Tape* const tape = Tape::current()) return tape->settle(true);
  check(cudaStreamSynchronize(stream_of(exec)), what);
}

/// Where scratch and arrays of the current device come from: a pool of its own, which keeps what
/// was freed, so that allocating maps nothing: while nothing runs up to a 64th of the device's
/// memory, at least 128 MiB (half of it as spare blocks of memory.cu) and at most 1 GiB.
inline cudaMemPool_t scratch_pool() {
  static cudaMemPool_t pools[kDevices] = {};
  static std::mutex mutex;
  const int device = current_device();
  const std::lock_guard<std::mutex> lock(mutex);
  if (!pools[device]) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    check(cudaMemPoolCreate(&pools[device], &properties), "scratch pool");
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "scratch pool");
    std::uint64_t keep = std::clamp<std::uint64_t>(total / 64, 128 << 20, 1 << 30);
    check(cudaMemPoolSetAttribute(pools[device], cudaMemPoolAttrReleaseThreshold, &keep),
          "scratch pool");
  }
  return pools[device];
}

/// Scratch on the device, queued like a kernel: allocated before the work that uses it, freed
/// after it.
class Scratch {
 public:
  Scratch(const Exec& exec, std::int64_t bytes)
      : tape_(Tape::current()), stream_(static_cast<cudaStream_t>(exec.stream)) {
    if (bytes <= 0) return;
    if (tape_)
      memory_ = tape_->take(bytes);
    else
      check(cudaMallocFromPoolAsync(&memory_.data, static_cast<std::size_t>(bytes), scratch_pool(),
                                    stream_),
            "scratch memory");
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (!memory_.data) return;
    if (tape_)
      tape_->put_back(memory_);
    else
      cudaFreeAsync(memory_.data, stream_);
  }
  std::byte* data() const { return static_cast<std::byte*>(memory_.data); }

 private:
  Tape* const tape_;
  const cudaStream_t stream_;
  Tape::Memory memory_;
};
}  // namespace monge::cuda
