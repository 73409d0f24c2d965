// Lower bounds in second derivatives. Entries that a bound holds (P = L > P0) do not move: sweeps,
// which know P0 alone, have theirs taken off again, and what is of the plan itself gets the rest of
// L. A few entries, on the host, wherever the sweeps run.
#pragma once
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/apply.hpp"
#include "kernels/tangent.hpp"
#include "monge/ot/plan.hpp"
#include "ot/packing.hpp"

namespace monge {
template <class T>
class HeldEntries {
 public:
  HeldEntries(const Plan<T>& plan, Exec& exec);

  /// How far the nearest entry is from where its bound begins to hold it, in units of cost, and the
  /// row of that entry.
  double margin() const { return margin_; }
  std::int64_t nearest() const { return nearest_; }

  /// out [rows, k] of a sweep with the plan's own weights: those of what moves, or with `whole` of
  /// all of the plan.
  void apply(Side rows, kernels::Weighting weighting, bool whole, const T* v, std::int64_t k,
             T* out, Exec& exec) const;
  /// The same of what a tangent wants. Second derivatives of costs are of the whole plan.
  void tangent(Side rows, const kernels::TangentArgs<T>& args, Exec& exec) const;
  /// [n] what bounds hold of the rows, over their weights; [n, d] sum_j L_ij / a_i dc/dx.
  std::vector<double> shares(Side rows, std::int64_t n) const;
  std::vector<double> slopes(Side rows, std::int64_t n) const;
  /// (source, target) of every entry.
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs() const;

 private:
  struct Entry {
    std::int64_t at[2];  // source, target
    double cost, weight[2];
    double free, bound;  // P0 and L
    const double* point[2];
  };
  /// dc/dx = factor diff, and d factor = bend diff.d(diff); of a product of points diff is the
  /// other point.
  struct Slope {
    double factor = 0, bend = 0;
  };
  Slope slope(const Entry& e) const;
  double diff(const Entry& e, int own, std::int64_t k) const;

  CostForm form_;
  std::int64_t dim_ = 0;
  std::vector<double> points_;  // [count, 2, d] as sweeps have them
  std::vector<Entry> entries_;  // by row, then column
  std::int64_t reach_[2] = {};  // of either side, past the last that has an entry
  double margin_ = std::numeric_limits<double>::infinity();
  std::int64_t nearest_ = -1;
};
}  // namespace monge
