#include "ot/packing.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <fmt/format.h>

#include "monge/core/error.hpp"
#include "ot/overloaded.hpp"

namespace monge {
using kernels::Form;

double CostForm::at_distance(double r) const {
  if (form == Form::squared) return scale * r * r;
  return form == Form::distance ? scale * r : scale * std::pow(r, power);
}

CostForm cost_form(const Cost& cost) {
  return std::visit(
      Overloaded{[](SquaredEuclidean) { return CostForm{Form::squared}; },
                 [](HalfSquaredEuclidean) {
                   return CostForm{Form::squared, 0.5};
                 },
                 [](Euclidean) { return CostForm{Form::distance}; },
                 [](Power power) {
                   const double p = power.p;
                   if (!(p >= 1 && std::isfinite(p)))
                     throw InvalidArgument(
                         fmt::format("[cost] power p is {:g}, wanted a finite p >= 1", p), "p");
                   if (p == 1) return CostForm{Form::distance};
                   if (p == 2) return CostForm{Form::squared};
                   return CostForm{Form::power, 1, p};
                 },
                 [](Cosine) {
                   return CostForm{Form::squared, 0.5, 2, true};
                 },
                 [](Dot) { return CostForm{Form::dot}; }},
      cost);
}

void Box::add(const Box& other) {
  for (std::size_t k = 0; k < low.size(); ++k) {
    low[k] = std::min(low[k], other.low[k]);
    high[k] = std::max(high[k], other.high[k]);
  }
}

template <class T>
Box bounding_box(MatrixView<const T> points, VectorView<const T> weights) {
  Box box(points.cols);
  for (std::int64_t i = 0; i < points.rows; ++i) {
    if (weights.data && !(weights[i] > 0)) continue;
    for (std::int64_t k = 0; k < points.cols; ++k) {
      const double value = points(i, k);
      box.low[k] = std::min(box.low[k], value);
      box.high[k] = std::max(box.high[k], value);
    }
  }
  return box;
}

Range cost_range(const CostForm& form, const Box& x, const Box& y) {
  if (form.unit_length) return {0, 2};
  double near = 0, far = 0;
  for (std::size_t k = 0; k < x.low.size(); ++k) {
    if (form.form == Form::dot) {
      const auto [least, most] = std::minmax(
          {x.low[k] * y.low[k], x.low[k] * y.high[k], x.high[k] * y.low[k], x.high[k] * y.high[k]});
      near -= most;
      far -= least;
    } else {
      const double gap = std::max({0.0, y.low[k] - x.high[k], x.low[k] - y.high[k]});
      const double span = std::max(y.high[k] - x.low[k], x.high[k] - y.low[k]);
      near += gap * gap;
      far += span * span;
    }
  }
  if (form.form == Form::dot) return {form.scale * near, form.scale * far};
  return {form.at_distance(std::sqrt(near)), form.at_distance(std::sqrt(far))};
}

double largest_intermediate(const CostForm& form, const Box& all) {
  double sum = 0;
  for (std::size_t k = 0; k < all.low.size(); ++k) {
    const double length = form.form == Form::dot
                              ? std::max(std::abs(all.low[k]), std::abs(all.high[k]))
                              : all.high[k] - all.low[k];
    sum += length * length;
  }
  // |x|^2 + |y|^2 + 2 |x| |y| of centred points is at most 4 squared diameters.
  if (form.form == Form::dot) return 4 * sum;
  return std::max(4 * sum, form.at_distance(std::sqrt(sum)));
}

template <class T>
void check_overflow(const CostForm& form, const Box& all, const char* room, const char* argument) {
  if (form.unit_length) return;
  const double largest = largest_intermediate(form, all);
  if (largest <= static_cast<double>(std::numeric_limits<T>::max())) return;
  constexpr bool single = std::is_same_v<T, float>;
  throw InvalidArgument(
      fmt::format("[{}] the points spread so far that costs reach about {:.1e}, beyond the {:.1e} "
                  "that {} holds: {}rescale the points",
                  room, largest, static_cast<double>(std::numeric_limits<T>::max()),
                  single ? "float32" : "float64", single ? "use float64 or " : ""),
      argument);
}

template <class T>
double inverse_length(MatrixView<const T> points, std::int64_t i) {
  double largest = 0, sum = 0;
  for (std::int64_t k = 0; k < points.cols; ++k)
    largest = std::max(largest, std::abs(static_cast<double>(points(i, k))));
  if (largest == 0) return std::numeric_limits<double>::infinity();
  for (std::int64_t k = 0; k < points.cols; ++k) {
    const double part = points(i, k) / largest;
    sum += part * part;
  }
  return 1 / std::sqrt(sum) / largest;
}

template <class T>
bool has_direction(double inverse_length) {
  return std::isnormal(static_cast<T>(inverse_length));
}

template <class T>
std::vector<double> common_center(MatrixView<const T> x, VectorView<const T> a,
                                  MatrixView<const T> y, VectorView<const T> b, bool unit_length) {
  std::vector<double> origin(x.cols, 0.0), sum(x.cols, 0.0);
  std::int64_t count = 0;
  const auto add = [&](MatrixView<const T> points, VectorView<const T> weights) {
    for (std::int64_t i = 0; i < points.rows; ++i) {
      if (!(weights[i] > 0)) continue;
      const double factor = unit_length ? inverse_length(points, i) : 1;
      // Sums are taken from the first point, so that a far cloud neither overflows nor cancels.
      if (count++ == 0)
        for (std::int64_t k = 0; k < points.cols; ++k) origin[k] = factor * points(i, k);
      for (std::int64_t k = 0; k < points.cols; ++k) sum[k] += factor * points(i, k) - origin[k];
    }
  };
  add(x, a);
  add(y, b);
  for (std::size_t k = 0; k < sum.size(); ++k) origin[k] += sum[k] / static_cast<double>(count);
  return origin;
}

template <class T>
PackedPoints<T> pack(MatrixView<const T> points, const std::vector<double>& center,
                     bool unit_length, bool norms) {
  constexpr int kPanel = kernels::kPanel;
  PackedPoints<T> packed;
  packed.count = points.rows;
  packed.dim = static_cast<int>(points.cols);
  const std::int64_t padded = kernels::padded(points.rows);
  packed.data = Buffer<T>(padded * points.cols, T(0));
  if (norms) packed.norms = Buffer<T>(padded, T(0));
  if (unit_length) packed.inverse_length = Buffer<T>(points.rows);
  for (std::int64_t i = 0; i < points.rows; ++i) {
    double factor = 1;
    bool directed = true;
    if (unit_length) {
      factor = inverse_length(points, i);
      directed = has_direction<T>(factor);
      packed.inverse_length[i] = directed ? static_cast<T>(factor) : T(0);
    }
    T norm = 0;
    for (std::int64_t k = 0; k < points.cols; ++k) {
      double value = directed ? factor * points(i, k) : (k == 0 ? 1.0 : 0.0);
      if (!center.empty()) value -= center[k];
      const T rounded = static_cast<T>(value);
      packed.data[(i / kPanel * points.cols + k) * kPanel + i % kPanel] = rounded;
      norm = std::fma(rounded, rounded, norm);
    }
    if (norms) packed.norms[i] = norm;
  }
  return packed;
}

#define MONGE_INSTANTIATE(T)                                                                  \
  template Box bounding_box(MatrixView<const T>, VectorView<const T>);                        \
  template void check_overflow<T>(const CostForm&, const Box&, const char*, const char*);     \
  template double inverse_length(MatrixView<const T>, std::int64_t);                          \
  template bool has_direction<T>(double);                                                     \
  template std::vector<double> common_center(MatrixView<const T>, VectorView<const T>,        \
                                             MatrixView<const T>, VectorView<const T>, bool); \
  template PackedPoints<T> pack(MatrixView<const T>, const std::vector<double>&, bool, bool);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
