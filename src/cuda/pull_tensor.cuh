// pull on tensor cores of Hopper.
#pragma once
#include "kernels/pull.hpp"

namespace monge::cuda {
/// Products of points in more than four dimensions, both sides split; m > 0.
void tensor_pull(const kernels::PullArgs<float>&, Exec&);
}  // namespace monge::cuda
