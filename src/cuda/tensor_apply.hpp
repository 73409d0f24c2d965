// apply on tensor cores of Hopper.
#pragma once
#include "kernels/apply.hpp"

namespace monge::cuda {
inline constexpr int kTensorColumns = 4;  // of V to a sweep

/// Columns [k0, k0 + k) of V, k up to kTensorColumns, of pairs that are on_tensor_cores(); not
/// weighted by cost.
void tensor_apply(const kernels::ApplyArgs<float>&, int k0, int k, Exec&);
}  // namespace monge::cuda
