// tangent on tensor cores of Hopper.
#pragma once
#include "kernels/tangent.hpp"

namespace monge::cuda {
/// Of pairs that are on_tensor_cores(); p and mean are null.
void tensor_tangent(const kernels::TangentArgs<float>&, Exec&);
}  // namespace monge::cuda
