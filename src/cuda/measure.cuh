// What a pair is worth and a step from it, of a chunk of either side: the kernels of update.hpp
// that are one launch.
#pragma once
#include <limits>

#include "cuda/reduce.cuh"
#include "cuda/step.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

inline constexpr int kPerThread = kChunk / kReduceThreads;
inline constexpr int kSides = 4;  // measured by one launch

__device__ constexpr double none() { return -std::numeric_limits<double>::infinity(); }

/// What a chunk says; mass is relative to exp(top), so that a small plan does not underflow.
struct Part {
  double top, mass, dual, residual, gap;
};

/// log(p / a): a row without partner (s = +inf) has p = 0 whatever f is.
__device__ inline double log_ratio(double f, double s, double eps, double log_scale) {
  return s == -none() ? none() : (f - s) / eps + log_scale;
}

/// The chunk's part of a measure; f(i) is the potential.
template <class T, class Potential>
__device__ Part measure_chunk(const MeasureArgs<T>& a, const Penalty& penalty, std::int64_t chunk,
                              const Potential& potential) {
  const std::int64_t n = a.weight.size, begin = chunk * kChunk + threadIdx.x;
  double z[kPerThread];
  Part part{none(), 0, 0, 0, 0};
#pragma unroll
  for (int e = 0; e < kPerThread; ++e) {
    const std::int64_t i = begin + e * kReduceThreads;
    z[e] = none();
    if (!a.s || i >= n || !(a.weight[i] > 0)) continue;
    z[e] = log_ratio(potential(i), a.s[i], a.eps, a.log_scale);
    part.top = fmax(part.top, reference_of(a.weight[i], z[e]));
  }
  part.top = max_block(part.top);
  const double reference = part.top == none() ? 0 : part.top;  // a NaN still shows
#pragma unroll
  for (int e = 0; e < kPerThread; ++e) {
    const std::int64_t i = begin + e * kReduceThreads;
    if (i >= n || !(a.weight[i] > 0)) continue;
    const double f = potential(i), weight = a.weight[i];
    part.dual += weight * penalty.conjugate(f);
    if (!a.s) continue;
    part.mass += weight * exp(z[e] - reference);
    if (!a.optimality || f == -none()) continue;  // +inf: no partner, p = target = 0
    const auto [residual, gap] = penalty.optimality(weight, f, z[e], a.slack);
    part.residual += residual;
    part.gap += gap;
  }
  double sums[] = {part.mass, part.dual, part.residual, part.gap};
  sum_block(sums);
  return {part.top, sums[0], sums[1], sums[2], sums[3]};
}

template <class T>
struct Sides {
  MeasureArgs<T> args[kSides];
  std::int64_t first_part[kSides];
};

/// Both at once, of sides of one chunk: to the same bits.
template <class T>
struct MeasureOne {
  static constexpr int kThreads = kReduceThreads;
  Sides<T> sides;
  Measures* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const MeasureArgs<T>& a = sides.args[at.x];
    const Penalty penalty = penalty_of(a);
    const Part part = measure_chunk(a, penalty, 0, [&](std::int64_t i) { return a.f[i]; });
    if (threadIdx.x > 0) return;
    const double log_mass = part.top == none() ? none() : part.top + log(part.mass);
    out[at.x] = {log_mass, part.dual, part.residual, part.gap, penalty.level};
  }
};

template <class T>
struct Step {
  static constexpr int kThreads = kReduceThreads;
  HalfStepArgs<T> a;
  bool relaxed;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    take_step(a, std::int64_t{at.x} * kThreads + threadIdx.x, relaxed);
  }
};
}  // namespace monge::kernels::cuda
