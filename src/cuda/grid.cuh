// A grid whose blocks are all resident and wait for each other (a cooperative launch): several
// steps in one launch, where one of their own would take as long as what it does.
#pragma once
#include <atomic>

#include "cuda/launch.cuh"

namespace monge::cuda {
inline constexpr int kGridThreads = 640, kGridWarps = kGridThreads / 32;

class Grid {
 public:
  /// `room`: scratch that no other launch uses at a time, 0 before the first.
  __device__ explicit Grid(std::int64_t* room)
      : arrived_(reinterpret_cast<unsigned*>(room)), parts_(room + 2) {}

  /// Until all threads of all blocks are here, and see what was written before. The word's highest
  /// bit turns when the last block arrives, all others are as they were.
  __device__ void sync() const {
    __syncthreads();
    if (threadIdx.x == 0) {
      const unsigned by = blockIdx.x == 0 ? 0x80000000u - (gridDim.x - 1) : 1;
      unsigned before, now;
      asm volatile("atom.add.acq_rel.gpu.u32 %0, [%1], %2;"
                   : "=r"(before)
                   : "l"(arrived_), "r"(by)
                   : "memory");
      do {
        asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(now) : "l"(arrived_) : "memory");
      } while (((before ^ now) & 0x80000000u) == 0);
    }
    __syncthreads();
  }

  /// body(i) for every i in [0, n), of one thread each.
  template <class Body>
  __device__ static void each(std::int64_t n, const Body& body) {
    for (std::int64_t i = std::int64_t{blockIdx.x} * kGridThreads + threadIdx.x; i < n;
         i += std::int64_t{gridDim.x} * kGridThreads)
      body(i);
  }
  /// row(i, there) by all lanes of i, whole warps together, and then body(i) by the first of them.
  template <int kLanes, class Row, class Body>
  __device__ static void rows(std::int64_t n, const Row& row, const Body& body) {
    const std::int64_t step = std::int64_t{gridDim.x} * kGridThreads / kLanes;
    for (std::int64_t first = 0; first < n; first += step) {
      const std::int64_t i =
          first + (std::int64_t{blockIdx.x} * kGridThreads + threadIdx.x) / kLanes;
      row(i, i < n);
      if (i < n && threadIdx.x % kLanes == 0) body(i);
    }
  }

  /// The sum of a block's values goes to its part of array `at`, counted in doubles a block.
  template <class Result>
  __device__ void leave(Result sum, int at) const {
    __shared__ __align__(16) unsigned char memory[kGridWarps * sizeof(Result)];
    auto* const warps = reinterpret_cast<Result*>(memory);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    sum = add_lanes(sum);
    if (lane == 0) warps[warp] = sum;
    __syncthreads();
    if (warp != 0) return;
    sum = add_lanes(lane < kGridWarps ? warps[lane] : Result{});
    if (lane == 0) parts<Result>(at)[blockIdx.x] = sum;
  }
  /// After sync(): the sum of all parts, in the first thread of the block.
  template <class Result>
  __device__ Result total(int at) const {
    Result sum;
    if (threadIdx.x >= 32) return sum;
    for (unsigned b = threadIdx.x; b < gridDim.x; b += 32) sum += parts<Result>(at)[b];
    return add_lanes(sum);
  }

 private:
  template <class Result>
  __device__ Result* parts(int at) const {
    return reinterpret_cast<Result*>(parts_ + std::int64_t{at} * gridDim.x);
  }
  template <class Result>
  __device__ static Result add_lanes(Result value) {
    constexpr int kWords = sizeof(Result) / sizeof(double);
    static_assert(kWords * sizeof(double) == sizeof(Result));
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      Result other;
#pragma unroll
      for (int w = 0; w < kWords; ++w)
        reinterpret_cast<double*>(&other)[w] =
            __shfl_down_sync(~0u, reinterpret_cast<const double*>(&value)[w], step);
      value += other;
    }
    return value;
  }

  unsigned* arrived_;
  std::int64_t* parts_;
};

template <class K>
__global__ void __launch_bounds__(kGridThreads, 1)
    grid_kernel(const __grid_constant__ K kernel, std::int64_t* room) {
  K own = kernel;
  own(Grid(room));
}

inline unsigned processors() {
  static std::atomic<int> known[kDevices] = {};
  auto& count = known[current_device()];
  if (count == 0) {
    int found = 0;
    check(cudaDeviceGetAttribute(&found, cudaDevAttrMultiProcessorCount, current_device()),
          "device");
    count = found;
  }
  return static_cast<unsigned>(count.load());
}

/// A struct of its arguments, whose operator()(Grid) runs on as many blocks as `threads` fill, of
/// at most `most`.
template <class K>
void launch_grid(const K& kernel, std::int64_t threads, std::int64_t most, std::int64_t* room,
                 const Exec& exec) {
  const std::int64_t wanted = (threads + kGridThreads - 1) / kGridThreads;
  const auto blocks = static_cast<unsigned>(
      std::clamp<std::int64_t>(wanted, 1, std::min<std::int64_t>(processors(), most)));
  K copy = kernel;
  void* arguments[] = {&copy, &room};
  launch_count().fetch_add(1, std::memory_order_relaxed);
  check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(grid_kernel<K>), dim3(blocks),
                                    dim3(kGridThreads), arguments, 0, stream_of(exec)),
        "launch");
}
}  // namespace monge::cuda
