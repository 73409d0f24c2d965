#include "cpu/tile.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/tile.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/tile-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
template <class T>
TileFunctions<T> functions_of() {
  return {tile_weights<T>,           tile_costs<T>,           tile_scores<T>, tile_slopes<T>,
          tile_weights_of<false, T>, tile_weights_of<true, T>};
}
TileFunctions<float> functions_f32() { return functions_of<float>(); }
TileFunctions<double> functions_f64() { return functions_of<double>(); }
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace monge::cpu {
template <>
TileFunctions<float> tile_functions() {
  return MONGE_PICK(functions_f32)();
}
template <>
TileFunctions<double> tile_functions() {
  return MONGE_PICK(functions_f64)();
}
}  // namespace monge::cpu
#endif
