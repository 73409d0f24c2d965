// Bytes made by hand, and what a reader says of bad ones.
#pragma once
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "io/npy.hpp"
#include "monge/core/error.hpp"

namespace monge::io::testing {
inline std::span<const std::byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// An npy file of the given version around a header and raw data.
inline std::string npy(const std::string& dict, const std::string& data, int version = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    out += static_cast<char>(dict.size() >> 8 * i & 0xff);
  return out + dict + data;
}

inline std::string dict(const std::string& descr, const std::string& shape,
                        const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

template <class T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(std::data(values)), values.size() * sizeof(T)};
}

inline Array read(const std::string& file) {
  MemorySource source("a.npy", bytes_of(file));
  return read_npy(source);
}

inline std::vector<double> doubles(const Array& array) {
  return std::visit([](const auto& v) { return std::vector<double>(v.begin(), v.end()); },
                    array.values);
}
template <class T>
std::vector<T> list(const Buffer<T>& values) {
  return {values.begin(), values.end()};
}

template <class Call>
std::string io_error(const Call& call) {
  try {
    call();
  } catch (const IoError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no IoError";
  return {};
}

/// A directory that is gone after the test.
class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "monge_io_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return *this / name;
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
}  // namespace monge::io::testing
