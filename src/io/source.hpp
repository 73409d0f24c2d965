// Bytes of a known length, read once in order: a file, memory, or an entry of an archive. Readers
// learn from it how much can still come, so that no header makes them allocate more than that.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

namespace monge::io {
class Source {
 public:
  virtual ~Source() = default;

  /// For messages: the path, and the entry within an archive.
  const std::string& name() const { return name_; }
  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return size_ - position_; }
  /// Exactly `bytes` bytes. Throws IoError where the source ends or fails before.
  void read(void* out, std::uint64_t bytes);

 protected:
  Source(std::string name, std::uint64_t size) : name_(std::move(name)), size_(size) {}

 private:
  /// At least 1 byte, at most `bytes`; 0 at the end. Throws IoError where the device fails.
  virtual std::uint64_t read_some(void* out, std::uint64_t bytes) = 0;

  std::string name_;
  std::uint64_t size_ = 0, position_ = 0;
};

/// A regular file. Throws IoError where it cannot be opened or is something else.
class FileSource final : public Source {
 public:
  explicit FileSource(const std::string& path);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;
  FileSource(const std::string& path, File file);
  std::uint64_t read_some(void* out, std::uint64_t bytes) override;

  File file_;
};

/// The caller's bytes, which must outlive it.
class MemorySource final : public Source {
 public:
  MemorySource(std::string name, std::span<const std::byte> bytes)
      : Source(std::move(name), bytes.size()), bytes_(bytes) {}

 private:
  std::uint64_t read_some(void* out, std::uint64_t bytes) override;

  std::span<const std::byte> bytes_;
};
}  // namespace monge::io
