// Origins of rows in sweeps on tensor cores (tensor_kernel.cuh): set before a sweep, and what makes
// of its sums those of the weights.
#pragma once
#include <cmath>

#include "cuda/launch.cuh"

namespace monge::cuda::tensor {
// Row `local` of a launch is row first + local of all.
struct Origins {
  std::int64_t first, n;
  const float* shift;
  const double* norms;
  double per_cost, norm_factor;
  float* origins;   // of the exponent of 2, with E in it
  double* rescale;  // what makes of sums with that origin sums of weights

  __device__ void set(std::int64_t local, int exponent) const {
    const std::int64_t i = first + local;
    const bool swept = i < n && isfinite(shift[i]);
    const double exact = swept ? shift[i] * per_cost - norm_factor * norms[i] : -INFINITY;
    origins[local] = static_cast<float>(exact + exponent);
    rescale[local] = swept ? exp2(exact - static_cast<double>(origins[local])) : 0.0;
  }
};

struct SetOrigins {
  static constexpr int kThreads = 256;
  Origins origins;
  std::int64_t rows;
  int exponent;
  int tile_rows = 1;
  int* wanted = nullptr;  // [rows / tile_rows] set to 0; null: none

  __device__ void operator()(Block block) const {
    await_previous();
    allow_next();
    const std::int64_t local = std::int64_t{block.x} * kThreads + threadIdx.x;
    if (local >= rows) return;
    origins.set(local, exponent);
    if (wanted && local % tile_rows == 0) wanted[local / tile_rows] = 0;
  }
};
}  // namespace monge::cuda::tensor
