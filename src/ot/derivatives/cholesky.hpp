// Factors S = U^T U of a symmetric positive semidefinite matrix on the host, whose diagonal is
// about 1, and what is solved by them. Row-major; the upper half alone is read and written.
#pragma once
#include <cstdint>
#include <vector>

#include "monge/core/exec.hpp"

namespace monge {
/// In place; false, and the matrix is spoilt, where a pivot is below `least`.
bool cholesky(std::vector<double>& s, std::int64_t n, double least, Exec& exec);

/// z [n, cols] = U^-T z.
void solve_transposed(const std::vector<double>& u, std::int64_t n, std::vector<double>& z,
                      std::int64_t cols, Exec& exec);

/// Rows that S is regular on: those that pivoting keeps while the largest pivot is above `least`.
std::vector<std::int64_t> independent_rows(std::vector<double> s, std::int64_t n, double least);
}  // namespace monge
