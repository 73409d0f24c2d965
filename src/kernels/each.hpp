// each: body(i) for every i in [0, n), in any order. sum: the sums of body(i) over [0, n), double,
// over blocks of fixed size combined in order, so that they depend on n alone. sum_later: the same,
// without a wait. settle: the same, handed to body.finish() where the data are.
//
// The bodies are formulas of a few entries: structs of plain data with an operator() that every
// backend compiles. They stand in update.hpp and entries.hpp and are listed in entries.hpp.
#pragma once
#include <cstdint>
#include <memory>

#include "kernels/backend.hpp"
#include "kernels/host_device.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
/// What a body of sum() returns: `using Result = Sums<K>`.
template <int K>
struct Sums {
  double value[K] = {};

  MONGE_HOST_DEVICE Sums& operator+=(const Sums& other) {
    for (int k = 0; k < K; ++k) value[k] += other.value[k];
    return *this;
  }
};

/// A sum that the host may read once anything that was queued after it has been waited for.
template <class Body>
using Later = std::shared_ptr<const typename Body::Result>;

namespace cpu {
template <class Body>
void each(const Body&, std::int64_t n, Exec&);
template <class Body>
typename Body::Result sum(const Body&, std::int64_t n, Exec&);
template <class Body>
Later<Body> sum_later(const Body&, std::int64_t n, Exec&);
template <class Body>
void settle(const Body&, std::int64_t n, Exec&);
}  // namespace cpu
namespace cuda {
template <class Body>
void each(const Body&, std::int64_t n, Exec&);
template <class Body>
typename Body::Result sum(const Body&, std::int64_t n, Exec&);
template <class Body>
Later<Body> sum_later(const Body&, std::int64_t n, Exec&);
template <class Body>
void settle(const Body&, std::int64_t n, Exec&);
}  // namespace cuda

template <class Body>
void each(const Body& body, std::int64_t n, Exec& exec) {
  if (n > 0) MONGE_ON(exec.device, each(body, n, exec));
}
/// Waits; the result is host memory.
template <class Body>
typename Body::Result sum(const Body& body, std::int64_t n, Exec& exec) {
  return MONGE_ON(exec.device, sum(body, n, exec));
}
template <class Body>
Later<Body> sum_later(const Body& body, std::int64_t n, Exec& exec) {
  return MONGE_ON(exec.device, sum_later(body, n, exec));
}
/// body.finish(sum), by one thread and once all of the body is done. Does not wait.
template <class Body>
void settle(const Body& body, std::int64_t n, Exec& exec) {
  MONGE_ON(exec.device, settle(body, n, exec));
}
}  // namespace monge::kernels
