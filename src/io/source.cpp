#include "io/source.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "monge/core/error.hpp"

namespace monge::io {
namespace {
std::uint64_t size_of(const std::string& path, std::FILE* file) {
  if (!file) throw IoError(fmt::format("[io] cannot open {}: {}", path, std::strerror(errno)));
  struct stat status {};
  if (fstat(fileno(file), &status) != 0)
    throw IoError(fmt::format("[io] cannot read {}: {}", path, std::strerror(errno)));
  if (!S_ISREG(status.st_mode))
    throw IoError(fmt::format("[io] {} is {}, wanted a regular file", path,
                              S_ISDIR(status.st_mode) ? "a directory" : "not a file"));
  return static_cast<std::uint64_t>(status.st_size);
}
}  // namespace

void Source::read(void* out, std::uint64_t bytes) {
  auto* next = static_cast<std::byte*>(out);
  for (std::uint64_t left = bytes; left > 0;) {
    const std::uint64_t got = left <= remaining() ? read_some(next, left) : 0;
    if (got == 0)
      throw IoError(fmt::format("[io] {} is truncated: {} bytes left at byte {}, wanted {}", name_,
                                remaining(), position_, left));
    next += got;
    left -= got;
    position_ += got;
  }
}

FileSource::FileSource(const std::string& path)
    : FileSource(path, File(std::fopen(path.c_str(), "rb"))) {}

FileSource::FileSource(const std::string& path, File file)
    : Source(path, size_of(path, file.get())), file_(std::move(file)) {}

std::uint64_t FileSource::read_some(void* out, std::uint64_t bytes) {
  const std::size_t got = std::fread(out, 1, bytes, file_.get());
  if (got == 0 && std::ferror(file_.get()))
    throw IoError(fmt::format("[io] cannot read {} at byte {}: {}", name(), position(),
                              std::strerror(errno)));
  return got;
}

std::uint64_t MemorySource::read_some(void* out, std::uint64_t bytes) {
  const std::uint64_t count = std::min(bytes, remaining());
  std::memcpy(out, bytes_.data() + position(), count);
  return count;
}
}  // namespace monge::io
