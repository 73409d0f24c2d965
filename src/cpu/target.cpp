#include "cpu/target.hpp"

#include <fmt/format.h>
#include <hwy/detect_targets.h>

#include <cstdlib>
#include <utility>

#include "cpu/target_pin.hpp"
#include "format.hpp"
#include "monge/core/error.hpp"

namespace monge::cpu {
namespace {
constexpr bool compiled(long long target) { return (HWY_TARGETS & target) != 0; }
static_assert(!compiled(HWY_EMU128), "loses infinities: target.hpp comes before Highway");

// The instructions that Highway's target attributes let the compiler use.
bool runnable(Target target) {
#if defined(__x86_64__)
  const bool sse4 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
                    __builtin_cpu_supports("aes");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("f16c");
  switch (target) {
    case Target::avx512:
      return compiled(HWY_AVX3) && avx2 && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw");
    case Target::avx2:
      return compiled(HWY_AVX2) && avx2;
    case Target::sse4:
      return compiled(HWY_SSE4) && sse4;
    case Target::baseline:
      // A build with -march has one of the above as its baseline.
      return !(HWY_STATIC_TARGET & (HWY_AVX3 | HWY_AVX2 | HWY_SSE4));
  }
#endif
  return target == Target::baseline;
}

constexpr Target kTargets[] = {Target::avx512, Target::avx2, Target::sse4, Target::baseline};
}  // namespace

const char* target_name(Target target) {
  switch (target) {
    case Target::avx512:
      return "avx512";
    case Target::avx2:
      return "avx2";
    case Target::sse4:
      return "sse4";
    case Target::baseline:
      break;
  }
#if defined(__x86_64__)
  return "sse2";
#else
  return "native";
#endif
}

std::vector<std::string> runnable_targets() {
  std::vector<std::string> names;
  for (const Target target : kTargets)
    if (runnable(target)) names.push_back(target_name(target));
  return names;
}

namespace {
thread_local std::optional<Target> pinned;
}  // namespace

TargetPin::TargetPin() : before_(std::exchange(pinned, current_target())) {}
TargetPin::~TargetPin() { pinned = before_; }

Target current_target() {
  if (pinned) return *pinned;
  static const Target best = [] {
    for (const Target target : kTargets)
      if (runnable(target)) return target;
    return Target::baseline;
  }();
  const char* const wanted = std::getenv("MONGE_TARGET");
  if (!wanted || !*wanted) return best;
  for (const Target target : kTargets)
    if (std::string(wanted) == target_name(target) && runnable(target)) return target;
  throw InvalidArgument(fmt::format("[cpu] MONGE_TARGET is '{}', this machine runs: {}", wanted,
                                    listed(runnable_targets())),
                        "MONGE_TARGET");
}
}  // namespace monge::cpu
