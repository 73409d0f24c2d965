#include "kernels/each.hpp"

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
#define MONGE_INSTANTIATE(...) template void settle(const __VA_ARGS__&, std::int64_t, Exec&);
MONGE_SETTLE_BODIES(MONGE_INSTANTIATE)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cpu
