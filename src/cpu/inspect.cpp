#include "kernels/inspect.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/pack.hpp"  // inverse_length

namespace monge::kernels::cpu {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// body(i, j) in the order of memory, until it returns false.
template <class T, class Body>
void for_each_entry(const MatrixView<const T>& matrix, const Body& body) {
  const bool by_rows = matrix.col_stride == 1;
  for (std::int64_t s = 0; s < (by_rows ? matrix.rows : matrix.cols); ++s)
    for (std::int64_t t = 0; t < (by_rows ? matrix.cols : matrix.rows); ++t)
      if (!body(by_rows ? s : t, by_rows ? t : s)) return;
}

template <class T>
void bound(const InspectMatrixArgs<T>& args, MatrixReport& out) {
  const auto& matrix = args.matrix;
  std::vector<T> row_min(matrix.rows, std::numeric_limits<T>::infinity());
  std::vector<T> col_min(matrix.cols, std::numeric_limits<T>::infinity());
  for_each_entry(matrix, [&](std::int64_t i, std::int64_t j) {
    const T cost = matrix(i, j);
    if (!(args.a[i] > 0 && args.b[j] > 0) || !std::isfinite(cost)) return true;
    row_min[i] = std::min(row_min[i], cost);
    col_min[j] = std::min(col_min[j], cost);
    out.least = std::min<double>(out.least, cost);
    out.most = std::max<double>(out.most, cost);
    return true;
  });
  for (const auto* minima : {&row_min, &col_min})
    for (const T cost : *minima)
      if (std::isfinite(cost)) out.needed = std::max<double>(out.needed, cost);
}
}  // namespace

template <class T>
PointsReport inspect(const InspectPointsArgs<T>& args, Exec&) {
  const MatrixView<const T>& points = args.points;
  const auto dim = static_cast<std::size_t>(points.cols);
  PointsReport out;
  out.low = out.all_low = std::vector<double>(dim, kInfinity);
  out.high = out.all_high = std::vector<double>(dim, -kInfinity);
  out.origin = out.sum = std::vector<double>(dim, 0.0);
  for (std::int64_t i = 0; i < points.rows; ++i) {
    const bool counts = !args.weight.data || args.weight[i] > 0;
    double factor = 1;
    if (counts && args.unit_length) {
      factor = inverse_length(points, i);
      if (out.undirected < 0 && !has_direction<T>(factor)) out.undirected = i;
    }
    for (std::size_t k = 0; k < dim; ++k) {
      const double value = points(i, static_cast<std::int64_t>(k));
      if (!std::isfinite(value)) {
        out.bad = i * points.cols + static_cast<std::int64_t>(k);
        return out;
      }
      out.all_low[k] = std::min(out.all_low[k], value);
      out.all_high[k] = std::max(out.all_high[k], value);
      if (!counts) continue;
      out.low[k] = std::min(out.low[k], value);
      out.high[k] = std::max(out.high[k], value);
      if (out.count == 0) out.origin[k] = factor * value;
      out.sum[k] += factor * value - out.origin[k];
    }
    if (counts) ++out.count;
  }
  return out;
}

template <class T>
WeightsReport inspect(VectorView<const T> weights, Exec&) {
  WeightsReport out;
  double lost = 0;
  for (std::int64_t i = 0; i < weights.size; ++i) {
    const double weight = weights[i];
    if (!(weight >= 0 && std::isfinite(weight))) {
      out.bad = i;
      return out;
    }
    const double corrected = weight - lost, next = out.sum + corrected;
    lost = (next - out.sum) - corrected;
    out.sum = next;
  }
  return out;
}

template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>& args, Exec&) {
  MatrixReport out;
  for_each_entry(args.matrix, [&](std::int64_t i, std::int64_t j) {
    const T cost = args.matrix(i, j);
    if (std::isfinite(cost)) return true;
    if (cost > 0)
      out.forbids = true;
    else
      out.bad = i * args.matrix.cols + j;
    return out.bad < 0;
  });
  if (out.bad < 0 && args.a.data && args.b.data) bound(args, out);
  return out;
}

#define MONGE_INSTANTIATE(T)                                         \
  template PointsReport inspect(const InspectPointsArgs<T>&, Exec&); \
  template WeightsReport inspect(VectorView<const T>, Exec&);        \
  template MatrixReport inspect(const InspectMatrixArgs<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cpu
