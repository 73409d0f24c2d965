// Results that appear together. Files are written into a hidden directory and moved to their place
// when all are there, so that whatever interrupts the writer leaves no half-written result.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace monge::io {
class ResultDirectory {
 public:
  /// `path` is new, with a parent that exists, or an empty directory, or with `force` any
  /// directory; else throws IoError. Nothing is written yet.
  ResultDirectory(const std::string& path, bool force);
  ResultDirectory(const ResultDirectory&) = delete;
  ResultDirectory& operator=(const ResultDirectory&) = delete;
  /// Removes what was not published.
  ~ResultDirectory();

  /// Where to write the file `name` for now.
  std::string file(const std::string& name);
  /// Moves the files to their place. A new directory appears at once. In one that exists, the
  /// files in `known` that an earlier run left are removed and all others stay; known.front() goes
  /// first and comes last, so a directory that has it is complete. Throws IoError.
  void publish(const std::vector<std::string>& known);

 private:
  std::filesystem::path path_, temporary_;
  bool existed_ = false;
};
}  // namespace monge::io
