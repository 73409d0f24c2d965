// The devices that tests run on: the CPU always, a GPU where this build and this machine have one.
// A test body is written once: on_every_target() (runs.hpp) and on_every_device() say where
// current_device() is, and Placed puts a kernel's arrays there.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/pairs.hpp"
#include "kernels/split.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/info.hpp"

namespace monge::testing {
/// The CPU first.
inline const std::vector<Device>& devices() {
  static const std::vector<Device> all = [] {
    std::vector<Device> out{Device{}};
    if (info().devices.size() > 1)
      out.push_back({DeviceKind::cuda, 0});
    else
      std::puts("No GPU here: tests run on the CPU alone.");
    return out;
  }();
  return all;
}

inline Device& current_device() {
  static thread_local Device device;
  return device;
}

class DeviceScope {
 public:
  explicit DeviceScope(Device device) : before_(std::exchange(current_device(), device)) {}
  ~DeviceScope() { current_device() = before_; }
  DeviceScope(const DeviceScope&) = delete;

 private:
  Device before_;
};

template <class Test>
void on_every_device(const Test& test) {
  for (const Device device : devices()) {
    SCOPED_TRACE(to_string(device));
    const DeviceScope scope(device);
    test();
  }
}
/// All but the CPU.
template <class Test>
void on_every_gpu(const Test& test) {
  for (const Device device : devices()) {
    if (!device.is_cuda()) continue;
    SCOPED_TRACE(to_string(device));
    const DeviceScope scope(device);
    test();
  }
}

/// Of cases for the halves that a GPU makes of points: all where there is one, else the first,
/// since a CPU keeps points whole.
template <class Case>
std::vector<Case> where_split(std::vector<Case> cases) {
  if (devices().size() == 1) cases.resize(1);
  return cases;
}

/// A kernel's arrays on current_device(): pointers themselves on the CPU, copies elsewhere.
class Placed {
 public:
  Exec exec(int threads = 0) const {
    Exec exec;
    exec.device = device_;
    exec.threads = threads;
    return exec;
  }

  template <class T>
  const T* in(const T* data, std::int64_t count) {
    if (!device_.is_cuda() || !data || count <= 0) return data;
    return held(data, count);
  }
  template <class Array>
  auto in(const Array& array) {
    return in(array.data(), static_cast<std::int64_t>(array.size()));
  }

  /// Starts as what `host` holds (poison, say) and is copied back by finish().
  template <class Array>
  auto out(Array& host) {
    using T = typename std::remove_reference_t<decltype(host.data()[0])>;
    const auto count = static_cast<std::int64_t>(host.size());
    if (!device_.is_cuda() || count == 0) return host.data();
    T* const data = held(host.data(), count);
    back_.push_back([=, this, &host] {
      copy(host.data(), Device{}, data, device_, count * std::int64_t{sizeof(T)});
    });
    return data;
  }

  /// With `split` points stand in halves as well, where the device has a use for them.
  template <class T>
  kernels::Pairs<T> pairs(kernels::Pairs<T> p, bool split = false) {
    for (kernels::Panels<T>* side : {&p.rows, &p.cols}) {
      const std::int64_t padded = kernels::padded(side->count);
      side->data = in(side->data, padded * side->dim);
      side->norms = in(side->norms, padded);
      if (!split || !device_.is_cuda() || p.form == kernels::Form::matrix) continue;
      Exec on = exec();
      memory_.emplace_back(kernels::split_size(*side, on), device_);
      if (memory_.back().size() == 0) continue;
      kernels::split(*side, memory_.back().data(), on);
      side->split = memory_.back().data();
    }
    p.matrix = in(p.matrix, p.n * p.m);
    if (p.list && device_.is_cuda()) {
      const std::int64_t blocks = (p.n + kernels::kRowBlock - 1) / kernels::kRowBlock;
      const kernels::BlockList host = *p.list;
      list_ = std::make_unique<kernels::BlockList>(kernels::BlockList{
          in(host.offsets, blocks + 1), in(host.blocks, host.offsets[blocks]), host.width});
      p.list = list_.get();
    }
    return p;
  }

  /// pairs() with the points once more as the device's matrix units read them, where it has some.
  template <class T>
  kernels::Pairs<T> split(kernels::Pairs<T> p) {
    p = pairs(p);
    Exec exec = this->exec();
    for (kernels::Panels<T>* side : {&p.rows, &p.cols}) {
      const std::int64_t bytes = kernels::split_size(*side, exec);
      if (bytes == 0) continue;
      memory_.emplace_back(bytes, device_);
      kernels::split(*side, memory_.back().data(), exec);
      side->split = memory_.back().data();
    }
    return p;
  }

  /// Waits, and brings the outputs back.
  void finish() {
    synchronize(device_);
    for (const auto& bring : back_) bring();
    back_.clear();
  }

 private:
  template <class T>
  T* held(const T* data, std::int64_t count) {
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
    memory_.emplace_back(bytes, device_);
    copy(memory_.back().data(), device_, data, Device{}, bytes);
    return reinterpret_cast<T*>(memory_.back().data());
  }

  Device device_ = current_device();
  std::vector<Buffer<std::byte>> memory_;
  std::vector<std::function<void()>> back_;
  std::unique_ptr<kernels::BlockList> list_;
};
}  // namespace monge::testing
