// Zip archives of stored entries (PKWARE APPNOTE 6.3, with its 64-bit sizes), as NumPy writes .npz:
// so little of the format that the library needs no other one for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/source.hpp"

namespace monge::io {
struct ZipEntry {
  std::string name;
  std::uint64_t size = 0, offset = 0;  // bytes; of the local header
  std::uint32_t check = 0;             // CRC-32
  std::uint16_t method = 0;            // 0: stored
};

/// The CRC-32 of bytes after others whose CRC-32 is `before`.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0);

/// Writes `path` at once, without times: same entries, same bytes.
class ZipWriter {
 public:
  static constexpr std::uint64_t kWide = 0xffffffff;  // what 32 bits do not hold
  /// Sizes and offsets from `wide` on are written in 64 bits. Throws IoError, as all members do.
  explicit ZipWriter(const std::string& path, std::uint64_t wide = kWide)
      : file_(path), wide_(wide) {}
  /// An entry of the parts one after the other.
  void add(const std::string& name, std::span<const std::span<const std::byte>> parts);
  /// Until then `path` is as it was.
  void commit();

 private:
  void write(const std::string& bytes);

  AtomicFile file_;
  std::uint64_t wide_, at_ = 0;
  std::vector<ZipEntry> entries_;
};

class ZipReader {
 public:
  /// Throws IoError where the file is no archive that can be read.
  explicit ZipReader(const std::string& path);
  /// The same from the caller's bytes, which must outlive the reader.
  ZipReader(std::string name, std::span<const std::byte> bytes);
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const std::string& name() const { return name_; }
  /// Null where there is none of the name.
  const ZipEntry* find(const std::string& entry) const;
  /// What `take` makes of the entry's bytes. Throws IoError where it is compressed, lies outside
  /// the archive or has another check sum.
  template <class Take>
  auto read(const ZipEntry& entry, const Take& take) const {
    Entry source(*this, entry);
    auto out = take(source);
    source.finish();
    return out;
  }

 private:
  class Entry final : public Source {
   public:
    Entry(const ZipReader& archive, const ZipEntry& entry);
    void finish();

   private:
    std::uint64_t read_some(void* out, std::uint64_t bytes) override;

    const ZipReader& archive_;
    std::uint64_t begin_;
    std::uint32_t check_ = 0, wanted_;
  };
  using ReadAt = std::function<void(std::uint64_t at, void* out, std::uint64_t bytes)>;

  void list();
  std::string bytes(std::uint64_t at, std::uint64_t count, const char* what) const;
  [[noreturn]] void fail(const std::string& why) const;

  std::string name_;
  std::uint64_t size_ = 0;
  ReadAt read_at_;
  std::vector<ZipEntry> entries_;
};
}  // namespace monge::io
