// What sinkhorn() refuses before it begins.
#pragma once
#include "monge/ot/sinkhorn.hpp"

namespace monge {
/// Of iterations; fewer are counted by whoever asks for them, and no other work is put before them.
inline constexpr int kManyIterations = 100;

/// Throws as sinkhorn() says, but for what an Operator refuses. O(n + m): a start is read.
template <class T>
void validate(const Problem<T>& problem, const SinkhornOptions& options, const Start<T>& start,
              Exec& exec);

/// Bytes that a kernel may take.
std::int64_t cache_bytes(std::int64_t kernel_cache, Device device);
}  // namespace monge
