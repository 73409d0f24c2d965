#include "kernels/each.hpp"

#include "cuda/answer.cuh"
#include "cuda/current.cuh"
#include "cuda/reduce.cuh"
#include "kernels/derivatives.hpp"
#include "kernels/entries.hpp"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
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
    sum = reduce_block(sum, [](Result a, const Result& b) { return a += b; });
    if (threadIdx.x == 0) parts[at.x] = sum;
  }
};

template <class Result>
struct AddParts {
  const Result* parts;
  __device__ Result operator()(std::int64_t c) const { return parts[c]; }
};
}  // namespace

template <class Body>
void each(const Body& body, std::int64_t n, Exec& exec) {
  const Current current(exec);
  constexpr int kThreads = Each<Body>::kThreads;
  launch(Each<Body>{body, n}, (n + kThreads - 1) / kThreads, exec);
}

template <class Body>
typename Body::Result sum(const Body& body, std::int64_t n, Exec& exec) {
  using Result = typename Body::Result;
  const Current current(exec);
  const std::int64_t chunks = chunk_count(n);
  const Scratch memory(exec, chunks * static_cast<std::int64_t>(sizeof(Result)));
  const Answer answer(sizeof(Result));
  auto* const parts = reinterpret_cast<Result*>(memory.data());
  launch(Sum<Body, Result>{body, n, kChunk, parts}, chunks, exec);
  launch(Sum<AddParts<Result>, Result>{{parts}, chunks, chunks, answer.as<Result>()}, 1, exec);
  wait(exec, "sum");
  return *answer.as<Result>();
}

#define MONGE_INSTANTIATE(...) template void each(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_EACH_BODIES(MONGE_INSTANTIATE)
MONGE_DERIVATIVE_EACH_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
#define MONGE_INSTANTIATE(...) \
  template __VA_ARGS__::Result sum(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_SUM_BODIES(MONGE_INSTANTIATE)
MONGE_DERIVATIVE_SUM_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cuda
