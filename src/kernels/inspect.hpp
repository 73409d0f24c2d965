// What host code has to know of the caller's arrays, each in one pass. Reports are host memory: the
// verbs wait. Views may have any strides.
#pragma once
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/backend.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
/// A point counts where its weight is positive; without weights all do. A direction is
/// factor x, factor = 1/|x| as pack.hpp says.
template <class T>
struct InspectPointsArgs {
  MatrixView<const T> points;
  VectorView<const T> weight;  // empty: every point counts
  bool unit_length = false;    // origin and sum are of directions
};
struct PointsReport {
  std::int64_t bad = -1;  // first entry i * dim + k that is not finite; then nothing below is
                          // to be read
  std::int64_t undirected = -1;   // unit_length: first point that counts and has no direction
  std::int64_t count = 0;         // points that count
  std::vector<double> low, high;  // [dim] their box: +inf and -inf where there are none
  std::vector<double> all_low, all_high;  // [dim] the box of all points
  // [dim] The first point that counts, and the sum of the differences to it over those that do (of
  // their directions), so that a far cloud neither overflows nor cancels: their mean is
  // origin + sum / count. One without direction adds what it happens to give.
  std::vector<double> origin, sum;
};

struct WeightsReport {
  std::int64_t bad = -1;  // first that is negative or not finite
  double sum = 0;         // compensated: to a few u of double whatever n is
};

/// C [n, m] with one stride 1, unless n or m is 1.
template <class T>
struct InspectMatrixArgs {
  MatrixView<const T> matrix;
  VectorView<const T> a, b;  // empty: only `bad` and `forbids` are wanted
};
struct MatrixReport {
  std::int64_t bad = -1;  // i * m + j of the NaN or -inf that comes first in memory
  bool forbids = false;   // some entry is +inf
  // Over finite entries where a_i > 0 and b_j > 0; +inf and -inf where there are none.
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
  // The largest of the minima of each row and column: what a feasible plan is sure to use at most.
  double needed = -std::numeric_limits<double>::infinity();
};

namespace cpu {
template <class T>
PointsReport inspect(const InspectPointsArgs<T>&, Exec&);
template <class T>
WeightsReport inspect(VectorView<const T> weights, Exec&);
template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>&, Exec&);
}  // namespace cpu
namespace cuda {
template <class T>
PointsReport inspect(const InspectPointsArgs<T>&, Exec&);
template <class T>
WeightsReport inspect(VectorView<const T> weights, Exec&);
template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>&, Exec&);
}  // namespace cuda

template <class T>
PointsReport inspect(const InspectPointsArgs<T>& args, Exec& exec) {
  return MONGE_ON(exec.device, inspect(args, exec));
}
template <class T>
WeightsReport inspect(VectorView<const T> weights, Exec& exec) {
  return MONGE_ON(exec.device, inspect(weights, exec));
}
template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>& args, Exec& exec) {
  return MONGE_ON(exec.device, inspect(args, exec));
}
}  // namespace monge::kernels
