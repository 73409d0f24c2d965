// What a file holds: an array of float or double, whatever width its numbers were stored in.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "monge/core/buffer.hpp"

namespace monge::io {
struct Array {
  std::vector<std::int64_t> shape;
  bool fortran_order = false;  ///< first index fastest, as the file stored it
  std::string stored;          ///< the type in the file, "float32", "uint8", ...
  std::variant<Buffer<float>, Buffer<double>> values;  ///< float for float32 alone, else double

  bool is_float() const { return std::holds_alternative<Buffer<float>>(values); }
};

/// "(3, 2)", for messages.
std::string to_string(const std::vector<std::int64_t>& shape);
}  // namespace monge::io
