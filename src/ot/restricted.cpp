#include "ot/restricted.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
// Below it constants are left to the gauge: the remainders no longer hold them in Newton's systems.
constexpr double kLooseConstant = 1e-9;

template <class T>
kernels::SparseJoinArgs::Listed listed(const typename Alternation<T>::TopLists& lists, double eps,
                                       Buffer<double>& costs, Exec& exec) {
  const std::int64_t entries = lists.columns.size();
  if (costs.size() != entries) costs = Buffer<double>(entries, exec.device);
  kernels::each(
      kernels::ListedCostArgs<T>{lists.columns.data(), lists.weights.data(), lists.h.data(),
                                 lists.shift.data(), lists.k, eps, costs.data()},
      entries, exec);
  return {lists.columns.data(), costs.data(), entries / lists.k, lists.k};
}
}  // namespace

template <class T>
kernels::SparseJoinArgs::Sides Restricted<T>::Axis::room(std::int64_t most, const Exec& exec) {
  if (costs.size() != most) {
    offsets = Buffer<std::int64_t>(size() + 1, exec.device);
    index = Buffer<std::int32_t>(most, exec.device);
    costs = Buffer<double>(most, exec.device);
    shares = Buffer<double>(most, exec.device);
  }
  return {offsets.data(), index.data(), costs.data()};
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

template <class T>
void Restricted<T>::join(const TopLists& rows, const TopLists& columns, double eps, Exec& exec) {
  const std::int64_t most = rows.columns.size() + columns.columns.size();
  rows_.entries = columns_.entries =
      kernels::sparse_join({.of_rows = listed<T>(rows, eps, listed_rows_, exec),
                            .of_columns = listed<T>(columns, eps, listed_columns_, exec),
                            .rows = rows_.room(most, exec),
                            .columns = columns_.room(most, exec)},
                           exec);
}

// Remainder of `axis` at the pair visited: all that its softmin over all pairs has beyond the
// support.
template <class T>
void Restricted<T>::remember(Axis& axis, const Axis& other, const Half& half, const Half& from,
                             const TopLists& lists, double eps, bool tight, Exec& exec) {
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
  kernels::each(kernels::RestArgs<T>{half.softmin, axis.softmin.data(), axis.outside.data(),
                                     tight ? lists.weights.data() : nullptr, lists.shift.data(),
                                     lists.k, other.size(), eps, axis.visited.data()},
                axis.size(), exec);
}

template <class T>
void Restricted<T>::refresh(const TopLists& rows, const TopLists& columns, double eps, Exec& exec,
                            bool tight) {
  join(rows, columns, eps, exec);
  visited_eps_ = eps;
  remember(rows_, columns_, lead_, follow_, rows, eps, tight, exec);
  remember(columns_, rows_, follow_, lead_, columns, eps, tight, exec);
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
void Restricted<T>::respond(const kernels::ResponseArgs& args, Totals* totals, Exec& exec) {
  const auto softmin = [&](Axis& axis, const Axis& from) {
    return kernels::SparseSoftminArgs{.pairs = axis.pairs(),
                                      .h = from.h.data(),
                                      .rest = axis.rest.data(),
                                      .eps = eps_,
                                      .out = axis.softmin.data(),
                                      .shares = axis.shares.data()};
  };
  kernels::sparse_respond(
      {.bias = {args.g, columns_.log_weight, columns_.size(), eps_, columns_.h.data()},
       .rows = softmin(rows_, columns_),
       .from_rows = {rows_.weight.data(), rows_.log_weight, rows_.softmin.data(), rows_.rest.data(),
                     rows_.penalty, eps_, rows_.h.data(), factor_.data(), inverse_.data(),
                     &totals->rows},
       .columns = softmin(columns_, rows_),
       .from_columns = {columns_.weight.data(), args.g, columns_.softmin.data(),
                        columns_.rest.data(), eps_, args.q, totals_.data(), &totals->columns},
       .response = args},
      exec);
}

template <class T>
double Restricted<T>::dual(const Totals& totals) {
  outside_rows_ = totals.rows.value[1];
  outside_columns_ = totals.columns.value[0];
  mass_ = totals.columns.value[1];
  return totals.rows.value[0] + eps_ * (rows_.mass * columns_.mass - outside_rows_);
}

template <class T>
kernels::SparseApplyArgs Restricted<T>::of_rows(const double* v, double* out) const {
  return {.pairs = rows_.pairs(),
          .shares = rows_.shares.data(),
          .scale = factor_.data(),
          .v = v,
          .out = out};
}

template <class T>
kernels::SparseApplyArgs Restricted<T>::of_columns(const double* v, double* out, int power) const {
  return {.pairs = columns_.pairs(),
          .shares = columns_.shares.data(),
          .scale = totals_.data(),
          .v = v,
          .out = out,
          .power = power};
}

template <class T>
void Restricted<T>::step(const kernels::StepArgs& args, Exec& exec) const {
  kernels::sparse_step({.squares = of_columns(inverse_.data(), args.diagonal.diagonal, 2),
                        .rows = of_rows(args.cg.p, between_.data()),
                        .columns = of_columns(between_.data(), args.cg.w),
                        .step = args},
                       exec);
}

template <class T>
bool Restricted<T>::balanced() const {
  return rows_.penalty.kind == kernels::Penalty::Kind::balanced &&
         columns_.penalty.kind == kernels::Penalty::Kind::balanced;
}

template <class T>
bool Restricted<T>::projects() const {
  return balanced() && lost() < kLooseConstant;
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
