// Small arrays beside the sweeps, made where the data are: on exec.device, in the order of
// exec.stream.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/entries.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"
#include "monge/ot/problem.hpp"

namespace monge {
/// Room for `size` values and their padding.
template <class T>
Buffer<T> padded_buffer(std::int64_t size, const Exec& exec) {
  return Buffer<T>(kernels::padded(size), exec.device);
}

template <class T>
Buffer<T> filled(std::int64_t size, T value, Exec& exec) {
  Buffer<T> out(size, exec.device);
  kernels::each(kernels::FillArgs<T>{value, out.data()}, size, exec);
  return out;
}

/// Row-major, from any strides.
template <class T>
Buffer<T> gathered(MatrixView<const T> from, Exec& exec) {
  Buffer<T> out(from.rows * from.cols, exec.device);
  kernels::each(kernels::GatherArgs<T>{from, out.data()}, out.size(), exec);
  return out;
}
template <class T>
Buffer<T> gathered(VectorView<const T> from, Exec& exec) {
  return gathered(MatrixView<const T>(from.data, from.size, 1, from.stride, 1, from.device), exec);
}

/// For what only the host does; each caller says why that is no loss.
template <class View>
auto on_host(const View& view, Exec& exec) {
  return gathered(view, exec).to(Device{}, exec.stream);
}

/// A host array where the data are.
template <class T>
Buffer<T> placed(const std::vector<T>& values, Exec& exec) {
  const auto size = static_cast<std::int64_t>(values.size());
  Buffer<T> out(size, exec.device);
  copy(out.data(), exec.device, values.data(), Device{}, size * std::int64_t{sizeof(T)},
       exec.stream);
  return out;
}

/// Copies adjacent values into `to`, whose memory is kept where its size fits: for what is kept
/// check after check.
template <class T>
void assign(Buffer<T>& to, VectorView<const T> from, Exec& exec) {
  if (to.size() != from.size) to = Buffer<T>(from.size, exec.device);
  copy(to.data(), exec.device, from.data, from.device, from.size * std::int64_t{sizeof(T)},
       exec.stream);
}

inline Buffer<double> widened(const Buffer<float>& from, Exec& exec) {
  Buffer<double> out(from.size(), exec.device);
  kernels::each(kernels::WidenArgs{from.data(), out.data()}, out.size(), exec);
  return out;
}

template <class T>
Buffer<double> in_double(VectorView<const T> from, Exec& exec) {
  auto values = gathered(from, exec);
  if constexpr (std::is_same_v<T, double>)
    return values;
  else
    return widened(values, exec);
}
template <class T>
Buffer<double> in_double(const T* values, std::int64_t size, Exec& exec) {
  return in_double(VectorView<const T>(values, size, 1, exec.device), exec);
}

/// values [n, k] times the weight of their row.
template <class T>
void scale_rows(VectorView<const T> weights, Buffer<T>& values, Exec& exec) {
  kernels::each(kernels::ScaleRowsArgs<T>{weights, values.size() / weights.size, values.data()},
                values.size(), exec);
}

/// out += factor x
template <class T>
void add(Buffer<T>& out, T factor, const Buffer<T>& x, Exec& exec) {
  kernels::each(kernels::AddArgs<T>{x.data(), factor, out.data()}, out.size(), exec);
}

/// Throws InvalidArgument where an array of a call is not on the device of the call.
inline void check_device(const char* room, const char* name, Device device, const Exec& exec) {
  if (device != exec.device)
    throw InvalidArgument("[" + std::string(room) + "] " + name + " is on " + to_string(device) +
                              " but the call runs on " + to_string(exec.device),
                          name);
}

/// Entry e = i * cols + j, to name it in an error.
template <class T>
double entry(MatrixView<const T> matrix, std::int64_t e, Exec& exec) {
  const T* const at = &matrix(e / matrix.cols, e % matrix.cols);
  T value;
  copy(&value, Device{}, at, exec.device, sizeof value, exec.stream);
  return value;
}

/// How the data of a problem are looked at before any call says more.
template <class T>
Exec exec_of(const Problem<T>& problem) {
  Exec exec;
  exec.device = problem.device();
  exec.stream = problem.stream();
  return exec;
}

template <class T>
Buffer<double> log_weights(VectorView<const T> weights, Exec& exec) {
  Buffer<double> out(weights.size, exec.device);
  kernels::log_weights<T>({weights, out.data()}, exec);
  return out;
}
}  // namespace monge
