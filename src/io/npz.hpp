// NumPy's .npz archives: zip files of .npy entries, stored or deflated.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/npy.hpp"

struct zip;

namespace monge::io {
class NpzReader {
 public:
  /// Throws IoError where the file is not a readable archive.
  explicit NpzReader(const std::string& path);
  /// The same from the caller's bytes, which must outlive the reader.
  NpzReader(std::string name, std::span<const std::byte> bytes);

  /// Without the ".npy" of the entries.
  const std::vector<std::string>& keys() const { return keys_; }
  bool has(const std::string& key) const;
  /// Throws IoError naming the keys there are, and whatever read_npy refuses.
  Array read(const std::string& key) const;

 private:
  struct Close {
    void operator()(zip* archive) const;
  };
  void list();

  std::string name_;
  std::uint64_t bytes_ = 0;  // of the whole archive
  std::unique_ptr<zip, Close> archive_;
  std::vector<std::string> keys_;
};

struct NamedArray {
  std::string key;
  ArrayView array;
};

/// Writes `path` at once, entries uncompressed and without times: same arrays, same bytes. Throws
/// IoError.
void write_npz(const std::string& path, const std::vector<NamedArray>& arrays);
}  // namespace monge::io
