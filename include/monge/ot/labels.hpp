// Costs between labelled points (dataset distances; Alvarez-Melis, Fusi 2020),
//   c(i, j) = lambda_x |x_i - y_j|^2 + lambda_y W[s_i, t_j],
// for any finite table W, as the cost Dot, -x'.y', of points with appended coordinates:
//   x' = (2 lambda_x (x - o), lambda_x |x - o|^2, 1, e_s)
//   y' = (y - o, -1, -lambda_x |y - o|^2, -lambda_y W[., t])
// o is the mean of all points and e_s the unit vector of label s; with fewer target labels these
// have the unit vectors. Nothing is added to a cost, so every marginal keeps its meaning. (Squared
// distances alone would not do: |u_s - v_t|^2 = W_st has a solution for few tables; of
// [[0, 0], [0, 1]] all four points coincide.)
#pragma once
#include <cstdint>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "monge/ot/geometry.hpp"

namespace monge {
template <class T>
struct LabelledClouds {
  Buffer<T> x, y;        ///< [n, dim] and [m, dim], where the points were
  std::int64_t dim = 0;  ///< d + 2 + the lesser number of labels

  PointCloud<T> cloud() const {
    return {{x.data(), x.size() / dim, dim, dim, 1, x.device()},
            {y.data(), y.size() / dim, dim, dim, 1, y.device()},
            Dot{}};
  }
  /// Of a gradient at a plan between them: dx and dy in the points themselves, [n, d] and [m, d].
  /// As differences of sums their errors are those of T relative to the spread of the points. A
  /// gradient of labels there is none. Formed on the host.
  Gradient<T> in_points(Gradient<T> gradient, Exec& exec) const;

 private:
  template <class U>
  friend LabelledClouds<U> with_labels(MatrixView<const U>, VectorView<const std::int64_t>,
                                       MatrixView<const U>, VectorView<const std::int64_t>,
                                       MatrixView<const double>, double, double, Exec&);
  std::int64_t d_ = 0;
  double lambda_x_ = 0;
};

/// Built on the host, where labels and table are; labels are rows (of x) and columns (of y) of it.
/// Throws InvalidArgument for wrong lengths, labels outside the table, entries or points that are
/// not finite, lambda_x <= 0 and lambda_y not finite.
template <class T>
LabelledClouds<T> with_labels(MatrixView<const T> x, VectorView<const std::int64_t> labels_x,
                              MatrixView<const T> y, VectorView<const std::int64_t> labels_y,
                              MatrixView<const double> table, double lambda_x, double lambda_y,
                              Exec& exec);
}  // namespace monge
