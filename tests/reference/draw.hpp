#pragma once
#include <vector>

#include "kernels/draw.hpp"
#include "monge/core/random.hpp"
#include "reference/weights.hpp"

namespace monge::reference {
/// The columns of row i where draw number t may fall, and how far the cumulative sums may be off.
template <class T>
class DrawRow {
 public:
  DrawRow(const kernels::DrawArgs<T>& a, std::int64_t i) : seed_(a.seed), row_(i) {
    Bounded sum;
    for (std::int64_t j = 0; j < a.pairs.m; ++j) {
      const Pair ij = pair(a, i, j);
      sum.add(ij.weight, ij.weight_error);
      cumulative_.push_back(sum.value);
    }
    tolerance_ = 2 * sum_tolerance<T>(sum, a.pairs.m);
  }
  Real total() const { return cumulative_.empty() ? 0 : cumulative_.back(); }
  Real probability(std::int64_t j) const {
    return (cumulative_[j] - (j > 0 ? cumulative_[j - 1] : 0)) / total();
  }
  /// Whether column j is the inversion of draw t, up to rounding of the sums.
  bool allows(std::int64_t j, std::int64_t t) const {
    if (total() == 0) return j == -1;
    if (j < 0 || j >= static_cast<std::int64_t>(cumulative_.size()) || probability(j) == 0)
      return false;
    const Real at = philox_uniform(seed_, row_, t) * total();
    return at <= cumulative_[j] + tolerance_ && at >= (j > 0 ? cumulative_[j - 1] : 0) - tolerance_;
  }

 private:
  std::uint64_t seed_;
  std::int64_t row_;
  std::vector<Real> cumulative_;
  Real tolerance_ = 0;
};
}  // namespace monge::reference
