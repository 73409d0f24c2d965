#include "cuda/each.cuh"
#include "kernels/derivatives.hpp"
#include "kernels/entries.hpp"

namespace monge::kernels::cuda {
#define MONGE_INSTANTIATE(...) template void each(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_EACH_BODIES(MONGE_INSTANTIATE)
MONGE_DERIVATIVE_EACH_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
#define MONGE_INSTANTIATE(...) \
  template __VA_ARGS__::Result sum(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_SUM_BODIES(MONGE_INSTANTIATE)
MONGE_DERIVATIVE_SUM_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
#define MONGE_INSTANTIATE(...) \
  template Later<__VA_ARGS__> sum_later(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_LATER_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
#define MONGE_INSTANTIATE(...) template void settle(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_SETTLE_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cuda
