// Bodies of each(), sum() and settle(), for the files that instantiate them.
#pragma once
#include "kernels/each.hpp"

#include <memory>

#include "cuda/answer.cuh"
#include "cuda/current.cuh"
#include "cuda/reduce.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class Body>
struct Each {
  static constexpr int kThreads = 256;
  Body body;
  std::int64_t n;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i < n) body(i);
  }
};

/// The sum of a block's values, in its first thread: of many numbers each warp's first, of few as a
/// tree over the threads.
template <class Result>
__device__ Result add_block(Result sum) {
  constexpr int kNumbers = sizeof(Result) / sizeof(double), kMany = 8, kLanes = 32;
  if constexpr (kNumbers <= kMany) {
    return reduce_block(sum, [](Result a, const Result& b) { return a += b; });
  } else {
    constexpr int kWarps = kReduceThreads / kLanes;
    static_assert(kNumbers <= kReduceThreads);
    __shared__ double warps[kWarps][kNumbers];
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kNumbers; ++k) {
      double own = sum.value[k];
#pragma unroll
      for (int step = kLanes / 2; step > 0; step /= 2) own += __shfl_down_sync(~0u, own, step);
      if (threadIdx.x % kLanes == 0) warps[threadIdx.x / kLanes][k] = own;
    }
    __syncthreads();
    if (threadIdx.x < kNumbers)
      for (int w = 1; w < kWarps; ++w) warps[0][threadIdx.x] += warps[w][threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0)
      for (int k = 0; k < kNumbers; ++k) sum.value[k] = warps[0][k];
    return sum;
  }
}

/// parts[c] = the sum over chunk c; over all of parts[0 .. n) where Body is AddParts.
template <class Body, class Result>
struct Sum {
  static constexpr int kThreads = kReduceThreads;
  Body body;
  std::int64_t n, chunk;
  Result* parts;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t begin = at.x * chunk, end = min(n, begin + chunk);
    Result sum;
    for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) sum += body(i);
    sum = add_block(sum);
    if (threadIdx.x == 0) parts[at.x] = sum;
  }
};

/// body.finish() of the sum of parts[0 .. n), by one block.
template <class Body>
struct Finish {
  static constexpr int kThreads = kReduceThreads;
  using Result = typename Body::Result;
  Body body;
  const Result* parts;
  std::int64_t n;

  __device__ void operator()(Block) const {
    await_previous();
    allow_next();
    Result sum;
    for (std::int64_t c = threadIdx.x; c < n; c += kThreads) sum += parts[c];
    sum = add_block(sum);
    if (threadIdx.x == 0) body.finish(sum);
  }
};

template <class Result>
struct AddParts {
  const Result* parts;
  __device__ Result operator()(std::int64_t c) const { return parts[c]; }
};

template <class Body>
void each(const Body& body, std::int64_t n, Exec& exec) {
  const Current current(exec);
  constexpr int kThreads = Each<Body>::kThreads;
  launch(Each<Body>{body, n}, (n + kThreads - 1) / kThreads, exec);
}

/// Launches both kernels of a sum, or, of one chunk, the one there is: to the same bits.
template <class Body>
void queue_sum(const Body& body, std::int64_t n, typename Body::Result* out, Exec& exec) {
  using Result = typename Body::Result;
  const Current current(exec);
  const std::int64_t chunks = chunk_count(n);
  if (chunks == 1) return launch(Sum<Body, Result>{body, n, kChunk, out}, 1, exec);
  const Scratch memory(exec, chunks * static_cast<std::int64_t>(sizeof(Result)));
  auto* const parts = reinterpret_cast<Result*>(memory.data());
  launch(Sum<Body, Result>{body, n, kChunk, parts}, chunks, exec);
  launch(Sum<AddParts<Result>, Result>{{parts}, chunks, chunks, out}, 1, exec);
}

template <class Body>
typename Body::Result sum(const Body& body, std::int64_t n, Exec& exec) {
  const Answer answer(sizeof(typename Body::Result));
  auto* const out = answer.as<typename Body::Result>();
  queue_sum(body, n, out, exec);
  wait(exec, "sum");
  return *out;
}

template <class Body>
Later<Body> sum_later(const Body& body, std::int64_t n, Exec& exec) {
  const auto answer = std::make_shared<const Answer>(sizeof(typename Body::Result));
  auto* const out = answer->as<typename Body::Result>();
  queue_sum(body, n, out, exec);
  return {answer, out};
}

template <class Body>
void settle(const Body& body, std::int64_t n, Exec& exec) {
  using Result = typename Body::Result;
  const Current current(exec);
  const std::int64_t chunks = chunk_count(n);
  const Scratch memory(exec, chunks * static_cast<std::int64_t>(sizeof(Result)));
  auto* const parts = reinterpret_cast<Result*>(memory.data());
  launch(Sum<Body, Result>{body, n, kChunk, parts}, chunks, exec);
  launch(Finish<Body>{body, parts, chunks}, 1, exec);
}
}  // namespace monge::kernels::cuda
