// A file that appears at once: bytes go to a hidden file beside it, which takes its name when all
// are there. Whatever interrupts the writer, `path` holds the old contents or the new ones.
#pragma once
#include <cstdint>
#include <string>

namespace monge::io {
class AtomicFile {
 public:
  /// Throws IoError where the directory cannot be written.
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Removes what was written if it was not committed.
  ~AtomicFile();

  void write(const void* data, std::uint64_t bytes);
  /// Flushes to the disk and takes the name. Throws IoError.
  void commit();

 private:
  [[noreturn]] void fail() const;

  std::string path_, temporary_;
  int descriptor_ = -1;
};

void write_text(const std::string& path, const std::string& text);
}  // namespace monge::io
