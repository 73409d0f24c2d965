#include "ot/restricted.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
// Below it constants are left to the gauge: the remainders no longer hold them in Newton's systems.
constexpr double kLooseConstant = 1e-9;

/// What top_k listed, on the host, where supports are joined.
struct Listed {
  int k;
  Buffer<std::int64_t> columns;
  Buffer<double> costs;

  /// entry(column, cost) for those of row i.
  template <class Entry>
  void each(std::int64_t i, const Entry& entry) const {
    for (std::int64_t e = i * k; e < (i + 1) * k; ++e)
      if (columns[e] >= 0 && std::isfinite(costs[e])) entry(columns[e], costs[e]);
  }
};

template <class T>
Listed listed(const typename Alternation<T>::TopLists& lists, double eps, Exec& exec) {
  const std::int64_t entries = lists.columns.size();
  Buffer<double> costs(entries, exec.device);
  kernels::each(
      kernels::ListedCostArgs<T>{lists.columns.data(), lists.weights.data(), lists.h.data(),
                                 lists.shift.data(), lists.k, eps, costs.data()},
      entries, exec);
  return {lists.k, lists.columns.to(Device{}, exec.stream),
          std::move(costs).to(Device{}, exec.stream)};
}
}  // namespace

template <class T>
void Restricted<T>::Axis::place(const std::vector<std::int64_t>& at,
                                const std::vector<std::int32_t>& indices,
                                const std::vector<double>& values, Exec& exec) {
  offsets = placed(at, exec);
  index = placed(indices, exec);
  costs = placed(values, exec);
  shares = Buffer<double>(costs.size(), exec.device);
}

template <class T>
typename Restricted<T>::Axis Restricted<T>::make_axis(const Half& half, Exec& exec) const {
  Axis axis;
  axis.weight = in_double(half.weight, exec);
  axis.log_weight = half.log_weight;
  axis.mass = half.mass;
  axis.penalty = half.penalty;
  for (Buffer<double>* v : {&axis.visited, &axis.rest, &axis.outside, &axis.h, &axis.softmin})
    *v = Buffer<double>(axis.size(), exec.device);
  return axis;
}

template <class T>
Restricted<T>::Restricted(const Half& rows, const Half& columns, Exec& exec)
    : lead_(rows),
      follow_(columns),
      rows_(make_axis(rows, exec)),
      columns_(make_axis(columns, exec)) {
  for (Buffer<double>* v : {&factor_, &inverse_, &between_})
    *v = Buffer<double>(rows_.size(), exec.device);
  totals_ = Buffer<double>(columns_.size(), exec.device);
}

// Every pair that either list names, once: rows in the order of their lists, columns ascending.
template <class T>
void Restricted<T>::join(const TopLists& rows, const TopLists& columns, double eps, Exec& exec) {
  const std::int64_t n = rows_.size(), m = columns_.size();
  const auto of_rows = listed<T>(rows, eps, exec);
  const auto of_columns = listed<T>(columns, eps, exec);

  std::vector<std::int64_t> first(n + 1);  // of what columns say of a row
  for (std::int64_t j = 0; j < m; ++j)
    of_columns.each(j, [&](std::int64_t i, double) { ++first[i + 1]; });
  for (std::int64_t i = 0; i < n; ++i) first[i + 1] += first[i];
  std::vector<std::pair<std::int32_t, double>> said(first[n]);
  {
    std::vector<std::int64_t> next(first.begin(), first.end() - 1);
    for (std::int64_t j = 0; j < m; ++j)
      of_columns.each(j, [&](std::int64_t i, double cost) {
        said[next[i]++] = {static_cast<std::int32_t>(j), cost};
      });
  }

  std::vector<std::int64_t> offsets(n + 1), last(m, -1), starts(m + 1);
  std::vector<std::int32_t> index;
  std::vector<double> costs;
  index.reserve(n * rows.k + m * columns.k);
  costs.reserve(n * rows.k + m * columns.k);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto add = [&](std::int64_t j, double cost) {
      if (last[j] == i) return;
      last[j] = i;
      index.push_back(static_cast<std::int32_t>(j));
      costs.push_back(cost);
      ++starts[j + 1];
    };
    of_rows.each(i, add);
    for (std::int64_t e = first[i]; e < first[i + 1]; ++e) add(said[e].first, said[e].second);
    offsets[i + 1] = static_cast<std::int64_t>(index.size());
  }

  for (std::int64_t j = 0; j < m; ++j) starts[j + 1] += starts[j];
  std::vector<std::int32_t> transposed(index.size());
  std::vector<double> transposed_costs(index.size());
  std::vector<std::int64_t> next(starts.begin(), starts.end() - 1);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t e = offsets[i]; e < offsets[i + 1]; ++e) {
      const std::int64_t to = next[index[e]]++;
      transposed[to] = static_cast<std::int32_t>(i);
      transposed_costs[to] = costs[e];
    }
  rows_.place(offsets, index, costs, exec);
  columns_.place(starts, transposed, transposed_costs, exec);
}

// Remainder of `axis` at the pair visited: all that its softmin over all pairs has beyond the
// support.
template <class T>
void Restricted<T>::remember(Axis& axis, const Axis& other, const Half& half, const Half& from,
                             double eps, Exec& exec) {
  kernels::sparse_softmin({.pairs = axis.pairs(),
                           .h = from.h,
                           .rest = nullptr,
                           .eps = eps,
                           .out = axis.softmin.data(),
                           .shares = axis.shares.data()},
                          exec);
  kernels::sparse_apply({.pairs = axis.pairs(),
                         .shares = nullptr,
                         .scale = nullptr,
                         .v = other.weight.data(),
                         .out = axis.outside.data()},
                        exec);
  kernels::each(kernels::OutsideArgs{other.mass, axis.outside.data()}, axis.size(), exec);
  kernels::each(kernels::RestArgs{half.softmin, axis.softmin.data(), axis.outside.data(), eps,
                                  axis.visited.data()},
                axis.size(), exec);
}

template <class T>
void Restricted<T>::refresh(const TopLists& rows, const TopLists& columns, double eps, Exec& exec) {
  join(rows, columns, eps, exec);
  visited_eps_ = eps;
  remember(rows_, columns_, lead_, follow_, eps, exec);
  remember(columns_, rows_, follow_, lead_, eps, exec);
  set_epsilon(eps, exec);
}

template <class T>
void Restricted<T>::set_epsilon(double eps, Exec& exec) {
  eps_ = eps;
  for (Axis* axis : {&rows_, &columns_})
    kernels::each(kernels::RestAtArgs{axis->visited.data(), axis->outside.data(), visited_eps_, eps,
                                      axis->rest.data()},
                  axis->size(), exec);
}

template <class T>
double Restricted<T>::respond(const double* g, double* q, Exec& exec) {
  const auto softmin = [&](Axis& axis, const Axis& from) {
    kernels::sparse_softmin({.pairs = axis.pairs(),
                             .h = from.h.data(),
                             .rest = axis.rest.data(),
                             .eps = eps_,
                             .out = axis.softmin.data(),
                             .shares = axis.shares.data()},
                            exec);
  };
  kernels::each(
      kernels::BiasArgs<double>{g, columns_.log_weight, columns_.size(), eps_, columns_.h.data()},
      columns_.size(), exec);
  softmin(rows_, columns_);
  const auto rows = kernels::sum(
      kernels::RestrictedRowsArgs{rows_.weight.data(), rows_.log_weight, rows_.softmin.data(),
                                  rows_.rest.data(), rows_.penalty, eps_, rows_.h.data(),
                                  factor_.data(), inverse_.data()},
      rows_.size(), exec);
  softmin(columns_, rows_);
  const auto columns = kernels::sum(
      kernels::RestrictedColumnsArgs{columns_.weight.data(), g, columns_.softmin.data(),
                                     columns_.rest.data(), eps_, q, totals_.data()},
      columns_.size(), exec);
  outside_rows_ = rows.value[1];
  outside_columns_ = columns.value[0];
  mass_ = columns.value[1];
  return rows.value[0] + eps_ * (rows_.mass * columns_.mass - outside_rows_);
}

template <class T>
void Restricted<T>::product(const double* v, double* out, Exec& exec) const {
  kernels::sparse_apply({.pairs = rows_.pairs(),
                         .shares = rows_.shares.data(),
                         .scale = factor_.data(),
                         .v = v,
                         .out = between_.data()},
                        exec);
  kernels::sparse_apply({.pairs = columns_.pairs(),
                         .shares = columns_.shares.data(),
                         .scale = totals_.data(),
                         .v = between_.data(),
                         .out = out},
                        exec);
}

template <class T>
void Restricted<T>::squares(double* out, Exec& exec) const {
  kernels::sparse_apply({.pairs = columns_.pairs(),
                         .shares = columns_.shares.data(),
                         .scale = totals_.data(),
                         .v = inverse_.data(),
                         .out = out,
                         .power = 2},
                        exec);
}

template <class T>
bool Restricted<T>::balanced() const {
  return rows_.penalty.kind == kernels::Penalty::Kind::balanced &&
         columns_.penalty.kind == kernels::Penalty::Kind::balanced;
}

template <class T>
void Restricted<T>::project(const double* curvature, double* v, Exec& exec) const {
  if (balanced() && lost() < kLooseConstant) project_constants(curvature, v, columns_.size(), exec);
}

template <class T>
double Restricted<T>::gauge() const {
  if (!balanced()) return 0;
  const double c = eps_ / 2 * (std::log(outside_columns_) - std::log(outside_rows_));
  return std::isfinite(c) ? c : 0;
}

template class Restricted<float>;
template class Restricted<double>;
}  // namespace monge
