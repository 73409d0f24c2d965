// Sums of a row's weights on tensor cores of Hopper, what the results of pull and of apply to ones
// come from.
#pragma once
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::cuda {
/// Results that are null are not wanted.
struct TensorSums {
  kernels::Pairs<float> pairs;
  const float *h, *shift;
  double eps;
  float* gradient;     // [n, dim], as pull
  float *mass, *cost;  // [n], as apply to ones, plain and weighted by cost
};

/// Whether it takes such pairs: products of points in more than four dimensions, split.
bool on_tensor_cores(const kernels::Pairs<float>&);
void tensor_sums(const TensorSums&, Exec&);
}  // namespace monge::cuda
