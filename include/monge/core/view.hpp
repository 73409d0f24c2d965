// Non-owning strided windows on the caller's arrays. Strides count elements, not bytes.
#pragma once
#include <cstdint>
#include <type_traits>

#include "monge/core/device.hpp"

namespace monge {
template <class T>
struct VectorView {
  T* data = nullptr;
  std::int64_t size = 0;
  std::int64_t stride = 1;
  Device device{};

  VectorView() = default;
  VectorView(T* data, std::int64_t size, std::int64_t stride = 1, Device device = {})
      : data(data), size(size), stride(stride), device(device) {}
  /// A view of T converts to a view of const T.
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>) VectorView(const VectorView<U>& v)
      : VectorView(v.data, v.size, v.stride, v.device) {}

  constexpr T& operator[](std::int64_t i) const { return data[i * stride]; }
};

template <class T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0, cols = 0;
  std::int64_t row_stride = 0, col_stride = 1;
  Device device{};

  MatrixView() = default;
  MatrixView(T* data, std::int64_t rows, std::int64_t cols)
      : data(data), rows(rows), cols(cols), row_stride(cols) {}
  MatrixView(T* data, std::int64_t rows, std::int64_t cols, std::int64_t row_stride,
             std::int64_t col_stride, Device device = {})
      : data(data),
        rows(rows),
        cols(cols),
        row_stride(row_stride),
        col_stride(col_stride),
        device(device) {}
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>) MatrixView(const MatrixView<U>& v)
      : MatrixView(v.data, v.rows, v.cols, v.row_stride, v.col_stride, v.device) {}

  constexpr T& operator()(std::int64_t i, std::int64_t j) const {
    return data[i * row_stride + j * col_stride];
  }
  MatrixView transposed() const { return {data, cols, rows, col_stride, row_stride, device}; }
};
}  // namespace monge
