#include "io/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string_view>

#include "format.hpp"
#include "io/atomic_file.hpp"
#include "monge/core/error.hpp"

namespace monge::io {
static_assert(std::endian::native == std::endian::little, "the writers store native bytes as '<'");

namespace {
constexpr std::string_view kMagic("\x93NUMPY", 6);

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// The header is a Python dict literal of three known keys; nothing else of Python is understood.
class HeaderParser {
 public:
  HeaderParser(const std::string& name, std::uint64_t start, std::string_view text)
      : name_(name), start_(start), text_(text) {}

  Header parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        header.descr = description();
        descr = true;
      } else if (key == "fortran_order" && !order) {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        header.shape = tuple();
        shape = true;
      } else {
        fail("each of the keys descr, fortran_order and shape once");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("nothing after the header's '}'");
    if (!descr || !order || !shape) fail("the keys descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view wanted) const {
    throw IoError(
        fmt::format("[io] {}: npy header, byte {}: wanted {}", name_, start_ + at_, wanted));
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r') ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}'", c));
  }
  std::string string() {
    skip_space();
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("a quoted string");
    const auto end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a closing quote");
    std::string out(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return out;
  }
  std::string description() {
    skip_space();
    if (peek() == '[' || peek() == '(' || peek() == '{')
      fail("numbers of one type; this array is structured");
    return string();
  }
  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair{"True", true}, std::pair{"False", false}})
      if (text_.substr(at_).starts_with(word)) {
        at_ += std::strlen(word);
        return value;
      }
    fail("True or False");
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> out;
    expect('(');
    while (!accept(')')) {
      out.push_back(length());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }
  std::int64_t length() {
    skip_space();
    if (peek() == '-') fail("lengths that are not negative");
    if (peek() < '0' || peek() > '9') fail("an integer");
    std::int64_t out = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_)
      if (__builtin_mul_overflow(out, std::int64_t{10}, &out) ||
          __builtin_add_overflow(out, std::int64_t{peek() - '0'}, &out))
        fail("lengths below 2^63");
    return out;
  }

  const std::string& name_;
  std::uint64_t start_;
  std::string_view text_;
  std::size_t at_ = 0;
};

struct Type {
  char kind = 0;
  std::uint64_t size = 0;
  bool swapped = false;
  std::string name;
};

Type parse_type(const std::string& file, const std::string& descr) {
  const auto refuse = [&](std::string_view what) -> Type {
    throw IoError(fmt::format("[io] {}: holds {} ('{}'), wanted bool, integers, float32 or float64",
                              file, what, descr));
  };
  std::string_view rest = descr;
  bool swapped = false;
  if (!rest.empty() && std::string_view("<>=|").find(rest[0]) != std::string_view::npos) {
    swapped = rest[0] == '>';
    rest.remove_prefix(1);
  }
  const char kind = rest.empty() ? '\0' : rest[0];
  const std::string_view size = rest.empty() ? rest : rest.substr(1);
  switch (kind) {
    case 'b':
      if (size == "1") return {kind, 1, false, "bool"};
      break;
    case 'i':
    case 'u':
      if (size == "1" || size == "2" || size == "4" || size == "8") {
        const auto bytes = static_cast<std::uint64_t>(size[0] - '0');
        return {kind, bytes, swapped, fmt::format("{}int{}", kind == 'u' ? "u" : "", 8 * bytes)};
      }
      break;
    case 'f':
      if (size == "4" || size == "8") {
        const auto bytes = static_cast<std::uint64_t>(size[0] - '0');
        return {kind, bytes, swapped, fmt::format("float{}", 8 * bytes)};
      }
      return refuse(size == "2" ? "half precision numbers (float16)"
                                : "extended precision numbers");
    case 'c':
      return refuse("complex numbers");
    case 'O':
      return refuse("Python objects");
    case 'V':
      return refuse("a structured or void type");
    case 'S':
    case 'a':
    case 'U':
      return refuse("strings");
    case 'm':
    case 'M':
      return refuse("dates or times");
  }
  return refuse("an unknown type");
}

// Bytes reversed on the way where the file has the other order.
template <class Stored>
Stored load(const std::byte* at, bool swapped) {
  std::array<std::byte, sizeof(Stored)> bytes;
  std::memcpy(bytes.data(), at, sizeof(Stored));
  if (swapped) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<Stored>(bytes);
}

// In blocks, so that little is held beside the values themselves.
template <class Stored, class T>
Buffer<T> read_values(Source& source, std::int64_t count, bool swapped) {
  Buffer<T> out(count);
  if (std::is_same_v<Stored, T> && !swapped) {
    source.read(out.data(), static_cast<std::uint64_t>(count) * sizeof(T));
    return out;
  }
  constexpr std::int64_t kBlock = 1 << 15;
  std::vector<std::byte> block(static_cast<std::size_t>(std::min(count, kBlock)) * sizeof(Stored));
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const std::int64_t size = std::min(kBlock, count - first);
    source.read(block.data(), static_cast<std::uint64_t>(size) * sizeof(Stored));
    for (std::int64_t i = 0; i < size; ++i)
      out[first + i] = static_cast<T>(
          load<Stored>(block.data() + i * static_cast<std::int64_t>(sizeof(Stored)), swapped));
  }
  return out;
}

std::variant<Buffer<float>, Buffer<double>> read_values(Source& source, std::int64_t count,
                                                        const Type& type) {
  const bool s = type.swapped;
  if (type.kind == 'f' && type.size == 4) return read_values<float, float>(source, count, s);
  if (type.kind == 'f') return read_values<double, double>(source, count, s);
  if (type.kind == 'b') {
    auto out = read_values<std::uint8_t, double>(source, count, s);
    for (double& value : out) value = value != 0;  // a bool is any byte
    return out;
  }
  const bool is_signed = type.kind == 'i';
  switch (type.size) {
    case 1:
      return is_signed ? read_values<std::int8_t, double>(source, count, s)
                       : read_values<std::uint8_t, double>(source, count, s);
    case 2:
      return is_signed ? read_values<std::int16_t, double>(source, count, s)
                       : read_values<std::uint16_t, double>(source, count, s);
    case 4:
      return is_signed ? read_values<std::int32_t, double>(source, count, s)
                       : read_values<std::uint32_t, double>(source, count, s);
    default:
      return is_signed ? read_values<std::int64_t, double>(source, count, s)
                       : read_values<std::uint64_t, double>(source, count, s);
  }
}

Header read_header(Source& source) {
  std::array<char, 8> start;
  if (source.remaining() < start.size())
    throw IoError(
        fmt::format("[io] {} has {} bytes, wanted an npy file", source.name(), source.remaining()));
  source.read(start.data(), start.size());
  if (std::string_view(start.data(), kMagic.size()) != kMagic)
    throw IoError(
        fmt::format("[io] {} does not begin as npy files do, with \\x93NUMPY", source.name()));
  const int major = static_cast<unsigned char>(start[6]);
  const int minor = static_cast<unsigned char>(start[7]);
  if (major < 1 || major > 3 || minor != 0)
    throw IoError(fmt::format("[io] {} has npy format {}.{}, wanted 1.0, 2.0 or 3.0", source.name(),
                              major, minor));
  std::array<unsigned char, 4> length{};  // little-endian, 2 bytes in version 1
  source.read(length.data(), major == 1 ? 2 : 4);
  const std::uint64_t size = length[0] | std::uint64_t{length[1]} << 8 |
                             std::uint64_t{length[2]} << 16 | std::uint64_t{length[3]} << 24;
  if (size > source.remaining())
    throw IoError(fmt::format("[io] {} is truncated: its header has {} bytes, {} are left",
                              source.name(), size, source.remaining()));
  std::string text(size, '\0');
  const std::uint64_t at = source.position();
  source.read(text.data(), size);
  return HeaderParser(source.name(), at, text).parse();
}

// The product of the lengths, or nothing where it is beyond `limit`. Lengths beside a 0 are held
// to the limit too: no later product of some of them can then overflow.
bool bounded_count(const std::vector<std::int64_t>& shape, std::uint64_t limit, std::int64_t& out) {
  std::uint64_t product = 1;
  bool empty = false;
  for (const std::int64_t length : shape) {
    if (length == 0) {
      empty = true;
      continue;
    }
    if (static_cast<std::uint64_t>(length) > limit / product) return false;
    product *= static_cast<std::uint64_t>(length);
  }
  out = empty ? 0 : static_cast<std::int64_t>(product);
  return true;
}
}  // namespace

std::string to_string(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> lengths;
  lengths.reserve(shape.size());
  for (const auto length : shape) lengths.push_back(std::to_string(length));
  return fmt::format("({}{})", listed(lengths), shape.size() == 1 ? "," : "");
}

Array read_npy(Source& source) {
  Header header = read_header(source);
  const Type type = parse_type(source.name(), header.descr);
  std::int64_t count = 0;
  const bool empty = std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end();
  const std::uint64_t limit = empty ? std::numeric_limits<std::int64_t>::max() / sizeof(double)
                                    : source.remaining() / type.size;
  if (!bounded_count(header.shape, limit, count))
    throw IoError(
        fmt::format("[io] {} is truncated: shape {} of {} wants more than the {} bytes left",
                    source.name(), to_string(header.shape), type.name, source.remaining()));
  if (const auto rest = source.remaining() - static_cast<std::uint64_t>(count) * type.size;
      rest > 0)
    throw IoError(fmt::format("[io] {} holds {} bytes after its array of shape {}, wanted none",
                              source.name(), rest, to_string(header.shape)));
  return {std::move(header.shape), header.fortran_order, type.name,
          read_values(source, count, type)};
}

std::string read_npy_text(Source& source) {
  const Header header = read_header(source);
  if (!header.shape.empty() || !header.descr.starts_with("|S") ||
      header.descr.substr(2) != std::to_string(source.remaining()))
    throw IoError(fmt::format("[io] {} is of type '{}' and shape {}, wanted one string",
                              source.name(), header.descr, to_string(header.shape)));
  std::string out(source.remaining(), '\0');
  source.read(out.data(), out.size());
  out.resize(out.find_last_not_of('\0') + 1);  // NumPy fills with them
  return out;
}

std::uint64_t ArrayView::bytes() const {
  std::uint64_t out = item_size;
  for (const std::int64_t length : shape) out *= static_cast<std::uint64_t>(length);
  return out;
}

std::string npy_header(const ArrayView& array) {
  constexpr std::size_t kPrefix = 10, kAlign = 64;
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                 array.descr, to_string(array.shape));
  dict.append(kAlign - 1 - (kPrefix + dict.size()) % kAlign, ' ');
  dict += '\n';
  std::string out(kMagic);
  out +=
      {'\x01', '\x00', static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  return out + dict;
}

void write_npy(const std::string& path, const ArrayView& array) {
  AtomicFile file(path);
  const std::string header = npy_header(array);
  file.write(header.data(), header.size());
  file.write(array.data, array.bytes());
  file.commit();
}
}  // namespace monge::io
