// What sinkhorn() refuses before it begins.
#pragma once
#include "monge/ot/sinkhorn.hpp"

namespace monge {
/// Throws as sinkhorn() says, but for what an Operator refuses. O(n + m): a start is read.
template <class T>
void validate(const Problem<T>& problem, const SinkhornOptions& options, const Start<T>& start,
              Exec& exec);

/// Bytes that a kernel may take.
std::int64_t cache_bytes(const SinkhornOptions& options, Device device);
}  // namespace monge
