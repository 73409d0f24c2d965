// A half-step of one entry, for the kernels that make it: of their own, or at the end of a sweep.
#pragma once
#include "cuda/launch.cuh"
#include "kernels/update.hpp"

namespace monge::cuda {
template <class Args>
__device__ kernels::Penalty penalty_of(const Args& a) {
  kernels::Penalty penalty = a.penalty;
  if (a.level) penalty.level = *a.level;
  return penalty;
}

/// f after a step; `relaxed` false: the plain one.
template <class T>
__device__ double stepped(const kernels::HalfStepArgs<T>& a, const kernels::Penalty& penalty,
                          std::int64_t i, bool relaxed) {
  const double target = penalty.prox(a.s[i], a.eps);
  if (!relaxed) return target;
  const double f = a.f[i], moved = penalty.feasible(f + a.omega * (target - f));
  return isfinite(moved) ? moved : target;
}

/// Of entry i, whose f this thread has written.
template <class T>
__device__ void write_bias(const kernels::HalfStepArgs<T>& a, std::int64_t i) {
  const std::int64_t n = a.weight.size;
  if (a.h && i < kernels::padded(n)) kernels::BiasArgs<double>{a.f, a.log_weight, n, a.eps, a.h}(i);
}

/// All of it, for i in [0, padded(n)).
template <class T>
__device__ void take_step(const kernels::HalfStepArgs<T>& a, std::int64_t i, bool relaxed) {
  if (i < a.weight.size) a.f[i] = stepped(a, penalty_of(a), i, relaxed);
  write_bias(a, i);
}
}  // namespace monge::cuda
