#include "io/zip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

#include "monge/core/error.hpp"

namespace monge::io {
namespace {
constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50,
                        kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::uint64_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                        kLocator64Size = 20;
constexpr std::uint32_t kIn64 = std::numeric_limits<std::uint32_t>::max();  // see the 64-bit field
constexpr std::uint16_t kExtra64 = 1, kFirstDay = 1 << 5 | 1;  // 1 January 1980: no time is kept
constexpr std::uint16_t kVersion = 20, kVersion64 = 45, kUnix = 3 << 8;
constexpr std::uint32_t kRegularFile = 0100644u << 16;

constexpr std::array<std::uint32_t, 256> kCrc = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1 ? 0xedb88320u : 0);
    table[byte] = rest;
  }
  return table;
}();

template <class... Numbers>  // little-endian, each in its own width
std::string packed(Numbers... numbers) {
  std::string out;
  const auto append = [&](auto number) {
    for (std::size_t k = 0; k < sizeof number; ++k)
      out += static_cast<char>(number >> 8 * k & 0xff);
  };
  (append(numbers), ...);
  return out;
}
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

template <class Number>
Number number(const std::string& from, std::size_t at) {
  Number out = 0;
  for (std::size_t k = 0; k < sizeof out; ++k)
    out |=
        static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(from[at + k])) << 8 * k);
  return out;
}

u32 in_32(u64 value, bool mark) { return mark ? kIn64 : static_cast<u32>(value); }
}  // namespace

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t rest = ~before;
  for (const std::byte byte : bytes)
    rest = rest >> 8 ^ kCrc[(rest ^ static_cast<std::uint32_t>(byte)) & 0xff];
  return ~rest;
}

void ZipWriter::write(const std::string& bytes) {
  file_.write(bytes.data(), bytes.size());
  at_ += bytes.size();
}

void ZipWriter::add(const std::string& name, std::span<const std::span<const std::byte>> parts) {
  ZipEntry entry{.name = name, .offset = at_};
  for (const auto& part : parts) {
    entry.size += part.size();
    entry.check = crc32(part, entry.check);
  }
  const bool wide = entry.size >= wide_;
  const u32 size = in_32(entry.size, wide);
  write(packed(kLocal, wide ? kVersion64 : kVersion, u16{0}, u16{0}, u16{0}, kFirstDay, entry.check,
               size, size, static_cast<u16>(name.size()), static_cast<u16>(wide ? 20 : 0)) +
        name + (wide ? packed(kExtra64, u16{16}, entry.size, entry.size) : ""));
  for (const auto& part : parts) {
    file_.write(part.data(), part.size());
    at_ += part.size();
  }
  entries_.push_back(std::move(entry));
}

void ZipWriter::commit() {
  const u64 begin = at_;
  for (const ZipEntry& entry : entries_) {
    const bool wide = entry.size >= wide_ || entry.offset >= wide_;
    const u32 size = in_32(entry.size, wide);
    write(packed(kCentral, static_cast<u16>(kUnix | kVersion64), wide ? kVersion64 : kVersion,
                 u16{0}, u16{0}, u16{0}, kFirstDay, entry.check, size, size,
                 static_cast<u16>(entry.name.size()), static_cast<u16>(wide ? 28 : 0), u16{0},
                 u16{0}, u16{0}, kRegularFile, in_32(entry.offset, wide)) +
          entry.name +
          (wide ? packed(kExtra64, u16{24}, entry.size, entry.size, entry.offset) : ""));
  }
  const u64 size = at_ - begin, count = entries_.size(), end = at_;
  const bool wide = begin >= wide_;
  if (wide)
    write(packed(kEnd64, kEnd64Size - 12, static_cast<u16>(kUnix | kVersion64), kVersion64, u32{0},
                 u32{0}, count, count, size, begin) +
          packed(kLocator64, u32{0}, end, u32{1}));
  write(packed(kEnd, u16{0}, u16{0}, static_cast<u16>(count), static_cast<u16>(count),
               in_32(size, wide), in_32(begin, wide), u16{0}));
  file_.commit();
}

ZipReader::ZipReader(const std::string& path) : name_(path) {
  size_ = FileSource(path).remaining();  // which says what is wrong with a path
  const std::shared_ptr<std::FILE> file(std::fopen(path.c_str(), "rb"), [](std::FILE* f) {
    if (f) std::fclose(f);
  });
  if (!file) fail(std::strerror(errno));
  read_at_ = [this, file](std::uint64_t at, void* out, std::uint64_t bytes) {
    if (fseeko(file.get(), static_cast<off_t>(at), SEEK_SET) != 0 ||
        std::fread(out, 1, bytes, file.get()) != bytes)
      fail(fmt::format("it cannot be read at byte {}", at));
  };
  list();
}

ZipReader::ZipReader(std::string name, std::span<const std::byte> bytes)
    : name_(std::move(name)),
      size_(bytes.size()),
      read_at_([bytes](std::uint64_t at, void* out, std::uint64_t count) {
        if (count > 0) std::memcpy(out, bytes.data() + at, count);
      }) {
  list();
}

void ZipReader::fail(const std::string& why) const {
  throw IoError(fmt::format("[io] {} is no archive as monge writes it: {}", name_, why));
}

std::string ZipReader::bytes(std::uint64_t at, std::uint64_t count, const char* what) const {
  if (count > size_ || at > size_ - count)
    fail(fmt::format("its {} would lie beyond its {} bytes", what, size_));
  std::string out(count, '\0');
  read_at_(at, out.data(), count);
  return out;
}

void ZipReader::list() {
  constexpr std::uint64_t kComment = 0xffff;
  const std::uint64_t tail = std::min(size_, kEndSize + kComment);
  const std::string last = bytes(size_ - tail, tail, "end");
  std::size_t at = last.rfind(packed(kEnd));
  if (at == std::string::npos || last.size() - at < kEndSize) fail("it has no directory");
  std::uint64_t count = number<u16>(last, at + 10), size = number<u32>(last, at + 12),
                begin = number<u32>(last, at + 16);
  if (begin == kIn64 || size == kIn64 || count == 0xffff) {
    const std::uint64_t end = size_ - tail + at;
    if (end < kLocator64Size) fail("it has no 64-bit directory");
    const std::string locator = bytes(end - kLocator64Size, kLocator64Size, "directory");
    if (number<u32>(locator, 0) != kLocator64) fail("it has no 64-bit directory");
    const std::string wide = bytes(number<u64>(locator, 8), kEnd64Size, "directory");
    if (number<u32>(wide, 0) != kEnd64) fail("it has no 64-bit directory");
    count = number<u64>(wide, 32);
    size = number<u64>(wide, 40);
    begin = number<u64>(wide, 48);
  }
  const std::string directory = bytes(begin, size, "directory");
  at = 0;
  const auto more = [&](std::uint64_t wanted) {
    if (directory.size() - at < wanted) fail("its directory is cut short");
  };
  for (std::uint64_t k = 0; k < count; ++k) {
    more(kCentralSize);
    if (number<u32>(directory, at) != kCentral) fail("its directory is damaged");
    ZipEntry entry;
    entry.method = number<u16>(directory, at + 10);
    entry.check = number<u32>(directory, at + 16);
    const std::uint64_t stored = number<u32>(directory, at + 20);
    entry.size = number<u32>(directory, at + 24);
    entry.offset = number<u32>(directory, at + 42);
    const std::size_t name = number<u16>(directory, at + 28),
                      extra = number<u16>(directory, at + 30),
                      comment = number<u16>(directory, at + 32);
    more(kCentralSize + name + extra + comment);
    entry.name = directory.substr(at + kCentralSize, name);
    // Of the 64-bit field those stand there, in order, that did not fit.
    for (std::size_t e = at + kCentralSize + name, last_byte = e + extra; e + 4 <= last_byte;) {
      const std::size_t next = e + 4 + number<u16>(directory, e + 2);
      if (next > last_byte) fail("its directory is damaged");
      if (number<u16>(directory, e) == kExtra64) {
        std::size_t value = e + 4;
        const auto take = [&](std::uint64_t& from, bool wanted) {
          if (!wanted) return;
          if (value + 8 > next) fail("its directory is damaged");
          from = number<u64>(directory, value);
          value += 8;
        };
        std::uint64_t skipped = 0;
        take(entry.size, entry.size == kIn64);
        take(skipped, stored == kIn64);
        take(entry.offset, entry.offset == kIn64);
      }
      e = next;
    }
    at += kCentralSize + name + extra + comment;
    entries_.push_back(std::move(entry));
  }
}

const ZipEntry* ZipReader::find(const std::string& entry) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const ZipEntry& e) { return e.name == entry; });
  return found == entries_.end() ? nullptr : &*found;
}

ZipReader::Entry::Entry(const ZipReader& archive, const ZipEntry& entry)
    : Source(fmt::format("{}[{}]", archive.name_, entry.name), entry.size),
      archive_(archive),
      wanted_(entry.check) {
  if (entry.method != 0)
    throw IoError(
        fmt::format("[io] {} is compressed, wanted stored: save it again by monge", name()));
  const std::string local = archive.bytes(entry.offset, kLocalSize, "entry");
  if (number<u32>(local, 0) != kLocal) archive.fail("an entry is damaged");
  begin_ = entry.offset + kLocalSize + number<u16>(local, 26) + number<u16>(local, 28);
  if (begin_ > archive.size_ || entry.size > archive.size_ - begin_)
    archive.fail(fmt::format("{} would lie beyond its {} bytes", entry.name, archive.size_));
}

std::uint64_t ZipReader::Entry::read_some(void* out, std::uint64_t bytes) {
  bytes = std::min(bytes, remaining());
  archive_.read_at_(begin_ + position(), out, bytes);
  check_ = crc32({static_cast<const std::byte*>(out), bytes}, check_);
  return bytes;
}

void ZipReader::Entry::finish() {
  if (check_ != wanted_)
    throw IoError(fmt::format("[io] {} is damaged: its check sum is another", name()));
}
}  // namespace monge::io
