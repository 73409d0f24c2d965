// Comma-separated numbers (RFC 4180): quoted fields, LF or CRLF, an optional header, a byte-order
// mark, and comment lines that begin with '#'. Numbers are read the same in every locale.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace monge::io {
struct Table {
  std::vector<std::string> names;  ///< of the columns; empty where there is no header
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;  ///< [rows, columns], all finite
};

/// The first record is a header where none of its fields is a number. Throws IoError naming
/// `name`, line and column (both from 1) for anything that is not a finite number, for rows of
/// unequal length, blank lines between rows, and a text without any record.
Table parse_csv(const std::string& name, std::string_view text);
}  // namespace monge::io
