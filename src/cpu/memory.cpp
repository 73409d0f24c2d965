#include "kernels/memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "monge/core/error.hpp"

namespace monge::kernels::cpu {
namespace {
constexpr std::size_t kAlignment = 64;
// Pages of 4 KiB cost 0.4 to 0.9 ns a byte when they are first touched, more than a solve of many
// a size does with them, and these 0.03 to 0.1. malloc keeps what is small.
constexpr std::size_t kHugePage = std::size_t{1} << 21, kLarge = 2 * kHugePage;
// What begins with a huge page may take one more of addresses.
constexpr std::size_t kAligned = 8 * kHugePage;

// malloc and a pointer to its block before the data: small blocks then come from the cache of the
// thread, which aligned_alloc does not know; it took a tenth of a small solve.
void** block_of(void* data) { return static_cast<void**>(data) - 1; }
}  // namespace

void* allocate(std::int64_t bytes, Device) {
  const auto wanted = static_cast<std::size_t>(bytes);
  const std::size_t alignment = wanted < kAligned ? kAlignment : kHugePage;
  void* const block = std::malloc(wanted + alignment + sizeof block);
  if (!block) throw OutOfMemory("[buffer] no memory for " + std::to_string(bytes) + " bytes");
  const auto first = reinterpret_cast<std::uintptr_t>(block) + sizeof block;
  auto* const data = reinterpret_cast<char*>((first + alignment - 1) / alignment * alignment);
  *block_of(data) = block;
  if (wanted >= kLarge) {
    // The whole ones alone, so that no more memory is taken; where the system has none that is all.
    const std::size_t before =
        (kHugePage - reinterpret_cast<std::uintptr_t>(data) % kHugePage) % kHugePage;
    const std::size_t whole = (wanted - before) / kHugePage * kHugePage;
    if (whole > 0) madvise(data + before, whole, MADV_HUGEPAGE);
  }
  return data;
}

void deallocate(void* data, Device) noexcept {
  if (data) std::free(*block_of(data));
}

void copy(void* to, Device, const void* from, Device, std::int64_t bytes, void*) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

void synchronize(Device, void*) {}
void release_memory(Device) {}
}  // namespace monge::kernels::cpu
