// An array that a result owns: 64-byte aligned, move-only, on one device.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "monge/core/error.hpp"
#include "monge/core/view.hpp"

namespace monge {
template <class T>
class Buffer {
 public:
  Buffer() = default;
  /// Uninitialised. Throws OutOfMemory with the bytes wanted.
  explicit Buffer(std::int64_t size) : size_(size) {
    if (size <= 0) return;
    if (size <= std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(sizeof(T)))
      data_ = static_cast<T*>(
          ::operator new(static_cast<std::size_t>(size) * sizeof(T), kAlignment, std::nothrow));
    if (!data_)
      throw OutOfMemory("[buffer] no memory for " + std::to_string(size) + " values of " +
                        std::to_string(sizeof(T)) + " bytes");
  }
  Buffer(std::int64_t size, T value) : Buffer(size) { std::fill(begin(), end(), value); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { ::operator delete(data_, kAlignment); }

  Buffer copy() const {
    Buffer out(size_);
    std::copy(begin(), end(), out.begin());
    return out;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  T& operator[](std::int64_t i) { return data_[i]; }
  const T& operator[](std::int64_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  Device device() const { return {}; }
  VectorView<T> view() { return {data_, size_}; }
  VectorView<const T> view() const { return {data_, size_}; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};
}  // namespace monge
