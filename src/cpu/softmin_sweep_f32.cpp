#include "cpu/softmin_sweep.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/softmin_sweep_f32.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/softmin_sweep-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
SoftminSweep<float> sweep_f32() { return sweep_of<float>(); }
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace monge::cpu {
template <>
SoftminSweep<float> softmin_sweep() {
  return MONGE_PICK(sweep_f32)();
}
}  // namespace monge::cpu
#endif
