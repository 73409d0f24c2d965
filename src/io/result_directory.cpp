#include "io/result_directory.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "io/mode.hpp"
#include "monge/core/error.hpp"

namespace monge::io {
namespace fs = std::filesystem;
namespace {
constexpr const char* kTemporary = ".monge-";

bool holds_nothing(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory))
    if (!entry.path().filename().string().starts_with(kTemporary)) return false;
  return true;
}

[[noreturn]] void fail(const fs::path& path, const char* why) {
  throw IoError(fmt::format("[io] cannot write results to {}: {}", path.string(), why));
}
}  // namespace

ResultDirectory::ResultDirectory(const std::string& path, bool force) try
    : path_(fs::absolute(path).lexically_normal()) {
  if (!path_.has_filename()) path_ = path_.parent_path();  // "results/"
  existed_ = fs::exists(path_);
  if (existed_ && !fs::is_directory(path_)) fail(path_, "it is not a directory");
  if (existed_ && !force && !holds_nothing(path_))
    fail(path_, "it is not empty (--force replaces results)");
  const fs::path writable = existed_ ? path_ : path_.parent_path();
  if (access(writable.c_str(), W_OK | X_OK) != 0) fail(path_, std::strerror(errno));
} catch (const fs::filesystem_error& error) {
  fail(path, error.code().message().c_str());
}

ResultDirectory::~ResultDirectory() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

std::string ResultDirectory::file(const std::string& name) {
  if (temporary_.empty()) {
    // Inside a directory that exists, which may be a file system of its own; else beside.
    std::string pattern =
        ((existed_ ? path_ : path_.parent_path()) / kTemporary).string() + "XXXXXX";
    if (!mkdtemp(pattern.data())) fail(path_, std::strerror(errno));
    temporary_ = pattern;
    chmod(temporary_.c_str(), new_mode(0777));
  }
  return (temporary_ / name).string();
}

void ResultDirectory::publish(const std::vector<std::string>& known) try {
  if (!existed_) {
    fs::rename(temporary_, path_);
  } else {
    for (const std::string& name : known) fs::remove(path_ / name);
    const fs::path last = temporary_ / known.front();
    for (const auto& entry : fs::directory_iterator(temporary_))
      if (entry.path() != last) fs::rename(entry.path(), path_ / entry.path().filename());
    fs::rename(last, path_ / known.front());
    fs::remove(temporary_);
  }
  temporary_.clear();
} catch (const fs::filesystem_error& error) {
  fail(path_, error.code().message().c_str());
}
}  // namespace monge::io
