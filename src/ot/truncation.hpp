// Certified truncation: which blocks of pairs a pair of potentials lets sweeps leave out, and a
// bound on what the plan carries there (spec: the mass that both marginals lose).
#pragma once
#include <cstdint>
#include <string>

#include "kernels/bounds.hpp"
#include "kernels/pairs.hpp"
#include "monge/ot/plan.hpp"  // Side
#include "ot/tree.hpp"

namespace monge {
/// The trees of both clouds of a problem, which outlives them. Throws NotAvailable, which says why,
/// for other costs than |x - y|^2 and its half and for more than 3 dimensions.
template <class T>
struct Forest {
  Forest(const Problem<T>& problem, Exec& exec, bool ordered = false);  // see Tree

  double scale;  // of |x - y|^2
  Tree<T> source, target;
  double mass_a, mass_b;  // of the weights

  const Tree<T>& of(Side side) const { return side == Side::source ? source : target; }
};
/// What keeps a problem from having them; empty: nothing.
template <class T>
std::string no_forest(const Problem<T>& problem);

/// Column blocks of the rows of one side, where the data are.
struct Lists {
  Buffer<std::int64_t> offsets;
  Buffer<std::int32_t> blocks;
  int width = kernels::kRowBlock;

  kernels::BlockList view() const { return {offsets.data(), blocks.data(), width}; }
};

/// A mask over pairs of blocks, with what it was chosen by.
template <class T>
class Mask {
 public:
  /// f and g in the order of the points, on exec.device. What is left out may carry at most
  /// `budget` in all, counted once for either marginal.
  Mask(const Forest<T>& forest, const T* f, const T* g, double eps, double budget, Exec& exec);
  /// With row and column budgets of each block, see kernels::ChooseArgs.
  Mask(const Forest<T>& forest, const T* f, const T* g, double eps, double row_budget,
       double col_budget, Exec& exec);

  /// What row blocks of `rows` sweep, in the order of the trees.
  const kernels::BlockList& list(Side rows) const {
    return rows == Side::source ? source_list_ : target_list_;
  }
  /// The same for row blocks `times` as many: those of points of which `times` are one of these.
  Lists repeated(Side rows, std::int64_t times, std::int64_t row_blocks, Exec& exec) const;
  double eps() const { return eps_; }
  /// Of all pairs.
  double kept() const { return kept_; }
  /// A bound on sum_i a_i W_i + sum_j b_j V_j, the mass that the marginals of (f, g) lose to the
  /// mask; by how far potentials rose over those that it was chosen by.
  double lost(const T* f, const T* g, Exec& exec) const;
  /// The same of the potentials that it was chosen by.
  double lost() const { return lost_; }
  /// W of each row block, V of each column block, on the host.
  const Buffer<double>& losses(Side side) const {
    return side == Side::source ? source_loss_ : target_loss_;
  }

 private:
  double eps_, kept_ = 0, lost_ = 0;
  Lists source_, target_;
  kernels::BlockList source_list_, target_list_;
  Buffer<double> source_loss_, target_loss_;
  Buffer<T> f_, g_;
};
}  // namespace monge
