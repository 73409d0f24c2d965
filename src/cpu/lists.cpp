#include "kernels/lists.hpp"

namespace monge::kernels::cpu {
std::int64_t scan(const std::int64_t* counts, std::int64_t n, std::int64_t* starts, Exec&) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t count = counts[i];
    starts[i] = sum;
    sum += count;
  }
  return starts[n] = sum;
}
}  // namespace monge::kernels::cpu
