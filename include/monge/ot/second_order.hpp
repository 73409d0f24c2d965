// Steps of optimisers from Hessian products: Newton directions in points, by conjugate gradients on
// products, within a trust region where one is given (Steihaug 1983), and Hessians of few
// parameters.
#pragma once
#include <cstdint>
#include <limits>
#include <vector>

#include "monge/ot/derivatives.hpp"

namespace monge {
struct InverseOptions {
  double tolerance = 1e-6;  ///< of the residual over the right-hand side
  int max_iterations = 100;
  /// Of |z|_2: where an iterate would leave it, or curvature is not positive, z is the point of the
  /// boundary along the current direction. Infinite: the iterate before such a direction.
  double radius = std::numeric_limits<double>::infinity();
  SolveOptions inner = {};  ///< of each product
};

struct InverseReport {
  bool converged = true;
  int iterations = 0;
  int passes = 0;  ///< over all pairs, of all products
  double residual = 0;
  /// Ratio of the extreme Ritz values: the condition number of H that the right-hand side saw.
  double condition = 1;
  bool negative_curvature = false, boundary = false;  ///< what it ended on
};

template <class T>
struct InverseResult {
  Buffer<T> z;  ///< [n, d]
  InverseReport report;
};

/// z with H z = right, H the Hessian of the value in the points of one side. H need not be
/// positive: with an infinite radius z is the last iterate before a direction of curvature <= 0,
/// `right` itself at the first, so that for a gradient -z still descends. Throws as hvp().
template <class T>
InverseResult<T> inverse_hvp(const Linearization<T>& at, Side side, MatrixView<const T> right,
                             const InverseOptions& options, Exec& exec);

/// J^T H J of k parameters, [k, k] row-major on the host, from J as k directions [k n, d] of the
/// points of one side; all at once.
template <class T>
std::vector<double> parameter_hessian(const Linearization<T>& at, Side side,
                                      MatrixView<const T> directions, const SolveOptions& options,
                                      Exec& exec);

/// -|H|^-1 g with the eigenvalues of H [k, k] replaced by max(|lambda|, floor): a direction of
/// descent. Throws InvalidArgument for sizes that disagree and a floor that is not positive.
std::vector<double> newton_direction(const std::vector<double>& hessian,
                                     const std::vector<double>& gradient, double floor = 1e-3);
}  // namespace monge
