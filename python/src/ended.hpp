// The result of a solve that ended elsewhere.
#pragma once
#include <cstdint>

#include "monge/ot/sinkhorn.hpp"

namespace monge::python {
/// With these potentials, contiguous, copied in the order of `stream`.
template <class T>
SinkhornResult<T> ended(VectorView<const T> f, VectorView<const T> g, double epsilon,
                        void* stream) {
  const auto copied = [stream](VectorView<const T> from) {
    Buffer<T> out(from.size, from.device);
    copy(out.data(), from.device, from.data, from.device,
         from.size * static_cast<std::int64_t>(sizeof(T)), stream);
    return out;
  };
  SinkhornResult<T> out;
  out.f = copied(f);
  out.g = copied(g);
  out.report.epsilon = epsilon;
  return out;
}
}  // namespace monge::python
