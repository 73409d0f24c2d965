// Where the plan is spread out the slow modes of a solve are smooth: functions that are affine on
// the cells of a kd-tree of the following side carry them, or what averages by the plan, there and
// back, leave of those; and a Newton step among them takes them out of a plain one. The two-level
// correction is additive, z = D^-1 r + Z (Ac^-1 - Dc^-1) Z^T r with Ac = Z^T S Z of the Schur
// complement S = D - P^T D1^-1 P, Dc = Z^T D Z, so it costs no pass.
#pragma once
#include <cstdint>
#include <vector>

#include "ot/alternation.hpp"
#include "ot/small_matrix.hpp"

namespace monge {
/// On each cell of a kd-tree of the points that have weight a column of ones, and one for each
/// coordinate about the cell's middle; at most `most` in all.
template <class T>
struct CellBasis {
  Buffer<T> values;  // [size, columns]
  int columns;
};
template <class T>
CellBasis<T> cell_basis(MatrixView<const T> points, VectorView<const T> weights, int most,
                        Exec& exec);

template <class T>
class Coarse {
 public:
  /// `points` and `weights` are those of the following side, and stay where they are.
  Coarse(MatrixView<const T> points, VectorView<const T> weights, Exec& exec);

  /// The basis and Ac, of the pair of `alternation`, between sweep_following() and follow(). A
  /// sweep of all columns is counted as 1 + columns / 32 passes: one of all points and, where
  /// functions are averaged, one more and four of a sample.
  void build(Alternation<T>& alternation, Exec& exec);
  /// Between the two: what the plain step to come leaves to be corrected by after().
  void before(const Alternation<T>& alternation, Exec& exec);
  void after(double* g, const kernels::Penalty& penalty, Exec& exec) const {
    add(residual_.data(), penalty, g, exec);
  }
  /// z += Z (Ac^-1 - Dc^-1) Z^T r, kept feasible.
  void add(const double* r, const kernels::Penalty& penalty, double* z, Exec& exec) const;

  /// Up to this dimension cells are few.
  static constexpr std::int64_t kDimension = 3;
  static constexpr std::int64_t kLeastPoints = 256;

 private:
  void average(Alternation<T>& alternation, Exec& exec);
  std::vector<double> constants() const;

  const MatrixView<const T> points_;
  const VectorView<const T> weights_;
  const std::int64_t size_;
  int columns_ = 0;
  Buffer<T> cells_, averages_;  // [size, columns]
  const T* basis_ = nullptr;    // one of the two
  Buffer<double> residual_, curvature_;
  SmallMatrix correction_;
};
}  // namespace monge
