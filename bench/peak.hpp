// What one machine can do at most on the current target and a number of threads: fused
// multiply-adds per second, counted in lanes, and bytes read per second. Compiled once per target;
// to be included once per program.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peak.hpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monge::bench::HWY_NAMESPACE {
// Ten independent chains hide a latency of four or five cycles on two units. `out`: ten starts.
template <class T>
HWY_NOINLINE int multiply_add(long steps, T* out) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<T> d;
  const auto factor = hn::Set(d, T(0.999)), term = hn::Set(d, T(1e-3));
  const auto start = [&](int chain) HWY_ATTR { return hn::Set(d, out[chain]); };  // no two alike
  auto a = start(0), b = start(1), c = start(2), e = start(3), f = start(4);
  auto g = start(5), h = start(6), i = start(7), j = start(8), k = start(9);
  for (long step = 0; step < steps; ++step) {
    a = hn::MulAdd(a, factor, term), b = hn::MulAdd(b, factor, term);
    c = hn::MulAdd(c, factor, term), e = hn::MulAdd(e, factor, term);
    f = hn::MulAdd(f, factor, term), g = hn::MulAdd(g, factor, term);
    h = hn::MulAdd(h, factor, term), i = hn::MulAdd(i, factor, term);
    j = hn::MulAdd(j, factor, term), k = hn::MulAdd(k, factor, term);
  }
  const auto sum = hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, e)),
                           hn::Add(hn::Add(f, g), hn::Add(h, hn::Add(i, hn::Add(j, k)))));
  *out = hn::GetLane(hn::SumOfLanes(d, sum));
  return 10 * static_cast<int>(hn::Lanes(d));
}
// Sum of `count` floats, a multiple of four vectors, read in order.
HWY_NOINLINE float read_floats(const float* from, std::size_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  auto a = hn::Zero(d), b = a, c = a, e = a;
  for (std::size_t at = 0; at < count; at += 4 * lanes) {
    a = hn::Add(a, hn::LoadU(d, from + at));
    b = hn::Add(b, hn::LoadU(d, from + at + lanes));
    c = hn::Add(c, hn::LoadU(d, from + at + 2 * lanes));
    e = hn::Add(e, hn::LoadU(d, from + at + 3 * lanes));
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e))));
}
inline int multiply_add_f32(long steps, float* out) { return multiply_add(steps, out); }
inline int multiply_add_f64(long steps, double* out) { return multiply_add(steps, out); }
}  // namespace monge::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <omp.h>
#include <algorithm>
#include <chrono>

namespace monge::bench {
inline double seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

/// The best of twenty measurements of about 2 ms.
template <class T>
double fma_peak(int threads) {
  double best = 0;
#pragma omp parallel num_threads(threads) reduction(+ : best)
  {
    constexpr long kSteps = 400000;
    T sink[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    double fastest = 0;
    for (int repeat = 0; repeat < 20; ++repeat) {
      const double start = seconds();
      int lanes;
      if constexpr (sizeof(T) == 4)
        lanes = MONGE_PICK(multiply_add_f32)(kSteps, sink);
      else
        lanes = MONGE_PICK(multiply_add_f64)(kSteps, sink);
      volatile T keep = sink[0];
      (void)keep;
      fastest = std::max(fastest, lanes * static_cast<double>(kSteps) / (seconds() - start));
    }
    best += fastest;
  }
  return best;
}

/// Bytes per second of reading `bytes` at `data` in order: the best of five, what is cached
/// included.
inline double read_peak(const void* data, std::size_t bytes, int threads) {
  constexpr std::size_t kStep = 64;  // four vectors of the widest target
  const std::size_t share = bytes / sizeof(float) / threads / kStep * kStep;
  double fastest = 0;
  volatile float keep = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double start = seconds();
#pragma omp parallel for num_threads(threads)
    for (int part = 0; part < threads; ++part)
      keep = MONGE_PICK(read_floats)(static_cast<const float*>(data) + part * share, share);
    const double rate = static_cast<double>(share * threads * sizeof(float)) / (seconds() - start);
    fastest = std::max(fastest, rate);
  }
  (void)keep;
  return fastest;
}
}  // namespace monge::bench
#endif
