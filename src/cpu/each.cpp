#include "kernels/each.hpp"

#include <memory>
#include <vector>

#include "cpu/chunks.hpp"
#include "kernels/derivatives.hpp"
#include "kernels/entries.hpp"

namespace monge::kernels::cpu {
template <class Body>
void each(const Body& body, std::int64_t n, Exec& exec) {
  monge::cpu::chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

template <class Body>
typename Body::Result sum(const Body& body, std::int64_t n, Exec& exec) {
  using Result = typename Body::Result;
  std::vector<Result> parts(monge::cpu::chunk_count(n));
  monge::cpu::chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
    Result part;
    for (std::int64_t i = begin; i < end; ++i) part += body(i);
    parts[c] = part;
  });
  Result out;
  for (const Result& part : parts) out += part;
  return out;
}

namespace {
// Column by column in as many sums as hide what an addition waits for: sums of all columns at once
// would take a sixth of a small solve.
template <class T>
Sums<kHistory> moved(const MovedArgs<T>& a, std::int64_t n, Exec& exec) {
  constexpr int kLanes = 8;
  std::vector<Sums<kHistory>> parts(monge::cpu::chunk_count(n));
  double* const r = a.column(a.newest);
  monge::cpu::chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t chunk) {
    for (std::int64_t j = begin; j < end; ++j) r[j] = a.moved(j);
    for (int c = 0; c < a.count; ++c) {
      const double* const column = a.column(c);
      double lanes[kLanes] = {};
      std::int64_t j = begin;
      for (; j + kLanes <= end; j += kLanes)
        for (int l = 0; l < kLanes; ++l) lanes[l] += column[j + l] * r[j + l];
      for (int l = 0; j < end; ++j, ++l) lanes[l] += column[j] * r[j];
      for (const double lane : lanes) parts[chunk].value[c] += lane;
    }
  });
  Sums<kHistory> out;
  for (const auto& part : parts) out += part;
  return out;
}
}  // namespace
template <>
Sums<kHistory> sum(const MovedArgs<float>& a, std::int64_t n, Exec& exec) {
  return moved(a, n, exec);
}
template <>
Sums<kHistory> sum(const MovedArgs<double>& a, std::int64_t n, Exec& exec) {
  return moved(a, n, exec);
}

template <class Body>
Later<Body> sum_later(const Body& body, std::int64_t n, Exec& exec) {
  return std::make_shared<const typename Body::Result>(cpu::sum(body, n, exec));
}

template <class Body>
void settle(const Body& body, std::int64_t n, Exec& exec) {
  body.finish(cpu::sum(body, n, exec));
}

#define MONGE_INSTANTIATE(...) template void each(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_EACH_BODIES(MONGE_INSTANTIATE)
MONGE_EXACT_EACH_BODIES(MONGE_INSTANTIATE)
MONGE_DERIVATIVE_EACH_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
#define MONGE_INSTANTIATE(...) \
  template __VA_ARGS__::Result sum(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_SUM_BODIES(MONGE_INSTANTIATE)
MONGE_DERIVATIVE_SUM_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
#define MONGE_INSTANTIATE(...) \
  template Later<__VA_ARGS__> sum_later(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_LATER_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
#define MONGE_INSTANTIATE(...) template void settle(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_SETTLE_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cpu
