// An array that a result owns: 64-byte aligned, move-only, on one device.
#pragma once
#include <algorithm>
#include <cassert>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "monge/core/error.hpp"
#include "monge/core/memory.hpp"
#include "monge/core/view.hpp"

namespace monge {
template <class T>
class Buffer {
 public:
  Buffer() = default;
  /// Uninitialised. Throws OutOfMemory or, for a GPU, DeviceError with the bytes wanted;
  /// NotAvailable for a device that this build lacks.
  explicit Buffer(std::int64_t size, Device device = {}) : size_(size), device_(device) {
    if (size <= 0) return;
    if (size > std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(sizeof(T)))
      throw OutOfMemory("[buffer] no memory for " + std::to_string(size) + " values of " +
                        std::to_string(sizeof(T)) + " bytes");
    data_ = static_cast<T*>(detail::allocate(bytes(), device));
  }
  /// On the CPU.
  Buffer(std::int64_t size, T value) : Buffer(size) { std::fill(begin(), end(), value); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        device_(other.device_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(device_, other.device_);
    return *this;
  }
  ~Buffer() { detail::deallocate(data_, device_); }

  /// A copy on the same device or on another, in the order of `stream`: see monge::copy.
  Buffer copy(void* stream = nullptr) const { return to(device_, stream); }
  Buffer to(Device device, void* stream = nullptr) const& {
    Buffer out(size_, device);
    monge::copy(out.data_, device, data_, device_, bytes(), stream);
    return out;
  }
  /// Of a buffer that is given away: itself where it is there already.
  Buffer to(Device device, void* stream = nullptr) && {
    if (device == device_) return std::move(*this);
    return std::as_const(*this).to(device, stream);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  Device device() const { return device_; }
  VectorView<T> view() { return {data_, size_, 1, device_}; }
  VectorView<const T> view() const { return {data_, size_, 1, device_}; }

  // Entries are the host's to touch on the CPU alone: elsewhere take them there by to(Device{}).
  T& operator[](std::int64_t i) { return host()[i]; }
  const T& operator[](std::int64_t i) const { return host()[i]; }
  T* begin() { return host(); }
  T* end() { return host() + size_; }
  const T* begin() const { return host(); }
  const T* end() const { return host() + size_; }

 private:
  std::int64_t bytes() const { return size_ * static_cast<std::int64_t>(sizeof(T)); }
  T* host() const {
    assert(!device_.is_cuda());
    return data_;
  }

  T* data_ = nullptr;
  std::int64_t size_ = 0;
  Device device_{};
};
}  // namespace monge
