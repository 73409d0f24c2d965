// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011): a pure function of (counter, key), so draws do not depend on tiling or threads.
#pragma once
#include <array>
#include <cstdint>

namespace monge {
using PhiloxBlock = std::array<std::uint32_t, 4>;

constexpr PhiloxBlock philox(PhiloxBlock counter, std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

/// Uniform in (0, 1), 53 bits, never 0 or 1: number `draw` of stream `stream` under `seed`.
constexpr double philox_uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t draw) {
  const auto r =
      philox({static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32),
              static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(draw >> 32)},
             seed);
  const std::uint64_t bits = (std::uint64_t{r[0]} << 32 | r[1]) >> 12;  // 52 bits
  return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}
}  // namespace monge
