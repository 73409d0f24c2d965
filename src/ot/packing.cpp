#include "ot/packing.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <fmt/format.h>

#include "kernels/pack.hpp"
#include "kernels/split.hpp"
#include "monge/core/error.hpp"
#include "monge/core/memory.hpp"
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

Range cost_range(const CostForm& form, const Box& x, const Box& y,
                 const std::vector<double>& period) {
  if (form.unit_length) return {0, 2};
  double near = 0, far = 0;
  for (std::size_t k = 0; k < x.low.size(); ++k) {
    if (form.form == Form::dot) {
      const auto [least, most] = std::minmax(
          {x.low[k] * y.low[k], x.low[k] * y.high[k], x.high[k] * y.low[k], x.high[k] * y.high[k]});
      near -= most;
      far -= least;
    } else {
      double gap = std::max({0.0, y.low[k] - x.high[k], x.low[k] - y.high[k]});
      double span = std::max(y.high[k] - x.low[k], x.high[k] - y.low[k]);
      if (!period.empty() && period[k] > 0) {
        if (span > period[k] / 2) gap = 0;  // some pair may be nearer the other way round
        span = std::min(span, period[k] / 2);
      }
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

std::vector<double> common_center(const kernels::PointsReport& x, const kernels::PointsReport& y) {
  std::vector<double> center = x.origin;
  const auto count = static_cast<double>(x.count + y.count), of_y = static_cast<double>(y.count);
  for (std::size_t k = 0; k < center.size(); ++k)
    center[k] += (x.sum[k] + y.sum[k] + of_y * (y.origin[k] - x.origin[k])) / count;
  return center;
}

namespace {
// Bytes of panels from which on a set that is split does without.
constexpr std::int64_t kLate = std::int64_t{64} << 20;

template <class T, class From>
PackedPoints<T> packed_in(MatrixView<const From> points, const Packing& how, Exec& exec) {
  const std::int64_t padded = kernels::padded(points.rows);
  PackedPoints<T> packed;
  packed.count = points.rows;
  packed.dim = static_cast<int>(points.cols);
  packed.memory = Buffer<T>(padded * points.cols, exec.device);
  packed.numbers =
      Buffer<T>((how.norms ? padded : 0) + (how.unit_length ? points.rows : 0), exec.device);
  T* const norms = how.norms ? packed.numbers.data() : nullptr;
  T* const lengths = how.unit_length ? packed.numbers.data() + (how.norms ? padded : 0) : nullptr;
  packed.norms = norms;
  packed.inverse_length = lengths;
  kernels::pack<T, From>({.points = points,
                          .center = how.center,
                          .unit_length = how.unit_length,
                          .data = packed.memory.data(),
                          .norms = norms,
                          .inverse_length = lengths},
                         exec);
  if (!how.split) return packed;
  packed.split = Buffer<std::byte>(kernels::split_size(packed.swept(), exec), exec.device);
  if (!packed.split.size()) return packed;
  kernels::split(packed.swept(), packed.split.data(), exec);
  if constexpr (std::is_same_v<T, From>) {
    const std::int64_t bytes = packed.memory.size() * static_cast<std::int64_t>(sizeof(T));
    if (bytes < kLate || how.unit_length) return packed;
    packed.late = std::make_shared<typename PackedPoints<T>::Late>();
    packed.late->points = points;
    packed.late->center = how.center;
    packed.memory = {};
  }
  return packed;
}
}  // namespace

template <class T>
kernels::Panels<T> PackedPoints<T>::panels(Exec& exec) const {
  kernels::Panels<T> all = swept();
  if (!late) return all;
  std::call_once(late->asked, [&] {
    Buffer<T> panels(kernels::padded(count) * dim, exec.device);
    kernels::pack<T, T>({.points = late->points,
                         .center = late->center,
                         .unit_length = false,
                         .data = panels.data(),
                         .norms = nullptr,
                         .inverse_length = nullptr},
                        exec);
    synchronize(exec.device, exec.stream);
    late->panels = std::move(panels);
  });
  all.data = late->panels.data();
  return all;
}

template <class T>
PackedPoints<T> pack(MatrixView<const T> points, const Packing& how, Exec& exec) {
  return packed_in<T>(points, how, exec);
}
template <class T>
PackedPoints<double> pack_wide(MatrixView<const T> points, Packing how, Exec& exec) {
  how.split = false;
  return packed_in<double>(points, how, exec);
}

#define MONGE_INSTANTIATE(T)                                                              \
  template void check_overflow<T>(const CostForm&, const Box&, const char*, const char*); \
  template struct PackedPoints<T>;                                                        \
  template PackedPoints<T> pack(MatrixView<const T>, const Packing&, Exec&);              \
  template PackedPoints<double> pack_wide(MatrixView<const T>, Packing, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
