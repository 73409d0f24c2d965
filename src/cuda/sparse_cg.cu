// CG on a support in one cooperative launch: a step is three barriers of the grid, where launches
// of its own would take several times as long as what they do. Every block adds up the parts of all
// in the same order and keeps the state of CG in its shared memory.
#include "kernels/sparse_cg.hpp"

#include <cooperative_groups.h>

#include <atomic>

#include "cuda/current.cuh"
#include "cuda/launch.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kCgThreads = 1024, kCgWarps = kCgThreads / 32;
constexpr int kRowLanes = 8;  // of a row: all rows of 10 000 are under way at once

/// Of a warp, to its first lane.
template <class Result>
__device__ Result add_lanes(Result value) {
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

struct SparseCg {
  SparseCgArgs a;    // whose state is of the device
  void* parts;       // [2, blocks], each with room for any result
  bool odd = false;  // which half of them is written next

  __device__ void run() {
    __shared__ Cg state;
    Cg* const out = a.cg.state;
    a.cg.state = &state;
    const CgArgs& cg = a.cg;

    settle(CgStart{cg}, [&](const auto& each) { for_entries(each); });
    for (;;) {
      settle(CgTurn{cg}, [&](const auto& each) {
        for_entries([&](std::int64_t j) {
          CgMove{cg}(j);
          JacobiArgs{cg.diagonal, cg.r, cg.z}(j);
          each(j);
        });
      });
      for_entries([&](std::int64_t j) { CgDirection{cg}(j); });
      if (state.over) break;
      cooperative_groups::this_grid().sync();
      for_rows(a.rows, [](std::int64_t) {});
      cooperative_groups::this_grid().sync();
      settle(CgSchur{cg}, [&](const auto& each) { for_rows(a.columns, each); });
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) *out = state;
  }

 private:
  static constexpr std::size_t kPart = 48;  // of any result

  template <class Body>
  __device__ void for_entries(const Body& body) const {
    for (std::int64_t j = std::int64_t{blockIdx.x} * kCgThreads + threadIdx.x; j < a.cg.n;
         j += std::int64_t{gridDim.x} * kCgThreads)
      body(j);
  }

  /// The rows of a product, body(i) once out[i] is there.
  template <class Body>
  __device__ void for_rows(const SparseApplyArgs& p, const Body& body) const {
    const int lane = threadIdx.x % kRowLanes;
    const std::int64_t step = std::int64_t{gridDim.x} * kCgThreads / kRowLanes;
    // Whole warps go round together.
    const std::int64_t rounds = (p.pairs.rows + step - 1) / step;
    for (std::int64_t round = 0; round < rounds; ++round) {
      const std::int64_t i =
          round * step + (std::int64_t{blockIdx.x} * kCgThreads + threadIdx.x) / kRowLanes;
      double sum = 0;
      if (i < p.pairs.rows) {
        const std::int64_t last = p.pairs.offsets[i + 1];
#pragma unroll 4
        for (std::int64_t e = p.pairs.offsets[i] + lane; e < last; e += kRowLanes)
          sum += p.shares[e] * p.v[p.pairs.columns[e]];
      }
#pragma unroll
      for (int by = kRowLanes / 2; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
      if (i >= p.pairs.rows || lane != 0) continue;
      p.out[i] = p.scale[i] * sum;
      body(i);
    }
  }

  /// As kernels::settle, in every block alike. `go_over` calls its argument with every entry of
  /// this thread. Blocks wait for each other.
  template <class Body, class GoOver>
  __device__ void settle(const Body& body, const GoOver& go_over) {
    using Result = typename Body::Result;
    static_assert(sizeof(Result) <= kPart);
    __shared__ __align__(16) unsigned char memory[kCgWarps * sizeof(Result)];
    auto* const warps = reinterpret_cast<Result*>(memory);
    auto* const all = reinterpret_cast<Result*>(static_cast<unsigned char*>(parts) +
                                                (odd ? gridDim.x * kPart : 0));
    odd = !odd;  // what others still read stays
    Result sum;
    go_over([&](std::int64_t j) { sum += body(j); });
    sum = add_lanes(sum);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) warps[warp] = sum;
    __syncthreads();
    if (warp == 0) {
      sum = add_lanes(warps[lane]);
      if (lane == 0) all[blockIdx.x] = sum;
    }
    cooperative_groups::this_grid().sync();
    if (warp == 0) {
      sum = {};
      for (unsigned b = lane; b < gridDim.x; b += 32) sum += all[b];
      sum = add_lanes(sum);
      if (lane == 0) body.finish(sum);
    }
    __syncthreads();
  }
};

__global__ void __launch_bounds__(kCgThreads, 1) sparse_cg_kernel(SparseCgArgs args, void* parts) {
  SparseCg{args, parts}.run();
}

int processors() {
  static std::atomic<int> known[kDevices] = {};
  auto& count = known[current_device()];
  if (count == 0) {
    int found = 0;
    check(cudaDeviceGetAttribute(&found, cudaDevAttrMultiProcessorCount, current_device()),
          "device");
    count = found;
  }
  return count;
}
}  // namespace

void sparse_cg(const SparseCgArgs& args, Exec& exec) {
  const Current current(exec);
  const std::int64_t rows = std::max(args.rows.pairs.rows, args.columns.pairs.rows);
  const std::int64_t wanted = (rows * kRowLanes + kCgThreads - 1) / kCgThreads;
  const auto blocks = static_cast<unsigned>(std::clamp<std::int64_t>(wanted, 1, processors()));
  const Scratch parts(exec, std::int64_t{2} * blocks * 48);
  void* memory = parts.data();
  SparseCgArgs copy = args;
  void* arguments[] = {&copy, &memory};
  check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(sparse_cg_kernel), dim3(blocks),
                                    dim3(kCgThreads), arguments, 0, stream_of(exec)),
        "sparse_cg");
}
}  // namespace monge::kernels::cuda
