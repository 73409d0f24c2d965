// Conditional averages of the plan: barycentric images, moments, and both at new points.
//
// All are taken in softmax form: with s = softmin of the row the weights exp((h_j + s_i -
// c_ij)/eps) sum to 1 whatever the potential of the row is, so a row whose mass underflows, or is
// 0, has an image too. Values travel relative to their mean, so that what they share is exact.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "monge/ot/plan.hpp"
#include "ot/plan_parts.hpp"

namespace monge {
namespace {
/// Values [m, k] relative to their weighted mean, with a column of ones behind them; 0 where the
/// weight is 0, whatever stood there.
template <class T>
struct Centred {
  Buffer<T> data;  // [m, k + 1]
  std::vector<double> mean;
  std::int64_t rows, k;
  MatrixView<const T> with_ones() const { return {data.data(), rows, k + 1}; }
  MatrixView<const T> values() const { return {data.data(), rows, k, k + 1, 1}; }
};

template <class T>
Centred<T> centred(MatrixView<const T> values, VectorView<const T> weights) {
  Centred<T> out{Buffer<T>(values.rows * (values.cols + 1)), std::vector<double>(values.cols),
                 values.rows, values.cols};
  const std::int64_t k = values.cols;
  const double mass = weighted_sum(weights, [](std::int64_t) { return 1.0; });
  for (std::int64_t c = 0; c < k; ++c)
    out.mean[c] =
        weighted_sum(weights, [&](std::int64_t j) { return static_cast<double>(values(j, c)); }) /
        mass;
  for (std::int64_t j = 0; j < values.rows; ++j) {
    T* const row = out.data.data() + j * (k + 1);
    for (std::int64_t c = 0; c < k; ++c)
      row[c] = weights[j] > 0 ? static_cast<T>(values(j, c) - out.mean[c]) : T(0);
    row[k] = 1;
  }
  return out;
}

/// Averages [rows, k] of centred values; 0, that is their mean, for a row without any partner.
template <class T>
Buffer<T> averages(const Operator<T>& op, Side rows, const Buffer<T>& h, const Buffer<T>& s,
                   const Centred<T>& values, double eps, Exec& exec) {
  const std::int64_t n = op.size(rows), k = values.k;
  Buffer<T> sums(n * (k + 1)), out(n * k);
  op.apply(rows, h.data(), s.data(), kernels::Weighting::plain, values.with_ones(), sums.data(),
           eps, exec);
  for (std::int64_t i = 0; i < n; ++i) {
    const T* const row = sums.data() + i * (k + 1);
    const bool some = row[k] > 0 && std::isfinite(row[k]);
    for (std::int64_t c = 0; c < k; ++c) out[i * k + c] = some ? row[c] / row[k] : T(0);
  }
  return out;
}

template <class T>
void add_mean(const Centred<T>& values, Buffer<T>& averages) {
  for (std::int64_t i = 0; i < averages.size(); ++i)
    averages[i] = static_cast<T>(averages[i] + values.mean[i % values.k]);
}

template <class T>
void check_values(MatrixView<const T> values, std::int64_t wanted) {
  if (values.rows != wanted || values.cols < 1)
    throw InvalidArgument(
        fmt::format("[plan] values have shape ({}, {}), wanted ({}, k) with k >= 1", values.rows,
                    values.cols, wanted),
        "values");
}

template <class T>
MatrixView<const T> points(const Problem<T>& problem, Side side) {
  const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  if (!cloud) throw NotAvailable("[plan] a CostMatrix has no points: give the values to average");
  return side == Side::source ? cloud->x : cloud->y;
}

template <class T>
Operator<T> at_new_points(const Plan<T>& plan, Side side, MatrixView<const T> z, Exec& exec) {
  if (!plan.op().has_points())
    throw NotAvailable("[plan] new points need the costs of a PointCloud; this is a CostMatrix");
  return plan.op().with_points(side, z, exec);
}
}  // namespace

template <class T>
Buffer<T> Plan<T>::barycentric(Side rows, MatrixView<const T> values, Exec& exec,
                               bool* valid) const {
  check_values(values, op_->size(other(rows)));
  const auto h = column_bias(*this, rows, exec);
  const auto s = softmin(*op_, rows, h, epsilon_, exec);
  const auto relative = centred(values, weights_of(*problem_, other(rows)));
  auto images = averages(*op_, rows, h, s, relative, epsilon_, exec);
  add_mean(relative, images);
  if (valid) {
    const auto a = weights_of(*problem_, rows);
    for (std::int64_t i = 0; i < a.size; ++i) valid[i] = row_mass(*this, rows, s, i) > 0;
  }
  return images;
}

template <class T>
Buffer<T> Plan<T>::barycentric(Side rows, Exec& exec, bool* valid) const {
  return barycentric(rows, points(*problem_, other(rows)), exec, valid);
}

template <class T>
Moments<T> Plan<T>::moments(Side rows, MatrixView<const T> values, Exec& exec) const {
  check_values(values, op_->size(other(rows)));
  const auto h = column_bias(*this, rows, exec);
  const auto s = softmin(*op_, rows, h, epsilon_, exec);
  const auto relative = centred(values, weights_of(*problem_, other(rows)));
  auto mean = averages(*op_, rows, h, s, relative, epsilon_, exec);
  const std::int64_t n = op_->size(rows), k = values.cols;
  Buffer<T> mass(n), first(n * k), covariance(n * k * k);
  op_->moments(rows, h.data(), s.data(), relative.values(), mean.data(), mass.data(), first.data(),
               covariance.data(), epsilon_, exec);
  for (std::int64_t i = 0; i < n; ++i) {
    const double row = mass[i];
    const bool some = row > 0 && std::isfinite(row);
    for (std::int64_t c = 0; c < k * k; ++c) {
      // What the mean itself was rounded by.
      const double shift = first[i * k + c / k] / row * (first[i * k + c % k] / row);
      T& entry = covariance[i * k * k + c];
      entry = some ? static_cast<T>(entry / row - shift) : T(0);
    }
  }
  add_mean(relative, mean);
  return {std::move(mean), std::move(covariance)};
}

template <class T>
Moments<T> Plan<T>::moments(Side rows, Exec& exec) const {
  return moments(rows, points(*problem_, other(rows)), exec);
}

template <class T>
Buffer<T> Plan<T>::potential(Side side, MatrixView<const T> z, Exec& exec) const {
  const auto op = at_new_points(*this, side, z, exec);
  auto u = softmin(op, side, column_bias(*this, side, exec), epsilon_, exec);
  const kernels::Penalty penalty = penalty_of(*this, side);
  for (T& value : u) value = static_cast<T>(penalty.prox(value, epsilon_));
  return u;
}

template <class T>
Buffer<T> Plan<T>::map(Side side, MatrixView<const T> z, Exec& exec) const {
  const auto op = at_new_points(*this, side, z, exec);
  const auto h = column_bias(*this, side, exec);
  const auto relative = centred(points(*problem_, other(side)), weights_of(*problem_, other(side)));
  auto images =
      averages(op, side, h, softmin(op, side, h, epsilon_, exec), relative, epsilon_, exec);
  add_mean(relative, images);
  return images;
}

#define MONGE_INSTANTIATE(T)                                                              \
  template Buffer<T> Plan<T>::barycentric(Side, MatrixView<const T>, Exec&, bool*) const; \
  template Buffer<T> Plan<T>::barycentric(Side, Exec&, bool*) const;                      \
  template Moments<T> Plan<T>::moments(Side, MatrixView<const T>, Exec&) const;           \
  template Moments<T> Plan<T>::moments(Side, Exec&) const;                                \
  template Buffer<T> Plan<T>::potential(Side, MatrixView<const T>, Exec&) const;          \
  template Buffer<T> Plan<T>::map(Side, MatrixView<const T>, Exec&) const;
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
