// The instruction set a call runs on. Kernels are compiled once per target by Highway's headers;
// the choice is made here, so that no Highway library is linked. Include before any Highway
// header:
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "cpu/this_file.cpp"
//   #include "cpu/target.hpp"
//   #include "hwy/foreach_target.h"
//   #include "hwy/highway.h"
//   HWY_BEFORE_NAMESPACE();
//   namespace monge::cpu::HWY_NAMESPACE { void kernel(...) {...} }
//   HWY_AFTER_NAMESPACE();
//   #if HWY_ONCE  namespace monge::cpu { const auto body = MONGE_PICK(kernel); ... }  #endif
#pragma once
#include <string>
#include <vector>

// Bounds compile time: what SSSE3 and the newest AVX-512 extensions add does not matter here. A
// sanitized build, ten times as dear to compile, keeps AVX2 and the baseline.
#ifdef MONGE_FEW_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)
#else
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#endif
// Highway's debug assertions would need its library.
#ifndef HWY_IS_DEBUG_BUILD
#define HWY_IS_DEBUG_BUILD 0
#endif
// As a baseline scalars, not emulated vectors, which turn infinities into the largest numbers.
#define HWY_BROKEN_EMU128 1
#if !defined(__x86_64__)
#define HWY_COMPILE_ONLY_STATIC
#endif

namespace monge::cpu {
enum class Target : int { avx512, avx2, sse4, baseline };  // baseline: what the compiler was told

/// The target of calls that start now: the best this machine runs, or the one that the
/// environment variable MONGE_TARGET names. Throws InvalidArgument for a name that is unknown or
/// that this machine or build cannot run, naming those it can.
Target current_target();
/// "avx512", "avx2", "sse4", or the baseline's name: "sse2" on x86-64, else "native".
const char* target_name(Target target);
inline const char* target_name() { return target_name(current_target()); }
/// What MONGE_TARGET may be here, best first.
std::vector<std::string> runnable_targets();

/// A function's bodies in the order of Target; null where not compiled.
template <class F>
F pick(const F (&bodies)[4]) {
  return bodies[static_cast<int>(current_target())];
}
}  // namespace monge::cpu

/// The body of FUNCTION for the current target. To be used where HWY_ONCE holds, in the namespace
/// that encloses HWY_NAMESPACE.
#define MONGE_PICK(FUNCTION)                                                            \
  ::monge::cpu::pick<decltype(&HWY_STATIC_DISPATCH(FUNCTION))>(                         \
      {HWY_CHOOSE_AVX3(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_SSE4(FUNCTION), \
       &HWY_STATIC_DISPATCH(FUNCTION)})
