// What a device can do at most: on the CPU fused multiply-adds per second on the current target,
// counted in lanes, on a GPU exponentials per second; and bytes read per second. Compiled once per
// target; to be included once per program.
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
#include <cstdio>
#include <fstream>
#include <string>
#ifdef MONGE_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

#include "cpu/parallel.hpp"
#include "kernels/backend.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/info.hpp"

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

/// Bytes of the last cache that one core reads through, 0 where it is not told. sysconf() counts
/// those of other cores too.
inline double last_cache() {
  double bytes = 0;
  for (int index = 0; index < 5; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) +
                       "/size");
    double kibibytes = 0;
    if (file >> kibibytes) bytes = std::max(bytes, 1024 * kibibytes);
  }
  return bytes;
}

struct Machine {
  std::string text{};       // a line for the top of a table
  double f32 = 0, f64 = 0;  // operations a second: multiply-adds, or exponentials of a GPU, whose
                            // unit knows float alone
  double cache = 0;         // bytes of the last level

  template <class T>
  double peak() const {
    return sizeof(T) == 4 ? f32 : f64;
  }
};

#ifdef MONGE_WITH_CUDA
inline Machine gpu(Device device) {
  const auto attribute = [&](cudaDeviceAttr what) {
    int value = 0;
    const cudaError_t status = cudaDeviceGetAttribute(&value, what, device.index);
    if (status != cudaSuccess)
      throw DeviceError("[bench] " + to_string(device) + ": " + cudaGetErrorString(status));
    return value;
  };
  const int units = attribute(cudaDevAttrMultiProcessorCount);
  const double clock = 1e3 * attribute(cudaDevAttrClockRate);
  Machine out{.f32 = 16 * units * clock,
              .cache = static_cast<double>(attribute(cudaDevAttrL2CacheSize))};
  char text[200];
  std::snprintf(
      text, sizeof text,
      ", %.3e exponentials/s: 16 a clock on %d multiprocessors at %.3f GHz, their highest", out.f32,
      units, 1e-9 * clock);
  out.text = info().devices.at(device.index + 1) + text;
  return out;
}
#endif

inline Machine machine(const Exec& exec) {
#ifdef MONGE_WITH_CUDA
  if (exec.device.is_cuda()) return gpu(exec.device);
#else
  kernels::require_cpu(exec.device);
#endif
  const int threads = monge::cpu::thread_count(exec);
  Machine out{
      .f32 = fma_peak<float>(threads), .f64 = fma_peak<double>(threads), .cache = last_cache()};
  char text[200];
  std::snprintf(text, sizeof text,
                "target %s, %d threads, multiply-add peak %.3e float and %.3e double lanes/s",
                monge::cpu::target_name(), threads, out.f32, out.f64);
  out.text = text;
  return out;
}

/// Bytes per second of reading `bytes` at `data` in order, the best of five, what is cached
/// included. On a GPU twice the rate of a copy, which reads and writes.
inline double read_peak(const void* data, std::size_t bytes, const Exec& exec) {
  double fastest = 0;
  const auto best_of_five = [&](double moved, const auto& run) {
    for (int repeat = 0; repeat < 5; ++repeat) {
      const double start = seconds();
      run();
      fastest = std::max(fastest, moved / (seconds() - start));
    }
    return fastest;
  };
  if (exec.device.is_cuda()) {
    constexpr int kCopies = 20;
    Buffer<std::byte> to(bytes, exec.device);
    return best_of_five(2.0 * kCopies * bytes, [&] {
      for (int k = 0; k < kCopies; ++k)
        copy(to.data(), exec.device, data, exec.device, bytes, exec.stream);
      synchronize(exec.device, exec.stream);
    });
  }
  const int threads = monge::cpu::thread_count(exec);
  constexpr std::size_t kStep = 64;  // four vectors of the widest target
  const std::size_t share = bytes / sizeof(float) / threads / kStep * kStep;
  volatile float keep = 0;
  best_of_five(static_cast<double>(share * threads * sizeof(float)), [&] {
#pragma omp parallel for num_threads(threads)
    for (int part = 0; part < threads; ++part)
      keep = MONGE_PICK(read_floats)(static_cast<const float*>(data) + part * share, share);
  });
  (void)keep;
  return fastest;
}
}  // namespace monge::bench
#endif
