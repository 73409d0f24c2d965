#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "io/mode.hpp"
#include "monge/core/error.hpp"

namespace monge::io {
AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  const std::filesystem::path target(path_);
  temporary_ =
      (target.parent_path() / fmt::format(".{}.XXXXXX", target.filename().string())).string();
  descriptor_ = mkostemp(temporary_.data(), O_CLOEXEC);
  if (descriptor_ < 0) {
    temporary_.clear();
    fail();
  }
  fchmod(descriptor_, new_mode(0666));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::fail() const {
  throw IoError(fmt::format("[io] cannot write {}: {}", path_, std::strerror(errno)));
}

void AtomicFile::write(const void* data, std::uint64_t bytes) {
  const auto* next = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(descriptor_, next, std::min<std::uint64_t>(bytes, 1u << 30));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) fail();
    next += done;
    bytes -= static_cast<std::uint64_t>(done);
  }
}

void AtomicFile::commit() {
  if (fsync(descriptor_) != 0) fail();
  const int closed = close(descriptor_);
  descriptor_ = -1;
  if (closed != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
  temporary_.clear();
}

void write_text(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}
}  // namespace monge::io
