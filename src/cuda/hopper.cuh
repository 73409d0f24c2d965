// Hopper's own instructions, each as one function: barriers in shared memory, bulk copies, products
// by a warpgroup. PTX, so that the build needs nothing but the compiler.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace monge::cuda::hopper {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
__device__ __forceinline__ std::uint32_t shared_address(const void* at) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(at));
}

// A barrier of the asynchronous kind; phases alternate 0, 1.
struct Barrier {
  std::uint64_t state;
  __device__ __forceinline__ void init(int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(this)),
                 "r"(arrivals));
  }
  __device__ __forceinline__ void arrive() {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(this)) : "memory");
  }
  __device__ __forceinline__ void arrive_and_expect(std::uint32_t bytes) {
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(this)),
        "r"(bytes)
        : "memory");
  }
  __device__ __forceinline__ void wait(std::uint32_t phase) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra finished;\n"
        "bra again;\n"
        "finished:\n"
        "}" ::"r"(shared_address(this)),
        "r"(phase)
        : "memory");
  }
};

__device__ __forceinline__ void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Contiguous bytes from device memory, a multiple of 16; their arrival completes `barrier`.
__device__ __forceinline__ void copy_bulk(void* to, const void* from, std::uint32_t bytes,
                                          Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

// Between ordinary stores to shared memory and the products that read them, in the thread that
// stored and before its barrier.
__device__ __forceinline__ void fence_shared_for_products() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int PENDING>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}
// Keeps uses of accumulators behind the wait.
template <int N>
__device__ __forceinline__ void settle(float (&d)[N]) {
#pragma unroll
  for (int t = 0; t < N; ++t) asm volatile("" : "+f"(d[t])::"memory");
}

// A matrix in shared memory without a swizzle, of 8 x 8 halves contiguous each: `leading` bytes
// from one to the next along the sum, `stride` across it.
__device__ __forceinline__ std::uint64_t matrix(std::uint32_t address, int leading, int stride) {
  return static_cast<std::uint64_t>(address >> 4 & 0x3fff) |
         static_cast<std::uint64_t>(leading >> 4) << 16 |
         static_cast<std::uint64_t>(stride >> 4) << 32;
}
// Points whose groups of 8 coordinates stand `octet_bytes` apart, in them 8 points of 16 bytes
// each contiguous: as an operand that is summed over coordinates, or over points.
__device__ __forceinline__ std::uint64_t operand(std::uint32_t address, int octet_bytes) {
  return matrix(address, octet_bytes, 128);
}
__device__ __forceinline__ std::uint64_t operand_over_points(std::uint32_t address,
                                                             int octet_bytes) {
  return matrix(address, 128, octet_bytes);
}

#define MONGE_D4(d, t) "+f"(d[t]), "+f"(d[t + 1]), "+f"(d[t + 2]), "+f"(d[t + 3])
#define MONGE_D16(d, t) MONGE_D4(d, t), MONGE_D4(d, t + 4), MONGE_D4(d, t + 8), MONGE_D4(d, t + 12)
#define MONGE_D64(d) MONGE_D16(d, 0), MONGE_D16(d, 16), MONGE_D16(d, 32), MONGE_D16(d, 48)
#define MONGE_D64_NAMES                                                                    \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, "  \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, "  \
  "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"

// d (64 x 128) = a b^T + (add ? d : 0) over 16 coordinates, a in registers.
__device__ __forceinline__ void wgmma(float (&d)[64], const std::uint32_t (&a)[4], std::uint64_t b,
                                      int add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 " MONGE_D64_NAMES
      ", {%64, %65, %66, %67}, %68, p, 1, 1, 0;\n}"
      : MONGE_D64(d)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));
}

// The same, a in shared memory.
__device__ __forceinline__ void wgmma(float (&d)[64], std::uint64_t a, std::uint64_t b, int add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 " MONGE_D64_NAMES
      ", %64, %65, p, 1, 1, 0, 0;\n}"
      : MONGE_D64(d)
      : "l"(a), "l"(b), "r"(add));
}

// d (64 x 2 N) += a b over 16 points, a in registers, b an operand_over_points.
#define MONGE_WGMMA_OVER_POINTS(N, COLUMNS, NAMES, A, B, ADD, ...)                            \
  __device__ __forceinline__ void wgmma_over_points(float(&d)[N], const std::uint32_t(&a)[4], \
                                                    std::uint64_t b) {                        \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " ADD                                      \
                 ", 0;\n"                                                                     \
                 "wgmma.mma_async.sync.aligned.m64n" COLUMNS "k16.f32.f16.f16 " NAMES ", " A  \
                 ", " B ", p, 1, 1, 1;\n}"                                                    \
                 : __VA_ARGS__                                                                \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1));               \
  }
#define MONGE_D8_NAMES "%0, %1, %2, %3, %4, %5, %6, %7"
#define MONGE_D16_NAMES MONGE_D8_NAMES ", %8, %9, %10, %11, %12, %13, %14, %15"
#define MONGE_D32_NAMES \
  MONGE_D16_NAMES       \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
MONGE_WGMMA_OVER_POINTS(8, "16", "{" MONGE_D8_NAMES "}", "{%8, %9, %10, %11}", "%12", "%13",
                        MONGE_D4(d, 0), MONGE_D4(d, 4))
MONGE_WGMMA_OVER_POINTS(16, "32", "{" MONGE_D16_NAMES "}", "{%16, %17, %18, %19}", "%20", "%21",
                        MONGE_D16(d, 0))
MONGE_WGMMA_OVER_POINTS(32, "64", "{" MONGE_D32_NAMES "}", "{%32, %33, %34, %35}", "%36", "%37",
                        MONGE_D16(d, 0), MONGE_D16(d, 16))
MONGE_WGMMA_OVER_POINTS(64, "128", MONGE_D64_NAMES, "{%64, %65, %66, %67}", "%68", "%69",
                        MONGE_D64(d))
#undef MONGE_WGMMA_OVER_POINTS
#undef MONGE_D8_NAMES
#undef MONGE_D16_NAMES
#undef MONGE_D32_NAMES
#undef MONGE_D4
#undef MONGE_D16
#undef MONGE_D64
#undef MONGE_D64_NAMES

// Barriers of whole warps, by number: those that arrive do not wait.
template <int THREADS>
__device__ __forceinline__ void named_wait(int barrier) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(THREADS) : "memory");
}
template <int THREADS>
__device__ __forceinline__ void named_arrive(int barrier) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "n"(THREADS) : "memory");
}

template <int REGISTERS>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}
template <int REGISTERS>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}
#endif
}  // namespace monge::cuda::hopper
