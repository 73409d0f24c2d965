#include "monge/ot/labels.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "ot/arrays.hpp"

namespace monge {
namespace {
template <class T>
void check_points(const char* name, MatrixView<const T> points, std::int64_t dim) {
  if (points.rows < 1 || points.cols < 1 || points.cols != dim)
    throw InvalidArgument(
        fmt::format("[labels] {} has shape ({}, {}), wanted (k, {}) with k >= 1", name, points.rows,
                    points.cols, std::max<std::int64_t>(dim, 1)),
        name);
  for (std::int64_t i = 0; i < points.rows; ++i)
    for (std::int64_t k = 0; k < dim; ++k)
      if (!std::isfinite(points(i, k)))
        throw InvalidArgument(fmt::format("[labels] {}[{}, {}] is {}, wanted finite coordinates",
                                          name, i, k, points(i, k)),
                              name, i);
}

void check_labels(const char* name, VectorView<const std::int64_t> labels, std::int64_t wanted,
                  std::int64_t count) {
  if (labels.size != wanted)
    throw InvalidArgument(fmt::format("[labels] {} has {} labels but its side has {} points", name,
                                      labels.size, wanted),
                          name);
  for (std::int64_t i = 0; i < wanted; ++i)
    if (labels[i] < 0 || labels[i] >= count)
      throw InvalidArgument(
          fmt::format("[labels] {}[{}] is {}, wanted a label of the table, 0 to {}", name, i,
                      labels[i], count - 1),
          name, i);
}

/// Rows of `side` [n, d + 2 + labels]; the source's columns d and d + 1 are the target's d + 1 and
/// d with the sign of the cost.
template <class T>
struct Appended {
  MatrixView<const T> points;
  std::vector<double> origin;
  double lambda_x;
  std::int64_t dim;
  bool source;

  template <class Label>
  Buffer<T> rows(const Label& label) const {
    const std::int64_t d = points.cols;
    Buffer<T> out(points.rows * dim, T(0));
    for (std::int64_t i = 0; i < points.rows; ++i) {
      T* const row = &out[i * dim];
      double square = 0;  // of what the other coordinates are after rounding
      for (std::int64_t k = 0; k < d; ++k) {
        const T u = static_cast<T>(points(i, k) - origin[k]);
        square += static_cast<double>(u) * u;
        row[k] = source ? static_cast<T>(2 * lambda_x * u) : u;
      }
      row[source ? d : d + 1] = static_cast<T>((source ? 1 : -1) * lambda_x * square);
      row[source ? d + 1 : d] = source ? 1 : -1;
      label(i, row + d + 2);
    }
    return out;
  }
};
}  // namespace

template <class T>
LabelledClouds<T> with_labels(MatrixView<const T> x, VectorView<const std::int64_t> labels_x,
                              MatrixView<const T> y, VectorView<const std::int64_t> labels_y,
                              MatrixView<const double> table, double lambda_x, double lambda_y,
                              Exec& exec) {
  for (const auto& [name, device] : {std::pair{"x", x.device}, {"y", y.device}})
    check_device("labels", name, device, exec);
  const std::int64_t d = x.cols;
  const auto x_here = on_host(x, exec), y_here = on_host(y, exec);
  x = {x_here.data(), x.rows, x.cols};
  y = {y_here.data(), y.rows, y.cols};
  check_points("x", x, d);
  check_points("y", y, d);
  if (table.rows < 1 || table.cols < 1)
    throw InvalidArgument(
        fmt::format("[labels] table has shape ({}, {}), wanted at least one label on each side",
                    table.rows, table.cols),
        "table");
  for (std::int64_t s = 0; s < table.rows; ++s)
    for (std::int64_t t = 0; t < table.cols; ++t)
      if (!std::isfinite(table(s, t)))
        throw InvalidArgument(
            fmt::format("[labels] table[{}, {}] is {}, wanted finite costs", s, t, table(s, t)),
            "table", s);
  check_labels("labels_x", labels_x, x.rows, table.rows);
  check_labels("labels_y", labels_y, y.rows, table.cols);
  if (!(lambda_x > 0 && std::isfinite(lambda_x)))
    throw InvalidArgument(
        fmt::format("[labels] lambda_x is {}, wanted a finite number > 0", lambda_x), "lambda_x");
  if (!std::isfinite(lambda_y))
    throw InvalidArgument(fmt::format("[labels] lambda_y is {}, wanted a finite number", lambda_y),
                          "lambda_y");

  std::vector<double> origin(d, 0);
  for (const auto& points : {x, y})
    for (std::int64_t i = 0; i < points.rows; ++i)
      for (std::int64_t k = 0; k < d; ++k)
        origin[k] += points(i, k) / static_cast<double>(x.rows + y.rows);

  LabelledClouds<T> out;
  const bool source_units = table.rows <= table.cols;
  const std::int64_t count = std::min(table.rows, table.cols);
  out.dim = d + 2 + count;
  out.d_ = d;
  out.lambda_x_ = lambda_x;
  const auto unit = [&](const auto& labels, bool is_source) {
    return [&labels, is_source](std::int64_t i, T* to) { to[labels[i]] = T(is_source ? 1 : -1); };
  };
  const auto costs = [&](const auto& labels, MatrixView<const double> by, bool is_source) {
    return [&labels, by, is_source, lambda_y, count](std::int64_t i, T* to) {
      for (std::int64_t k = 0; k < count; ++k)
        to[k] = static_cast<T>((is_source ? 1 : -1) * lambda_y * by(labels[i], k));
    };
  };
  const Appended<T> source{x, origin, lambda_x, out.dim, true},
      target{y, origin, lambda_x, out.dim, false};
  out.x =
      source_units ? source.rows(unit(labels_x, true)) : source.rows(costs(labels_x, table, true));
  out.y = source_units ? target.rows(costs(labels_y, table.transposed(), false))
                       : target.rows(unit(labels_y, false));
  out.x = std::move(out.x).to(exec.device, exec.stream);
  out.y = std::move(out.y).to(exec.device, exec.stream);
  return out;
}

template <class T>
Gradient<T> LabelledClouds<T>::in_points(Gradient<T> gradient, Exec& exec) const {
  // Through x' = (2 lambda (x - o), lambda |x - o|^2, ...), and likewise y'.
  const auto chained = [&](Buffer<T> from, const Buffer<T>& points, bool source) {
    const std::int64_t n = points.size() / dim, square = source ? d_ : d_ + 1;
    const double factor = source ? 2 * lambda_x_ : 1;
    const auto g = std::move(from).to(Device{}, exec.stream), p = points.to(Device{}, exec.stream);
    Buffer<T> out(n * d_);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = 0; k < d_; ++k) {
        const double u = p[i * dim + k] / factor;  // x - o
        const double slope = (source ? 2 : -2) * lambda_x_ * u;
        out[i * d_ + k] = static_cast<T>(factor * g[i * dim + k] + slope * g[i * dim + square]);
      }
    return std::move(out).to(exec.device, exec.stream);
  };
  gradient.dx = chained(std::move(gradient.dx), x, true);
  gradient.dy = chained(std::move(gradient.dy), y, false);
  return gradient;
}

#define MONGE_INSTANTIATE(T)                                                                  \
  template LabelledClouds<T> with_labels(MatrixView<const T>, VectorView<const std::int64_t>, \
                                         MatrixView<const T>, VectorView<const std::int64_t>, \
                                         MatrixView<const double>, double, double, Exec&);    \
  template struct LabelledClouds<T>;
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
