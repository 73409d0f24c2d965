// Conjugate gradients for several right-hand sides at once (O'Leary 1980; breakdown-free as Ji and
// Li 2017): directions are shared, dependent ones dropped. Arrays are [n, columns] row-major.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"

namespace monge {
/// Below, residuals are rounding of products in T.
template <class T>
constexpr double residual_floor() {
  return sizeof(T) == 4 ? 5e-7 : 1e-14;
}

struct BlockOptions {
  double tolerance;  // of each column's residual over its right-hand side
  int max_iterations;
  int patience = 0;  // ends where more iterations than that seem left; 0: goes on
};
struct BlockReport {
  int iterations = 0;
  double residual = 0;  // relative, the largest of the columns
  double gap = 0;       // least eigenvalue, from one column's Lanczos coefficients; 0: several
  bool converged = true;
};

/// out = A v of `columns` columns, for a symmetric positive semidefinite A.
using BlockProduct =
    std::function<void(const Buffer<double>& v, std::int64_t columns, Buffer<double>& out)>;
/// Takes out of v what A does not see.
using BlockProjection = std::function<void(Buffer<double>& v, std::int64_t columns)>;

/// x += A^-1 r, where r becomes the residual as it is updated. `turn`: makes directions conjugate
/// to what r has nothing of any more; `precondition`: out is about A^-1 v, and may be another map
/// each time; empty: there is none. `size`: norms [columns] on the host that residuals are relative
/// to.
BlockReport block_cg(const BlockProduct& product, const BlockProjection& project,
                     const BlockProjection& turn, const BlockProduct& precondition,
                     const std::vector<double>& size, Buffer<double>& x, Buffer<double>& r,
                     const BlockOptions& options, Exec& exec);

/// x^T y of arrays with k and l columns, [k, l] row-major on the host.
std::vector<double> gram(const Buffer<double>& x, std::int64_t k, const Buffer<double>& y,
                         std::int64_t l, Exec& exec);
}  // namespace monge
