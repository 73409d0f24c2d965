#include "io/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "monge/core/error.hpp"

namespace monge::io {
namespace {
// A field as messages show it: short, and printable whatever the file holds.
std::string shown(std::string_view field) {
  constexpr std::size_t kLongest = 32;
  std::string out(field.substr(0, kLongest));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return fmt::format("'{}{}'", out, field.size() > kLongest ? "..." : "");
}

enum class Kind { number, not_finite, out_of_range, text };
struct Number {
  Kind kind = Kind::text;
  double value = 0;
};

Number parse_number(std::string_view field) {
  if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
  Number out;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), out.value);
  if (field.empty() || end != field.data() + field.size()) return out;
  if (error == std::errc::result_out_of_range)
    out.kind = Kind::out_of_range;
  else if (error == std::errc())
    out.kind = std::isfinite(out.value) ? Kind::number : Kind::not_finite;
  return out;
}

class Parser {
 public:
  Parser(const std::string& name, std::string_view text) : name_(name), text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  Table parse() {
    Table table;
    for (bool first = true; next_record(); first = false) {
      if (first) {
        table.columns = static_cast<std::int64_t>(fields_.size());
        if (is_header()) {
          table.names = fields_;
          continue;
        }
      }
      if (static_cast<std::int64_t>(fields_.size()) != table.columns)
        fail(fmt::format("{} fields, wanted {}", fields_.size(), table.columns));
      for (std::size_t column = 0; column < fields_.size(); ++column)
        table.values.push_back(number(column));
      ++table.rows;
    }
    if (table.columns == 0) throw IoError(fmt::format("[io] {} is empty, wanted rows", name_));
    return table;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw IoError(fmt::format("[io] {}, line {}: {}", name_, record_line_, what));
  }
  [[noreturn]] void fail(std::size_t column, std::string_view what) const {
    throw IoError(
        fmt::format("[io] {}, line {}, column {}: {}", name_, record_line_, column + 1, what));
  }

  bool is_header() const {
    if (std::any_of(fields_.begin(), fields_.end(), [](const std::string& field) {
          return parse_number(field).kind != Kind::text;
        }))
      return false;
    for (std::size_t column = 0; column < fields_.size(); ++column)
      if (fields_[column].empty()) fail(column, "a header without a name, as index columns have");
    return true;
  }

  double number(std::size_t column) const {
    const Number out = parse_number(fields_[column]);
    switch (out.kind) {
      case Kind::number:
        return out.value;
      case Kind::not_finite:
        fail(column, fmt::format("{} is not finite", shown(fields_[column])));
      case Kind::out_of_range:
        fail(column, fmt::format("{} is outside the range of a double", shown(fields_[column])));
      case Kind::text:
        break;
    }
    fail(column, fmt::format("{}, wanted a number",
                             fields_[column].empty() ? "an empty field" : shown(fields_[column])));
  }

  // Fills fields_ with the next record; false at the end of the text.
  bool next_record() {
    for (std::int64_t blank = 0; at_ < text_.size(); ++line_) {
      record_line_ = line_;
      const std::string_view rest = text_.substr(at_);
      const std::string_view line = rest.substr(0, rest.find('\n'));
      if (line.starts_with('#')) {
        at_ += std::min(line.size() + 1, rest.size());
      } else if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
        at_ += std::min(line.size() + 1, rest.size());
        if (blank == 0) blank = line_;
      } else {
        if (blank > 0) {
          record_line_ = blank;
          fail("a blank line, wanted a row");
        }
        read_fields();
        return true;
      }
    }
    return false;
  }

  void read_fields() {
    fields_.clear();
    do {
      fields_.push_back(field());
    } while (accept(','));
    if (at_ < text_.size()) {
      ++at_;  // the '\n' that ended the last field
      ++line_;
    }
  }

  char peek() const { return text_[at_]; }
  bool at_end() const { return at_ >= text_.size() || peek() == '\n'; }
  bool accept(char c) {
    if (at_ >= text_.size() || peek() != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (!at_end() && (peek() == ' ' || peek() == '\t' || peek() == '\r')) ++at_;
  }

  std::string field() {
    skip_space();
    if (accept('"')) return quoted();
    const std::size_t begin = at_;
    while (!at_end() && peek() != ',') ++at_;
    std::string_view out = text_.substr(begin, at_ - begin);
    while (!out.empty() && (out.back() == ' ' || out.back() == '\t' || out.back() == '\r'))
      out.remove_suffix(1);
    return std::string(out);
  }

  std::string quoted() {
    std::string out;
    for (;; ++at_) {
      if (at_ >= text_.size()) fail(fields_.size(), "a quote that is never closed");
      if (peek() == '\n') ++line_;
      if (peek() == '"') {
        ++at_;
        if (at_ >= text_.size() || peek() != '"') break;  // "" stands for one quote
      }
      out += peek();
    }
    skip_space();
    if (!at_end() && peek() != ',') fail(fields_.size(), "text after a closing quote");
    return out;
  }

  const std::string& name_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1, record_line_ = 1;
  std::vector<std::string> fields_;
};
}  // namespace

Table parse_csv(const std::string& name, std::string_view text) {
  return Parser(name, text).parse();
}
}  // namespace monge::io
