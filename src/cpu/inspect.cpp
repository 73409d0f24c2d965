#include "kernels/inspect.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/pack.hpp"  // inverse_length

namespace monge::kernels::cpu {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A sum and what its rounding lost.
struct Compensated {
  double sum = 0, lost = 0;

  void add(double value) {
    const double corrected = value - lost, next = sum + corrected;
    lost = (next - sum) - corrected;
    sum = next;
  }
};

/// box[k] = min or max with x_k, and sum[k] += factor x_k - origin[k]. Returns whether all are
/// numbers.
template <class T>
bool extend(const T* x, std::int64_t step, std::int64_t dim, double* __restrict low,
            double* __restrict high, double factor, const double* origin, double* __restrict sum) {
  const auto take = [&](std::int64_t by) {
    double odd = 0;  // x - x of what is no number
    for (std::int64_t k = 0; k < dim; ++k) {
      const double value = x[k * by];
      odd += value - value;
      low[k] = value < low[k] ? value : low[k];
      high[k] = value > high[k] ? value : high[k];
      sum[k] += factor * value - origin[k];
    }
    return odd == 0;
  };
  return step == 1 ? take(1) : take(step);  // adjacent ones side by side
}

template <class T>
PointsReport inspected(const InspectPointsArgs<T>& args) {
  const MatrixView<const T>& points = args.points;
  const auto dim = static_cast<std::size_t>(points.cols);
  PointsReport out;
  out.low = out.all_low = std::vector<double>(dim, kInfinity);
  out.high = out.all_high = std::vector<double>(dim, -kInfinity);
  out.origin = out.sum = std::vector<double>(dim, 0.0);
  std::vector<double> none(dim);  // what those that do not count add to
  Compensated mass;
  for (std::int64_t i = 0; i < points.rows; ++i) {
    bool counts = true;
    if (args.weight.data) {
      const double weight = args.weight[i];
      counts = weight > 0;
      if (out.bad_weight < 0 && !(weight >= 0 && std::isfinite(weight))) out.bad_weight = i;
      mass.add(weight);
    }
    double factor = 1;
    if (counts && args.unit_length) {
      factor = inverse_length(points, i);
      if (out.undirected < 0 && !has_direction<T>(factor)) out.undirected = i;
    }
    const T* const x = points.data + i * points.row_stride;
    const std::int64_t step = points.col_stride;
    if (counts && out.count++ == 0)
      for (std::size_t k = 0; k < dim; ++k)
        out.origin[k] = factor * x[static_cast<std::int64_t>(k) * step];
    // Points that do not count are in the box of all alone.
    if (!extend(x, step, points.cols, (counts ? out.low : out.all_low).data(),
                (counts ? out.high : out.all_high).data(), factor, out.origin.data(),
                (counts ? out.sum : none).data())) {
      std::int64_t k = 0;
      while (std::isfinite(static_cast<double>(x[k * step]))) ++k;
      out.bad = i * points.cols + k;
      return out;
    }
  }
  for (std::size_t k = 0; k < dim; ++k) {
    out.all_low[k] = std::min(out.all_low[k], out.low[k]);
    out.all_high[k] = std::max(out.all_high[k], out.high[k]);
  }
  out.mass = mass.sum;
  return out;
}

/// What stands in the way of an entry of a row or column: 0 where it counts, else +inf.
template <class T>
std::vector<T> hurdles(VectorView<const T> weight, std::int64_t count) {
  std::vector<T> out(count, T(0));
  for (std::int64_t i = 0; i < weight.size; ++i)
    if (!(weight[i] > 0)) out[i] = std::numeric_limits<T>::infinity();
  return out;
}

// Entries of a line side by side: its minimum then vectorises.
template <class T>
constexpr std::int64_t kLanes = 64 / sizeof(T);

/// One line along the fast axis of memory. Minima and maxima in lanes over lines, `low` in lanes of
/// this one, `column_low` along it. Returns whether all entries are numbers or +inf.
template <class T>
bool take_line(const T* line, const T* hurdle, std::int64_t size, T* low, T* high, T* largest,
               T* column_low) {
  constexpr T kNone = std::numeric_limits<T>::infinity();
  T unsound[kLanes<T>] = {};  // of type T so that flags are as wide as what they are made from
  const auto take = [&](std::int64_t t, std::int64_t lane) {
    const T cost = line[t], counted = cost + hurdle[t];
    unsound[lane] = cost >= std::numeric_limits<T>::lowest() ? unsound[lane] : T(1);
    largest[lane] = cost > largest[lane] ? cost : largest[lane];
    low[lane] = counted < low[lane] ? counted : low[lane];
    column_low[t] = counted < column_low[t] ? counted : column_low[t];
    const T finite = counted < kNone ? counted : -kNone;
    high[lane] = finite > high[lane] ? finite : high[lane];
  };
  std::int64_t t = 0;
  for (; t + kLanes<T> <= size; t += kLanes<T>)
    for (std::int64_t lane = 0; lane < kLanes<T>; ++lane) take(t + lane, lane);
  for (; t < size; ++t) take(t, 0);
  return std::all_of(unsound, unsound + kLanes<T>, [](T flag) { return flag == 0; });
}
}  // namespace

template <class T>
void inspect(std::span<const InspectPointsArgs<T>> sets, PointsReport* out, Exec&) {
  for (const auto& set : sets) *out++ = inspected(set);
}

template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>& args, Exec&) {
  constexpr T kNone = std::numeric_limits<T>::infinity();
  const MatrixView<const T>& matrix = args.matrix;
  const bool by_rows = matrix.col_stride == 1 || matrix.cols == 1;
  const std::int64_t slow = by_rows ? matrix.rows : matrix.cols,
                     fast = by_rows ? matrix.cols : matrix.rows;
  const auto along = hurdles(by_rows ? args.b : args.a, fast);
  const VectorView<const T> across = by_rows ? args.a : args.b;
  const std::vector<T> closed(fast, kNone);  // a line that does not count
  T high[kLanes<T>], largest[kLanes<T>], low[kLanes<T>];
  std::fill_n(high, kLanes<T>, -kNone);
  std::fill_n(largest, kLanes<T>, -kNone);
  std::vector<T> column_low(fast, kNone);
  MatrixReport out;
  const auto take_least = [&out](T least) {
    if (!(least < kNone)) return;
    out.least = std::min<double>(out.least, least);
    out.needed = std::max<double>(out.needed, least);
  };
  for (std::int64_t s = 0; s < slow; ++s) {
    const T* const line = matrix.data + s * (by_rows ? matrix.row_stride : matrix.col_stride);
    const bool counts = !across.data || across[s] > 0;
    std::fill_n(low, kLanes<T>, kNone);
    if (!take_line(line, (counts ? along : closed).data(), fast, low, high, largest,
                   column_low.data())) {
      const T* const bad = std::find_if(
          line, line + fast, [](T cost) { return !(cost >= std::numeric_limits<T>::lowest()); });
      out.bad = by_rows ? s * fast + (bad - line) : (bad - line) * slow + s;
      return out;
    }
    take_least(*std::min_element(low, low + kLanes<T>));
  }
  for (const T least : column_low) take_least(least);
  out.most = *std::max_element(high, high + kLanes<T>);
  out.forbids = *std::max_element(largest, largest + kLanes<T>) == kNone;
  return out;
}

template void inspect(std::span<const InspectPointsArgs<float>>, PointsReport*, Exec&);
template void inspect(std::span<const InspectPointsArgs<double>>, PointsReport*, Exec&);
template MatrixReport inspect(const InspectMatrixArgs<float>&, Exec&);
template MatrixReport inspect(const InspectMatrixArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
