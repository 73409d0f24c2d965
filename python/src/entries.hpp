// What batches take: arrays and values of all entries.
#pragma once
#include <nanobind/stl/variant.h>

#include <cstdint>
#include <variant>
#include <vector>

#include "casts.hpp"
#include "monge/core/exec.hpp"
#include "options.hpp"

namespace monge::python {
/// One for each entry: a list, or the slices of one array.
template <class T>
using Matrices = std::variant<nb::ndarray<const T, nb::ndim<3>>, std::vector<Matrix<T>>>;
template <class T>
using Vectors = std::variant<Matrix<T>, std::vector<std::optional<Vector<T>>>>;
/// One for all entries, or one for each.
template <class V>
using Values = std::vector<V>;

template <class V>
const V& at(const Values<V>& values, std::size_t i) {
  return values[values.size() == 1 ? 0 : i];
}

template <class T>
std::vector<MatrixView<const T>> views(const Matrices<T>& given) {
  std::vector<MatrixView<const T>> out;
  if (const auto* list = std::get_if<1>(&given)) {
    for (const auto& matrix : *list) out.push_back(view(matrix));
    return out;
  }
  const auto& stack = std::get<0>(given);
  const Device device = device_of(stack);
  for (std::size_t i = 0; i < stack.shape(0); ++i)
    out.emplace_back(stack.data() + static_cast<std::int64_t>(i) * stack.stride(0),
                     static_cast<std::int64_t>(stack.shape(1)),
                     static_cast<std::int64_t>(stack.shape(2)), stack.stride(1), stack.stride(2),
                     device);
  return out;
}

/// None is the core's empty view for every entry.
template <class T>
std::vector<VectorView<const T>> views(const std::optional<Vectors<T>>& given, std::size_t count) {
  std::vector<VectorView<const T>> out;
  if (!given) {
    out.resize(count);
  } else if (const auto* list = std::get_if<1>(&*given)) {
    for (const auto& vector : *list) out.push_back(view(vector));
  } else {
    const auto rows = view(std::get<0>(*given));
    for (std::int64_t i = 0; i < rows.rows; ++i)
      out.emplace_back(&rows(i, 0), rows.cols, rows.col_stride, rows.device);
  }
  return out;
}

/// Numbers of the host, on the device of the call.
template <class T>
Buffer<T> placed(const std::vector<T>& values, const Exec& exec) {
  Buffer<T> out(std::ssize(values), exec.device);
  copy(out.data(), exec.device, values.data(), Device{}, out.size() * std::int64_t{sizeof(T)},
       exec.stream);
  return out;
}

/// Options whose callback is asked with the entry's index before the report.
template <class Options>
Options for_entry(Options options, double epsilon, std::size_t entry, const nb::object& on_check) {
  options.epsilon = epsilon;
  if (on_check.is_none()) return options;
  return with_callback(options, nb::cpp_function([entry, on_check](const nb::object& report) {
                         return on_check(entry, report);
                       }));
}
}  // namespace monge::python
