// O(n) work in chunks of fixed size, so that sums depend on n alone.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/parallel.hpp"

namespace monge::cpu {
inline constexpr std::int64_t kEntries = 8192;  // entries per partial sum

inline std::int64_t chunk_count(std::int64_t n) {
  return std::max<std::int64_t>(1, (n + kEntries - 1) / kEntries);
}

/// body(begin, end, chunk) over all chunks; threads only where there is more than one chunk.
template <class Body>
void chunks(std::int64_t n, Exec& exec, const Body& body) {
  if (n <= kEntries) return body(0, n, 0);
  parallel_for(chunk_count(n), exec, [&](std::int64_t c, int) {
    body(c * kEntries, std::min(n, (c + 1) * kEntries), c);
  });
}
}  // namespace monge::cpu
