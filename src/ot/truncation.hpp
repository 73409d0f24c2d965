// Certified truncation: which blocks of pairs a pair of potentials lets sweeps leave out, and a
// bound on what the plan carries there (spec: the mass that both marginals lose).
#pragma once
#include <cstdint>
#include <string>

#include "kernels/choose.hpp"
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
  int width = kernels::kListWidth;

  kernels::BlockList view() const { return {offsets.data(), blocks.data(), width}; }
};

/// A mask over blocks of pairs for the sweeps of either side, with what it was chosen by.
template <class T>
class Mask {
 public:
  /// f and g in the order of the points, on exec.device. What is left out may carry at most
  /// `budget` in all, counted once for either marginal.
  Mask(const Forest<T>& forest, const T* f, const T* g, double eps, double budget, Exec& exec);
  /// With budgets of each row and column, see kernels::ChooseArgs.
  Mask(const Forest<T>& forest, const T* f, const T* g, double eps, double row_budget,
       double col_budget, Exec& exec);

  /// What row blocks of `rows` sweep, in the order of the trees: in a softmin, and in other verbs,
  /// which on a GPU take whole column blocks.
  const kernels::BlockList& list(Side rows) const { return of(rows).list; }
  const kernels::BlockList& wide_list(Side rows) const { return of(rows).wide_list; }
  /// The first for row blocks `times` as many: those of points of which `times` are one of these.
  Lists repeated(Side rows, std::int64_t times, std::int64_t row_blocks, Exec& exec) const;
  double eps() const { return eps_; }
  /// Of all pairs, the mean of both sides.
  double kept() const { return kept_; }
  /// A bound on sum_i a_i W_i + sum_j b_j V_j, the mass that the marginals of (f, g) lose to the
  /// mask; by how far potentials rose over those that it was chosen by.
  double lost(const T* f, const T* g, Exec& exec) const;
  /// The same of the potentials that it was chosen by.
  double lost() const { return lost_; }
  /// W of each row block of a side.
  const Buffer<double>& losses(Side rows) const { return of(rows).loss; }

 private:
  struct Half {
    Lists lists, wide;
    kernels::BlockList list{}, wide_list{};
    Buffer<double> loss;
    Buffer<T> potential;
  };
  const Half& of(Side rows) const { return rows == Side::source ? source_ : target_; }
  void choose(const Forest<T>& forest, Side rows, const kernels::Nodes& nodes,
              const kernels::Nodes& across, double budget, const T* potential, Exec& exec);

  double eps_, kept_ = 0, lost_ = 0;
  Half source_, target_;
};
}  // namespace monge
