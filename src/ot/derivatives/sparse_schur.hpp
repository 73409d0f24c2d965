// At small epsilon a few entries of each row and column carry nearly all of a plan. With P_s those
// alone, D2 - P_s^T D1^-1 P_s is nearly the Schur complement, positive definite whatever is left
// out, and a product with it costs n k: conjugate gradients on it precondition those on S.
#pragma once
#include <cstdint>

#include "kernels/support.hpp"
#include "ot/derivatives/linear.hpp"

namespace monge {
template <class T>
class SparseSchur {
 public:
  static constexpr std::int64_t kEntries = 32;  // of each row and of each column

  /// Two passes.
  SparseSchur(const Linear<T>& linear, Side unknown, Exec& exec);

  /// Share of the plan that is left out.
  double lost() const { return lost_; }
  /// Bytes that it would take.
  static double bytes(const Linear<T>& linear);
  /// w [unknown, count], nearly the inverse of the complement scaled by `diagonal`, times r.
  void solve(const Buffer<double>& diagonal, const Buffer<double>& r, std::int64_t count,
             Buffer<double>& w, Exec& exec) const;

 private:
  struct Axis {
    Buffer<double> weight, scale;  // scale: of shares, to P over the weights
    Buffer<std::int64_t> offsets;
    Buffer<std::int32_t> index;
    Buffer<double> costs, shares;
    std::int64_t entries = 0;
    kernels::Sparse pairs() const {
      return {offsets.data(), index.data(), costs.data(), weight.size(), entries};
    }
    void apply(const double* v, double* out, Exec& exec) const;
  };

  const Linear<T>& linear_;
  Side unknown_;
  Axis rows_, cols_;
  double lost_ = 0;
};
}  // namespace monge
