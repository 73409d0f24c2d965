// NumPy's .npy files, versions 1, 2 and 3 (numpy.lib.format): bool, integers of any width,
// float32 and float64, either byte order, C and Fortran order.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "io/array.hpp"
#include "io/source.hpp"

namespace monge::io {
/// Reads the one array that `source` holds. float32 stays float; all else becomes double. Throws
/// IoError naming the file, the place and what was wanted; half, complex, structured, string, date
/// and object arrays are refused by name. Allocates at most 8 bytes for each byte of the source.
Array read_npy(Source& source);
/// The one string that `source` holds: NumPy's type S and no shape. Throws IoError as read_npy.
std::string read_npy_text(Source& source);

/// A C-ordered array of the caller's, to be written.
struct ArrayView {
  template <class T>
  ArrayView(std::vector<std::int64_t> shape, const T* data)
      : shape(std::move(shape)), data(data), item_size(sizeof(T)) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> ||
                  std::is_same_v<T, std::int64_t> || std::is_same_v<T, bool>);
    descr = std::is_same_v<T, bool>       ? "|b1"
            : std::is_floating_point_v<T> ? (sizeof(T) == 4 ? "<f4" : "<f8")
                                          : "<i8";
  }
  /// A string, as read_npy_text reads it.
  explicit ArrayView(const std::string& text)
      : data(text.c_str()), item_size(text.empty() ? 1 : text.size()) {
    descr = "|S" + std::to_string(item_size);
  }
  std::uint64_t bytes() const;

  std::vector<std::int64_t> shape;
  const void* data;
  std::uint64_t item_size;
  std::string descr;
};

/// Magic, version 1.0 and header, padded to 64 bytes: what precedes the array's own bytes.
std::string npy_header(const ArrayView& array);
/// Writes `path` at once: it holds the whole array or is untouched. Throws IoError.
void write_npy(const std::string& path, const ArrayView& array);
}  // namespace monge::io
