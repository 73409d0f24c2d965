#include "kernels/lists.hpp"

#include <cub/device/device_scan.cuh>

#include "cuda/answer.cuh"
#include "cuda/current.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
struct Total {
  static constexpr int kThreads = 32;
  std::int64_t* starts;  // [n + 1], of which the first is to be 0
  std::int64_t n;
  std::int64_t* answer;

  __device__ void operator()(Block) const {
    await_previous();
    if (threadIdx.x != 0) return;
    starts[0] = 0;
    *answer = n > 0 ? starts[n] : 0;
  }
};
}  // namespace

std::int64_t scan(const std::int64_t* counts, std::int64_t n, std::int64_t* starts, Exec& exec) {
  const Current current(exec);
  if (n > 0) {
    std::size_t bytes = 0;
    check(cub::DeviceScan::InclusiveSum(nullptr, bytes, counts, starts + 1, n), "scan");
    const Scratch memory(exec, static_cast<std::int64_t>(bytes));
    check(
        cub::DeviceScan::InclusiveSum(memory.data(), bytes, counts, starts + 1, n, stream_of(exec)),
        "scan");
  }
  const Answer answer(sizeof(std::int64_t));
  launch(Total{starts, n, answer.as<std::int64_t>()}, 1, exec);
  wait(exec, "scan");
  return *answer.as<std::int64_t>();
}
}  // namespace monge::kernels::cuda
