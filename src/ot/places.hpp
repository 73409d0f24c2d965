// A few places of arrays, for a host that reads and writes no others: where they stand on a GPU
// they are gathered there, and put back.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "ot/arrays.hpp"

namespace monge {
class Places {
 public:
  Places() = default;
  Places(std::vector<std::int64_t> at, Exec& exec) : at_(std::move(at)) {
    if (!exec.device.is_cuda()) return;
    there_ = placed(at_, exec);
    order_ = placed(std::vector<std::int32_t>(at_.begin(), at_.end()), exec);
  }

  std::vector<double> read(const double* from, Exec& exec) const {
    const auto size = static_cast<std::int64_t>(at_.size());
    std::vector<double> out(at_.size());
    if (exec.device.is_cuda()) {
      Buffer<double> picked(size, exec.device);
      kernels::each(
          kernels::PickRowsArgs<double>{
              {from, size, 1, 1, 1, exec.device}, there_.data(), picked.data()},
          size, exec);
      copy(out.data(), Device{}, picked.data(), exec.device, size * std::int64_t{sizeof(double)},
           exec.stream);
    } else {
      for (std::size_t e = 0; e < out.size(); ++e) out[e] = from[at_[e]];
    }
    return out;
  }
  /// No place twice.
  void write(const std::vector<double>& values, double* to, Exec& exec) const {
    if (exec.device.is_cuda()) {
      const auto size = static_cast<std::int64_t>(at_.size());
      kernels::each(kernels::ScatterArgs<double>{placed(values, exec).data(), 1, order_.data(), to},
                    size, exec);
    } else {
      for (std::size_t e = 0; e < values.size(); ++e) to[at_[e]] = values[e];
    }
  }

 private:
  std::vector<std::int64_t> at_;
  Buffer<std::int64_t> there_;  // on a GPU
  Buffer<std::int32_t> order_;
};

/// edit(values) on the host: a GPU's array goes there and back.
template <class T, class Edit>
void edit_on_host(T* data, std::int64_t size, const Edit& edit, Exec& exec) {
  if (!exec.device.is_cuda()) return edit(data);
  Buffer<T> host(size);
  const std::int64_t bytes = size * std::int64_t{sizeof(T)};
  copy(host.data(), Device{}, data, exec.device, bytes, exec.stream);
  edit(host.data());
  copy(data, exec.device, host.data(), Device{}, bytes, exec.stream);
}
template <class T, class Edit>
void edit_on_host(Buffer<T>& buffer, const Edit& edit, Exec& exec) {
  edit_on_host(buffer.data(), buffer.size(), edit, exec);
}
}  // namespace monge
