// Lower bounds as solver and plan see them. Only lines (rows or columns) with entries of L change:
// their half-step solves a monotone scalar equation in place of f = prox(s). On the host, for what
// lines and entries there are, wherever the sweeps run.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/penalty.hpp"
#include "monge/ot/bounds.hpp"
#include "monge/ot/plan.hpp"
#include "monge/ot/problem.hpp"
#include "ot/places.hpp"

namespace monge {
struct BoundEntry {
  std::int64_t i, j;
  double bound, cost, log_ab;
  /// log P0_ij
  double log_free(double f, double g, double eps) const { return log_ab + (f + g - cost) / eps; }
};

struct BoundEntries {
  std::vector<BoundEntry> by_row, by_column;  // the same, in the order of either side
  struct Line {
    std::int64_t at, first, last;  // entries [first, last) of that order
  };
  std::vector<Line> rows, columns;

  const std::vector<Line>& lines(Side side) const { return side == Side::source ? rows : columns; }
  const std::vector<BoundEntry>& entries(Side side) const {
    return side == Side::source ? by_row : by_column;
  }
};

/// Null where L = 0. Throws as Problem documents; the problem is complete but for its bounds.
template <class T>
std::shared_ptr<const BoundEntries> checked_bounds(const Problem<T>& problem,
                                                   const LowerBounds& bounds);

/// An entry where L binds.
struct ActiveBound {
  std::int64_t i, j;
  double bound, free, cost;
  double gain;  // L log(L / P0), known where P0 underflows too
  double excess() const { return bound - free; }
};
/// By row, then column; f and g adjacent, on exec.device. Null entries: none.
std::vector<ActiveBound> active_bounds(const BoundEntries* entries, const double* f,
                                       const double* g, double eps, Exec& exec);
/// sum L log(L / P0) over them: what the dual gains, over epsilon, once its mass is that of P.
double dual_gain(const std::vector<ActiveBound>& active);

/// The half-steps of one side's lines.
template <class T>
class BoundedSide {
 public:
  BoundedSide() = default;
  BoundedSide(const BoundEntries* entries, Side side, VectorView<const T> weight,
              const kernels::Penalty& penalty, Exec& exec);

  /// After a sweep: keeps what it found for step().
  void swept(const double* softmin, Exec& exec);
  /// own[line] = the potential that is best against `other`, from what swept() kept.
  void step(double* own, const double* other, double eps, Exec& exec) const;
  /// softmin[line] = the s at which a exp((own - s) / eps) is the line's mass with its bounds, so
  /// that every measure of the side holds.
  void cover(const double* own, const double* other, double eps, double* softmin, Exec& exec) const;

 private:
  struct Term {
    double bound, log_unit;  // P0 = exp(log_unit + own / eps)
  };
  /// `against`: of all entries, in the order of the side.
  std::vector<Term> terms(const BoundEntries::Line& line, const std::vector<double>& against,
                          double eps) const;

  const BoundEntries* entries_ = nullptr;
  Side side_ = Side::source;
  kernels::Penalty penalty_;
  Places lines_, opposite_;     // where lines stand, and the other end of every entry
  std::vector<double> weight_;  // of each line
  std::vector<double> raw_;     // softmin of each line
};
}  // namespace monge
