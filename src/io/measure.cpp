#include "io/measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "io/csv.hpp"
#include "io/npy.hpp"
#include "io/npz.hpp"
#include "monge/core/error.hpp"

namespace monge::io {
namespace {
constexpr const char* kWeight = "weight";

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

enum class Format { npy, npz, csv };
Format format_of(const std::string& path) {
  const std::string extension = lower(std::filesystem::path(path).extension().string());
  if (extension == ".npy") return Format::npy;
  if (extension == ".npz") return Format::npz;
  if (extension == ".csv") return Format::csv;
  throw IoError(
      fmt::format("[io] {} has the extension '{}', wanted .npy, .npz or .csv", path, extension));
}

Table read_csv(const std::string& path) {
  FileSource file(path);
  std::string text(file.remaining(), '\0');
  file.read(text.data(), text.size());
  return parse_csv(path, text);
}

// The index of the column `weight`, or -1. A name that nearly says so would silently become a
// coordinate, so it is refused.
std::int64_t weight_column(const std::string& path, const Table& table) {
  std::int64_t out = -1;
  for (std::size_t i = 0; i < table.names.size(); ++i) {
    const std::string& name = table.names[i];
    if (name != kWeight && (lower(name) == kWeight || lower(name) == "weights"))
      throw IoError(
          fmt::format("[io] {}, column {} is named '{}', wanted '{}'", path, i + 1, name, kWeight));
    if (name != kWeight) continue;
    if (out >= 0) throw IoError(fmt::format("[io] {} has two columns named '{}'", path, kWeight));
    out = static_cast<std::int64_t>(i);
  }
  return out;
}

Array column_of(const Table& table, std::int64_t column) {
  Buffer<double> values(table.rows);
  for (std::int64_t i = 0; i < table.rows; ++i)
    values[i] = table.values[static_cast<std::size_t>(i * table.columns + column)];
  return {{table.rows}, false, "text", std::move(values)};
}

MeasureFile measure_of(const std::string& path, const Table& table) {
  const std::int64_t weight = weight_column(path, table);
  const std::int64_t dim = table.columns - (weight >= 0);
  Buffer<double> points(table.rows * dim);
  for (std::int64_t i = 0, k = 0; i < table.rows * table.columns; ++i)
    if (i % table.columns != weight) points[k++] = table.values[static_cast<std::size_t>(i)];
  MeasureFile out{{{table.rows, dim}, false, "text", std::move(points)}, {}};
  if (weight >= 0) out.weights = column_of(table, weight);
  return out;
}

Array checked_points(const std::string& path, Array array) {
  if (array.shape.size() != 2 || array.shape[1] == 0)
    throw IoError(fmt::format("[io] {}: points of shape {}, wanted (n, d) with d >= 1{}", path,
                              to_string(array.shape),
                              array.shape.size() == 1 ? ": (n, 1) for points on a line" : ""));
  return array;
}

Array checked_weights(const std::string& path, Array array) {
  const bool column = array.shape.size() == 2 && array.shape[1] == 1;
  if ((array.shape.size() != 1 && !column) || array.shape[0] == 0)
    throw IoError(fmt::format("[io] {}: weights of shape {}, wanted (n,) with n >= 1", path,
                              to_string(array.shape)));
  return array;
}
}  // namespace

MeasureFile read_measure(const std::string& path) {
  MeasureFile out;
  switch (format_of(path)) {
    case Format::npy: {
      FileSource file(path);
      out.points = read_npy(file);
      break;
    }
    case Format::npz: {
      const NpzReader archive(path);
      out.points = archive.read("points");
      if (archive.has("weights")) out.weights = archive.read("weights");
      break;
    }
    case Format::csv:
      out = measure_of(path, read_csv(path));
      break;
  }
  out.points = checked_points(path, std::move(out.points));
  if (out.weights) out.weights = checked_weights(path, std::move(*out.weights));
  return out;
}

Array read_weights(const std::string& path) {
  switch (format_of(path)) {
    case Format::npy: {
      FileSource file(path);
      return checked_weights(path, read_npy(file));
    }
    case Format::npz:
      return checked_weights(path, NpzReader(path).read("weights"));
    case Format::csv:
      break;
  }
  const Table table = read_csv(path);
  const std::int64_t weight = weight_column(path, table);
  if (weight < 0 && table.columns != 1)
    throw IoError(fmt::format("[io] {} has {} columns, wanted one, or one named '{}'", path,
                              table.columns, kWeight));
  return column_of(table, std::max<std::int64_t>(weight, 0));
}

Array read_grid(const std::string& path) {
  if (format_of(path) != Format::npy)
    throw IoError(fmt::format("[io] {}: a grid of masses is read from .npy", path));
  FileSource file(path);
  Array array = read_npy(file);
  const auto& shape = array.shape;
  if (shape.empty() || shape.size() > 3 || std::find(shape.begin(), shape.end(), 0) != shape.end())
    throw IoError(fmt::format("[io] {}: masses of shape {}, wanted a grid of 1 to 3 axes", path,
                              to_string(shape)));
  if (!array.fortran_order || shape.size() == 1) return array;
  std::visit(
      [&]<class T>(Buffer<T>& values) {
        Buffer<T> ordered(values.size());
        for (std::int64_t e = 0; e < ordered.size(); ++e) {  // of index i, counted from the last
          std::int64_t rest = e, at = 0;
          for (std::size_t k = shape.size(); k-- > 0; rest /= shape[k]) {
            std::int64_t stride = 1;
            for (std::size_t l = 0; l < k; ++l) stride *= shape[l];
            at += rest % shape[k] * stride;
          }
          ordered[e] = values[at];
        }
        values = std::move(ordered);
      },
      array.values);
  array.fortran_order = false;
  return array;
}

template <class T>
Buffer<T> take(Array&& array) {
  return std::visit(
      []<class U>(Buffer<U>& values) {
        if constexpr (std::is_same_v<T, U>) {
          return std::move(values);
        } else {
          Buffer<T> out(values.size());
          std::transform(values.begin(), values.end(), out.begin(),
                         [](U value) { return static_cast<T>(value); });
          return out;
        }
      },
      array.values);
}

template <class T>
MatrixView<const T> matrix(const Array& array, const Buffer<T>& values) {
  const std::int64_t rows = array.shape[0], columns = array.shape[1];
  if (array.fortran_order) return {values.data(), rows, columns, 1, rows, values.device()};
  return {values.data(), rows, columns, columns, 1, values.device()};
}

template Buffer<float> take<float>(Array&&);
template Buffer<double> take<double>(Array&&);
template MatrixView<const float> matrix(const Array&, const Buffer<float>&);
template MatrixView<const double> matrix(const Array&, const Buffer<double>&);
}  // namespace monge::io
