// Where the plan is spread out the slow modes of a solve are smooth: functions that are affine on
// the cells of a kd-tree of the following side carry them, and a Newton step among those few takes
// them out of a plain one. The two-level correction is additive, z = D^-1 r + Z (Ac^-1 - Dc^-1) Z^T
// r with Ac = Z^T S Z of the Schur complement S = D - P^T D1^-1 P, Dc = Z^T D Z, so it costs no
// pass.
#pragma once
#include <cstdint>
#include <vector>

#include "ot/alternation.hpp"
#include "ot/small_matrix.hpp"

namespace monge {
/// On each cell of a kd-tree of the points that have weight a column of ones, and one for each
/// coordinate about the cell's middle; at most kernels::kCoarseColumns in all.
template <class T>
struct CellBasis {
  Buffer<T> values;  // [size, columns]
  int columns;
};
template <class T>
CellBasis<T> cell_basis(MatrixView<const T> points, VectorView<const T> weights, Exec& exec);

template <class T>
class Coarse {
 public:
  /// The basis. `points` and `weights` are those of the following side.
  Coarse(MatrixView<const T> points, VectorView<const T> weights, Exec& exec);

  /// Ac of the pair of `alternation`, between sweep_following() and follow(): one sweep of all
  /// columns, counted as 1 + columns / 32 passes.
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
  std::int64_t size_;
  int columns_ = 0;
  Buffer<T> basis_;  // [size, columns]
  Buffer<double> residual_, curvature_;
  SmallMatrix correction_;
};
}  // namespace monge
