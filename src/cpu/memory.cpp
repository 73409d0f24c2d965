#include "kernels/memory.hpp"

#include <cstring>
#include <new>
#include <string>

#include "monge/core/error.hpp"

namespace monge::kernels::cpu {
namespace {
constexpr std::align_val_t kAlignment{64};
}

void* allocate(std::int64_t bytes, Device) {
  void* const data = ::operator new(static_cast<std::size_t>(bytes), kAlignment, std::nothrow);
  if (!data) throw OutOfMemory("[buffer] no memory for " + std::to_string(bytes) + " bytes");
  return data;
}

void deallocate(void* data, Device) noexcept { ::operator delete(data, kAlignment); }

void copy(void* to, Device, const void* from, Device, std::int64_t bytes, void*) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

void synchronize(Device, void*) {}
}  // namespace monge::kernels::cpu
