#include "cpu/softmin_sweep.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/softmin_sweep_f64.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/softmin_sweep-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
SoftminSweep<double> sweep_f64() { return sweep_of<double>(); }
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace monge::cpu {
template <>
SoftminSweep<double> softmin_sweep() {
  return MONGE_PICK(sweep_f64)();
}
}  // namespace monge::cpu
#endif
