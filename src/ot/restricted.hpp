// The problem restricted to a support: the pairs that carry nearly all of a concentrated plan, and
// for the rest one fixed remainder a row and a column (two dustbins),
//   f_i = prox( -eps log( sum over the support of b_j exp((g_j - C_ij) / eps) + W_i ) ),
// g likewise with V. These maximise a concave dual, so that Newton climbs it (newton_cg.hpp) at
// O(n k) a step. A model: never part of a result.
#pragma once
#include <cstdint>

#include "kernels/sparse_newton.hpp"
#include "ot/alternation.hpp"
#include "ot/newton_cg.hpp"

namespace monge {
template <class T>
class Restricted {
 public:
  using Half = typename Alternation<T>::Half;
  using TopLists = typename Alternation<T>::TopLists;

  /// Of the leading rows and the following columns of an alternation, whose halves outlive it.
  Restricted(const Half& rows, const Half& columns, Exec& exec);

  /// What one entry of the best of a row takes, with the lists it comes from.
  static constexpr std::int64_t kBytes =
      2 * (2 * sizeof(double) + sizeof(std::int32_t)) + sizeof(std::int64_t) + sizeof(double);

  /// The support and the remainders of a pair that was visited at eps. `tight`: what may be no more
  /// than rounding is no remainder. On a path it is a way by which mass moves between parts of the
  /// plan that no pair joins; at its end it is none.
  void refresh(const TopLists& rows, const TopLists& columns, double eps, Exec& exec,
               bool tight = true);
  /// The same support at another epsilon.
  void set_epsilon(double eps, Exec& exec);

  struct Totals {
    kernels::RestrictedRowsArgs::Result rows;
    kernels::RestrictedColumnsArgs::Result columns;
  };
  NewtonSide side() const { return {columns_.weight.data(), columns_.size(), columns_.penalty}; }
  void respond(const kernels::ResponseArgs& args, Totals* totals, Exec& exec);
  double dual(const Totals& totals);
  bool projects() const;
  void step(const kernels::StepArgs& args, Exec& exec) const;

  // Of the last response, after dual():
  /// Share of the plan outside the support.
  double lost() const { return std::max(outside_rows_, outside_columns_) / mass_; }
  /// What the gauge wants taken from g: with two Balanced sides only the remainders know of
  /// constants.
  double gauge() const;
  const double* row_softmin() const { return rows_.softmin.data(); }
  const double* column_softmin() const { return columns_.softmin.data(); }

 private:
  struct Axis {
    Buffer<double> weight;
    const double* log_weight;
    double mass;
    kernels::Penalty penalty;
    Buffer<std::int64_t> offsets;
    Buffer<std::int32_t> index;
    Buffer<double> costs, shares;
    Buffer<double> visited, rest,
        outside;  // remainder of the visit, now, and the weight it stands for
    Buffer<double> h, softmin;
    std::int64_t entries = 0;

    std::int64_t size() const { return weight.size(); }
    kernels::Sparse pairs() const {
      return {offsets.data(), index.data(), costs.data(), size(), entries};
    }
    kernels::SparseJoinArgs::Sides room(std::int64_t most, const Exec& exec);
  };
  kernels::SparseApplyArgs of_rows(const double* v, double* out) const;
  kernels::SparseApplyArgs of_columns(const double* v, double* out, int power = 1) const;
  Axis make_axis(const Half& half, Exec& exec) const;
  void join(const TopLists& rows, const TopLists& columns, double eps, Exec& exec);
  void remember(Axis& axis, const Axis& other, const Half& half, const Half& from,
                const TopLists& lists, double eps, bool tight, Exec& exec);
  bool balanced() const;

  const Half& lead_;
  const Half& follow_;
  Axis rows_, columns_;
  Buffer<double> factor_, inverse_, totals_;     // of rows p / D1 and that over p; of columns q
  mutable Buffer<double> between_;               // [rows]
  Buffer<double> listed_rows_, listed_columns_;  // costs of what was listed
  double visited_eps_ = 0, eps_ = 0;
  double outside_rows_ = 0, outside_columns_ = 0, mass_ = 1;
};
}  // namespace monge
