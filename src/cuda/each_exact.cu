// Bodies that have the bits of the CPU: this file is compiled without contraction.
#include "cuda/each.cuh"
#include "kernels/entries.hpp"

namespace monge::kernels::cuda {
#define MONGE_INSTANTIATE(...) template void each(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_EXACT_EACH_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cuda
