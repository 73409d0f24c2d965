// Conditional averages of the plan: barycentric images, moments, and both at new points.
//
// All are taken in softmax form: with s = softmin of the row the weights exp((h_j + s_i -
// c_ij)/eps) sum to 1 whatever the potential of the row is, so a row whose mass underflows, or is
// 0, has an image too. Values travel relative to their mean, so that what they share is exact.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "monge/ot/plan.hpp"
#include "ot/plan_parts.hpp"
#include "ot/points.hpp"

namespace monge {
namespace {
/// Values [m, k] relative to their weighted mean, with a column of ones behind them; 0 where the
/// weight is 0, whatever stood there.
template <class T>
struct Centred {
  Buffer<T> data;  // [m, k + 1]
  Buffer<double> mean;
  std::int64_t rows, k;
  MatrixView<const T> with_ones() const {
    return {data.data(), rows, k + 1, k + 1, 1, data.device()};
  }
  MatrixView<const T> values() const { return {data.data(), rows, k, k + 1, 1, data.device()}; }
};

template <class T>
Centred<T> centred(MatrixView<const T> values, VectorView<const T> weights, double mass,
                   Exec& exec) {
  using Columns = kernels::ColumnSumsArgs<T>;
  const std::int64_t k = values.cols;
  std::vector<double> mean;
  for (std::int64_t first = 0; first < k; first += Columns::kColumns) {
    const auto sums = kernels::sum(Columns{values, weights, first}, values.rows, exec);
    for (std::int64_t c = first; c < std::min(k, first + Columns::kColumns); ++c)
      mean.push_back(sums.value[c - first] / mass);
  }
  Centred<T> out{Buffer<T>(values.rows * (k + 1), exec.device), placed(mean, exec), values.rows, k};
  kernels::each(kernels::CentreArgs<T>{values, weights, out.mean.data(), out.data.data()},
                out.data.size(), exec);
  return out;
}

/// Averages [rows, k] of centred values; 0, that is their mean, for a row without any partner.
template <class T>
Buffer<T> averages(const Operator<T>& op, Side rows, const Buffer<T>& h, const Buffer<T>& s,
                   const Centred<T>& values, double eps, Exec& exec) {
  const std::int64_t n = op.size(rows), k = values.k;
  Buffer<T> sums(n * (k + 1), exec.device), out(n * k, exec.device);
  op.apply(rows, h.data(), s.data(), kernels::Weighting::plain, values.with_ones(), sums.data(),
           eps, exec);
  kernels::each(kernels::AverageArgs<T>{sums.data(), k, out.data()}, out.size(), exec);
  return out;
}

template <class T>
void add_mean(const Centred<T>& values, Buffer<T>& averages, Exec& exec) {
  kernels::each(kernels::AddMeanArgs<T>{values.mean.data(), values.k, averages.data()},
                averages.size(), exec);
}

/// The same with lower bounds: of the row's mass p0 + sum excess the share p0 averages so.
template <class T>
void add_bounded(const Plan<T>& plan, Side rows, const Centred<T>& values, const Buffer<T>& s,
                 Buffer<T>& averages, Exec& exec) {
  if (!plan.problem().bounds()) return;
  struct Row {
    double mass = 0;  // of the excess
    std::vector<double> sum;
  };
  std::map<std::int64_t, Row> bounded;
  const auto given = on_host(values.data.view(), exec), shift = on_host(s.view(), exec),
             weight = on_host(weights_of(plan.problem(), rows), exec),
             potential = on_host(potential_of(plan, rows), exec);
  for_each_bound(plan, rows, exec, [&](const ActiveBound& e, std::int64_t i, std::int64_t j) {
    Row& row = bounded[i];
    row.sum.resize(values.k);
    row.mass += e.excess();
    for (std::int64_t c = 0; c < values.k; ++c)
      row.sum[c] += e.excess() * given[j * (values.k + 1) + c];
  });
  edit_on_host(
      averages,
      [&](T* average) {
        for (const auto& [i, row] : bounded) {
          const double free = weight[i] * std::exp((potential[i] - shift[i]) / plan.epsilon());
          for (std::int64_t c = 0; c < values.k; ++c) {
            T& one = average[i * values.k + c];
            one = static_cast<T>((free * one + row.sum[c]) / (free + row.mass));
          }
        }
      },
      exec);
}

template <class T>
void check_values(MatrixView<const T> values, std::int64_t wanted, const Exec& exec) {
  if (values.rows != wanted || values.cols < 1)
    throw InvalidArgument(
        fmt::format("[plan] values have shape ({}, {}), wanted ({}, k) with k >= 1", values.rows,
                    values.cols, wanted),
        "values");
  check_device("plan", "values", values.device, exec);
}

template <class T>
void mark_valid(const Plan<T>& plan, Side rows, const Buffer<T>& softmin, bool* valid, Exec& exec) {
  kernels::each(
      kernels::RowMassArgs<T>{weights_of(plan.problem(), rows), potential_of(plan, rows).data,
                              softmin.data(), plan.epsilon(), nullptr, valid},
      softmin.size(), exec);
}

template <class T>
void check_new_points(const Plan<T>& plan, Exec& exec) {
  without_bounds(plan, "a map or potential at new points");
  if (!plan.op().has_points())
    throw NotAvailable("[plan] new points need the costs of a PointCloud; this is a CostMatrix");
  check_device("plan", "the problem", plan.problem().device(), exec);
}

/// The images of new points, and their softmins, where a lattice has a periodic axis.
template <class T>
std::pair<Buffer<T>, Buffer<double>> images_at(const Plan<T>& plan, Side side,
                                               MatrixView<const T> z, Exec& exec) {
  const auto h = column_bias(plan, side, exec);
  std::pair out(Buffer<T>(z.rows * plan.op().dim(), exec.device),
                Buffer<double>(z.rows, exec.device));
  plan.op().images_at(side, z, h.data(), out.first.data(), out.second.data(), plan.epsilon(), exec);
  return out;
}

template <class T>
Buffer<double> softmin_at(const Plan<T>& plan, Side side, MatrixView<const T> z, Exec& exec) {
  if (plan.op().is_periodic()) return images_at(plan, side, z, exec).second;
  const auto op = plan.op().with_points(side, z, exec);
  const auto h = column_bias_in<double>(plan, side, exec);
  Buffer<double> s(op.size(side), exec.device);
  op.softmin(side, h.data(), nullptr, s.data(), plan.epsilon(), exec);
  return s;
}
}  // namespace

template <class T>
Buffer<T> Plan<T>::barycentric(Side rows, MatrixView<const T> values, Exec& exec,
                               bool* valid) const {
  check_values(values, op_->size(other(rows)), exec);
  const auto h = column_bias(*this, rows, exec);
  const auto s = softmin(*op_, rows, h, epsilon_, exec);
  const auto relative =
      centred(values, weights_of(*problem_, other(rows)), mass_of(*problem_, other(rows)), exec);
  auto images = averages(*op_, rows, h, s, relative, epsilon_, exec);
  add_bounded(*this, rows, relative, s, images, exec);
  add_mean(relative, images, exec);
  if (valid != nullptr) mark_valid(*this, rows, s, valid, exec);
  if (valid != nullptr && problem_->bounds())
    edit_on_host(
        valid, op_->size(rows),
        [&](bool* here) {
          for_each_bound(*this, rows, exec,
                         [&](const ActiveBound&, std::int64_t i, std::int64_t) { here[i] = true; });
        },
        exec);
  return images;
}

// A row of a lattice always has a partner.
template <class T>
Buffer<T> Plan<T>::barycentric(Side rows, Exec& exec, bool* valid) const {
  if (!op_->has_images())
    return barycentric(rows, Points<T>(problem_->geometry(), other(rows), exec).view, exec, valid);
  const std::int64_t n = op_->size(rows);
  const auto h = column_bias(*this, rows, exec);
  Buffer<T> images(n * op_->dim(), exec.device);
  Buffer<double> s(n, exec.device);
  op_->images(rows, h.data(), images.data(), s.data(), nullptr, nullptr, epsilon_, exec);
  if (valid != nullptr) mark_valid(*this, rows, rounded<T>(s, exec), valid, exec);
  return images;
}

template <class T>
Moments<T> Plan<T>::moments(Side rows, MatrixView<const T> values, Exec& exec) const {
  check_values(values, op_->size(other(rows)), exec);
  without_bounds(*this, "the covariance of a row");
  const auto h = column_bias(*this, rows, exec);
  const auto s = softmin(*op_, rows, h, epsilon_, exec);
  const auto relative =
      centred(values, weights_of(*problem_, other(rows)), mass_of(*problem_, other(rows)), exec);
  auto mean = averages(*op_, rows, h, s, relative, epsilon_, exec);
  const std::int64_t n = op_->size(rows), k = values.cols;
  Buffer<T> mass(n, exec.device), first(n * k, exec.device), covariance(n * k * k, exec.device);
  op_->moments(rows, h.data(), s.data(), relative.values(), mean.data(), mass.data(), first.data(),
               covariance.data(), epsilon_, exec);
  kernels::each(kernels::CovarianceArgs<T>{mass.data(), first.data(), k, covariance.data()},
                covariance.size(), exec);
  add_mean(relative, mean, exec);
  return {std::move(mean), std::move(covariance)};
}

template <class T>
Moments<T> Plan<T>::moments(Side rows, Exec& exec) const {
  if (!op_->has_images())
    return moments(rows, Points<T>(problem_->geometry(), other(rows), exec).view, exec);
  const std::int64_t n = op_->size(rows), d = op_->dim();
  const auto h = column_bias(*this, rows, exec);
  Buffer<double> s(n, exec.device);
  Buffer<T> mean(n * d, exec.device), first(n * d, exec.device), covariance(n * d * d, exec.device);
  op_->images(rows, h.data(), mean.data(), s.data(), first.data(), covariance.data(), epsilon_,
              exec);
  const auto mass = filled(n, T(1), exec);
  kernels::each(kernels::CovarianceArgs<T>{mass.data(), first.data(), d, covariance.data()},
                covariance.size(), exec);
  return {std::move(mean), std::move(covariance)};
}

template <class T>
Buffer<T> Plan<T>::potential(Side side, MatrixView<const T> z, Exec& exec) const {
  check_new_points(*this, exec);
  auto s = softmin_at(*this, side, z, exec);
  kernels::half_step<T>({.s = s.data(),
                         .f = s.data(),
                         .weight = {nullptr, s.size()},  // a plain step reads no weight
                         .mass = 0,
                         .penalty = penalty_of(*this, side),
                         .eps = epsilon_,
                         .omega = 1},
                        exec);
  return rounded<T>(s, exec);
}

template <class T>
Buffer<T> Plan<T>::map(Side side, MatrixView<const T> z, Exec& exec) const {
  check_new_points(*this, exec);
  if (op_->is_periodic()) return images_at(*this, side, z, exec).first;
  const auto op = op_->with_points(side, z, exec);
  const auto h = column_bias(*this, side, exec);
  const Points<T> points(problem_->geometry(), other(side), exec);
  const auto relative = centred(points.view, weights_of(*problem_, other(side)),
                                mass_of(*problem_, other(side)), exec);
  auto images =
      averages(op, side, h, softmin(op, side, h, epsilon_, exec), relative, epsilon_, exec);
  add_mean(relative, images, exec);
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
