// What host code has to know of the caller's arrays, each read once. Reports are host memory: the
// verbs wait, once. Views may have any strides.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/backend.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
/// Points and their weights. A point counts where its weight is positive; without weights all do.
/// Points without columns are weights alone. A direction is factor x, factor = 1/|x| as pack.hpp
/// says.
template <class T>
struct InspectPointsArgs {
  MatrixView<const T> points;
  VectorView<const T> weight;  // empty, or one for each point
  bool unit_length = false;    // origin and sum are of directions
};
struct PointsReport {
  std::int64_t bad = -1;  // first entry i * dim + k that is not finite; then nothing below is
                          // to be read
  std::int64_t bad_weight = -1;   // first that is negative or not finite
  double mass = 0;                // sum of the weights, compensated: to a few u of double
  std::int64_t undirected = -1;   // unit_length: first point that counts and has no direction
  std::int64_t count = 0;         // points that count
  std::vector<double> low, high;  // [dim] their box: +inf and -inf where there are none
  std::vector<double> all_low, all_high;  // [dim] the box of all points
  // [dim] The first point that counts, and the sum of the differences to it over those that do (of
  // their directions), so that a far cloud neither overflows nor cancels: their mean is
  // origin + sum / count. One without direction adds what it happens to give.
  std::vector<double> origin, sum;
};
inline constexpr std::size_t kMostInspected = 2;  // sets of points that share one wait

/// C [n, m] with one stride 1, unless n or m is 1. Rows and columns count as points do.
template <class T>
struct InspectMatrixArgs {
  MatrixView<const T> matrix;
  VectorView<const T> a, b;  // empty: every one counts
};
struct MatrixReport {
  std::int64_t bad = -1;  // i * m + j of the NaN or -inf that comes first in memory; then nothing
                          // below is to be read
  bool forbids = false;   // some entry is +inf
  // Over finite entries whose row and column count; +inf and -inf where there are none.
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
  // The largest of the minima of each row and column: what a feasible plan is sure to use at most.
  double needed = -std::numeric_limits<double>::infinity();
};

namespace cpu {
template <class T>
void inspect(std::span<const InspectPointsArgs<T>>, PointsReport* out, Exec&);
template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>&, Exec&);
}  // namespace cpu
namespace cuda {
template <class T>
void inspect(std::span<const InspectPointsArgs<T>>, PointsReport* out, Exec&);
template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>&, Exec&);
}  // namespace cuda

/// At most kMostInspected sets; out [sets.size()].
template <class T>
void inspect(std::span<const InspectPointsArgs<T>> sets, PointsReport* out, Exec& exec) {
  MONGE_ON(exec.device, inspect(sets, out, exec));
}
template <class T>
PointsReport inspect(const InspectPointsArgs<T>& one, Exec& exec) {
  PointsReport out;
  inspect(std::span(&one, 1), &out, exec);
  return out;
}
template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>& args, Exec& exec) {
  return MONGE_ON(exec.device, inspect(args, exec));
}
}  // namespace monge::kernels
