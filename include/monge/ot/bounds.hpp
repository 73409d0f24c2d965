// Lower bounds P >= L on some pairs: the plan is then P_ij = max(L_ij, P0_ij), P0 that of the
// potentials, a_i b_j exp((f_i + g_j - C_ij) / epsilon). Draws, covariances, and maps and
// potentials at new points are NotAvailable of such a plan.
#pragma once
#include <cstdint>

#include "monge/core/buffer.hpp"
#include "monge/core/view.hpp"

namespace monge {
/// Entries of L, in any order, each pair once; zeros bound nothing. Host memory, read once.
struct LowerBounds {
  VectorView<const std::int64_t> rows, columns;  ///< [k]
  VectorView<const double> values;               ///< [k] >= 0
};

/// The same, owned.
struct HeldBounds {
  Buffer<std::int64_t> rows, columns;
  Buffer<double> values;
  LowerBounds view() const { return {rows.view(), columns.view(), values.view()}; }
};
template <class T>
class Problem;
/// Those of a problem, by row and column; empty where it has none.
template <class T>
HeldBounds lower_bounds(const Problem<T>& problem);
}  // namespace monge
