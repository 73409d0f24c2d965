// Lower bounds P >= L on some pairs: the plan is then P_ij = max(L_ij, P0_ij), P0 that of the
// potentials, a_i b_j exp((f_i + g_j - C_ij) / epsilon). Draws, covariances, and maps and
// potentials at new points are NotAvailable of such a plan.
#pragma once
#include <cstdint>

#include "monge/core/view.hpp"

namespace monge {
/// Entries of L, in any order, each pair once; zeros bound nothing. Host memory, read once.
struct LowerBounds {
  VectorView<const std::int64_t> rows, columns;  ///< [k]
  VectorView<const double> values;               ///< [k] >= 0
};
}  // namespace monge
