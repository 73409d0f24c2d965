// Doubles to what is kept of them.
#if defined(MONGE_CPU_ROUND_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_ROUND_INL
#undef MONGE_CPU_ROUND_INL
#else
#define MONGE_CPU_ROUND_INL
#endif

#include "cpu/target.hpp"
#include "hwy/highway.h"
#include "kernels/pairs.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using Doubles = hn::CappedTag<double, kernels::kPanel>;

template <class T>
HWY_INLINE void store_rounded(hn::Vec<Doubles> value, T* to) {
  [[maybe_unused]] constexpr Doubles d;
  if constexpr (sizeof(T) == 8) {
    hn::StoreU(value, d, to);
  } else {
#if HWY_TARGET == HWY_SCALAR
    *to = static_cast<T>(hn::GetLane(value));  // Highway's stops at the largest finite number
#else
    constexpr hn::Rebind<T, Doubles> narrow;
    hn::StoreU(hn::DemoteTo(narrow, value), narrow, to);
#endif
  }
}
template <class T>
HWY_INLINE auto widened(const T* from) {
  [[maybe_unused]] constexpr Doubles d;
  if constexpr (sizeof(T) == 8)
    return hn::LoadU(d, from);
  else
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, Doubles>(), from));
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
