// The slow modes of a spread-out plan are smooth. Conjugate gradients that leave functions affine
// on the cells of a tree to a small direct solve (Saad, Yeung, Erhel and Guyomarc'h 2000) see none
// of them: with A the scaled Schur complement and Z [unknown, K] those functions in its variable,
//   x = Z (Z^T A Z)^-1 Z^T r  to begin with,  directions p - Z (Z^T A Z)^-1 (A Z)^T p.
#pragma once
#include <cstdint>

#include "ot/derivatives/block_cg.hpp"
#include "ot/small_matrix.hpp"

namespace monge {
struct Deflation {
  std::int64_t columns = 0;
  Buffer<double> z, az;  // [unknown, columns], z orthonormal but for columns of 0
  SmallMatrix inverse;   // of Z^T A Z, beside what A does not see
  double gap = 0;        // its least eigenvalue there: A's own is at most that

  /// From any basis. `rounding`: of products, relative.
  Deflation(Buffer<double> z, std::int64_t columns, const BlockProduct& product,
            const BlockProjection& project, double rounding, Exec& exec);

  /// x and r = right - A x, of which Z^T r then is 0.
  void start(Buffer<double>& x, Buffer<double>& r, std::int64_t count, Exec& exec) const;
  void turn(Buffer<double>& directions, std::int64_t count, Exec& exec) const;
};
}  // namespace monge
