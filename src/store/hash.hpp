// Arrays of the caller's as a file takes them, and the hash by which they are known again.
#pragma once
#include <bit>
#include <cstdint>
#include <string>
#include <type_traits>

#include <fmt/format.h>

#include "monge/core/buffer.hpp"
#include "monge/core/view.hpp"

namespace monge {
/// Adjacent and on the host; a view is copied only where it is not.
template <class T>
struct Here {
  Buffer<T> owned;
  const T* data = nullptr;
  std::int64_t rows = 0, cols = 0;

  Here(MatrixView<const T> from, void* stream) : rows(from.rows), cols(from.cols) {
    if (!from.data) return;
    const bool adjacent = from.col_stride == 1 && (from.row_stride == from.cols || from.rows == 1);
    if (adjacent && !from.device.is_cuda()) {
      data = from.data;
      return;
    }
    // All that the strides span, then gathered here.
    const std::int64_t span = (from.rows - 1) * from.row_stride + (from.cols - 1) * from.col_stride;
    Buffer<T> copied(from.device.is_cuda() ? span + 1 : 0);
    if (from.device.is_cuda()) {
      copy(copied.data(), Device{}, from.data, from.device,
           (span + 1) * static_cast<std::int64_t>(sizeof(T)), stream);
      from.data = copied.data();
    }
    owned = Buffer<T>(rows * cols);
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < cols; ++j) owned[i * cols + j] = from(i, j);
    data = owned.data();
  }
  Here(VectorView<const T> from, void* stream)
      : Here(MatrixView<const T>(from.data, from.size, 1, from.stride, 1, from.device), stream) {}
};

/// 64 bits of the values and their shape, as 16 hexadecimal digits; "" of no array.
template <class T>
std::string hash(const Here<T>& array) {
  if (!array.data) return {};
  std::uint64_t state = 0xcbf29ce484222325u;
  const auto mix = [&](std::uint64_t word) {
    state = (state ^ word) * 0x9e3779b97f4a7c15u;
    state ^= state >> 32;
  };
  mix(static_cast<std::uint64_t>(array.rows));
  mix(static_cast<std::uint64_t>(array.cols));
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  for (std::int64_t e = 0; e < array.rows * array.cols; ++e)
    mix(std::bit_cast<Bits>(array.data[e]));
  return fmt::format("{:016x}", state);
}
}  // namespace monge
