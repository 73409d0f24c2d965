// Point clouds and their weights from files: .npy (points), .npz (`points`, `weights`) and .csv
// (columns are coordinates, one named `weight` holds weights).
#pragma once
#include <optional>
#include <string>

#include "io/array.hpp"
#include "monge/core/view.hpp"

namespace monge::io {
struct MeasureFile {
  Array points;                  ///< of shape (n, d)
  std::optional<Array> weights;  ///< of shape (n,) or (n, 1)
};

/// Throws IoError for an unknown extension, what the readers refuse, and shapes that are none.
MeasureFile read_measure(const std::string& path);
/// .npy of shape (n,) or (n, 1), .npz with the key `weights`, .csv with a column `weight` or a
/// single column.
Array read_weights(const std::string& path);

/// Masses on a grid: .npy of 1 to 3 axes, in C order.
Array read_grid(const std::string& path);

/// The numbers as T, converted where they are of another type.
template <class T>
Buffer<T> take(Array&& array);
/// Views `values`, taken from an array of that shape and order.
template <class T>
MatrixView<const T> matrix(const Array& array, const Buffer<T>& values);
}  // namespace monge::io
