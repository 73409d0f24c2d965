// What a solve really applies: the geometry, prepared once (centred, normalised, packed in
// panels), answering the verbs for either side: streamed over all pairs or over those that a
// certified mask keeps, axis by axis, or softmin from an absorbed kernel. Loops and derivatives
// never know which.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "kernels/apply.hpp"
#include "kernels/draw.hpp"
#include "kernels/entries.hpp"
#include "kernels/hard.hpp"
#include "kernels/moments.hpp"
#include "kernels/pairs.hpp"
#include "kernels/pull.hpp"
#include "kernels/softmin.hpp"
#include "kernels/tangent.hpp"
#include "kernels/top_k.hpp"
#include "monge/ot/plan.hpp"  // Side
#include "monge/ot/precision.hpp"
#include "ot/inspection.hpp"
#include "ot/lattice.hpp"
#include "ot/packing.hpp"
#include "ot/truncation.hpp"

namespace monge {
constexpr kernels::Precision swept_in(Precision precision) {
  if (precision == Precision::fast) return kernels::Precision::fast;
  return precision == Precision::mixed ? kernels::Precision::mixed : kernels::Precision::accurate;
}

/// What rounding lets a solve reach, as L1 marginal errors (docs/numerics.md).
struct Reach {
  double floor;   // below which rounding keeps it from going
  double hidden;  // that it cannot see, as it measures by the sweeps that it solves with
  /// What an error that was measured may be.
  double shown(double error) const { return std::max(error, hidden); }
  double predicted() const { return std::max(floor, hidden); }
  /// An error that stands still below it has met its floor.
  double flat_below() const { return std::max(4 * floor, hidden); }
  bool meets(double error, double tolerance) const { return shown(error) <= tolerance; }
};

template <class T>
class Operator {
 public:
  /// Packs both sides, where they are: O((n + m) d). Statistics (common mean, cost bounds) are
  /// those of the problem, over points of positive weight. `precision` is that of softmin; throws
  /// NotAvailable, which says why, where fast does not exist. For calls on exec.stream.
  Operator(const Problem<T>& problem, kernels::Precision precision, Exec& exec);
  /// Waits: every stream may use it.
  explicit Operator(const Problem<T>& problem,
                    kernels::Precision precision = kernels::Precision::accurate);
  /// The same operator with the points of `side` replaced by z [k, d], all of which count; shares
  /// the other side, the centre and the normalisation. Throws NotAvailable on a CostMatrix and on a
  /// lattice with a periodic axis, InvalidArgument for another dimension, non-finite or overflowing
  /// points.
  Operator with_points(Side side, MatrixView<const T> z, Exec& exec) const;

  std::int64_t size(Side side) const { return side == Side::source ? n_ : m_; }
  int dim() const { return dim_; }  // 0 on a CostMatrix
  bool has_points() const { return dim_ > 0; }
  double min_cost() const { return min_cost_; }  // bounds over allowed pairs of positive weight:
  double max_cost() const { return max_cost_; }  // exact for a matrix, from boxes for points
  /// The largest cost a feasible plan is sure to use at most (row and column minima): where
  /// annealing starts and what the precision floor is predicted from.
  double needed_cost() const { return needed_cost_; }
  double range() const { return std::min(max_cost_, needed_cost_) - min_cost_; }
  /// Of a solve whose sweeps read a kernel (`absorbed`), or compute scores.
  Reach reach(double eps, bool absorbed) const;
  Reach reach_in_float(double eps, bool absorbed) const;
  /// The precision of softmin from now on; fast only where the operator was made so.
  void sweep_in(kernels::Precision precision) { precision_ = precision; }
  /// Estimate of the relative error of transport weights by one softmin at precision fast; else 0.
  double weight_error(double eps) const;

  /// Keeps exp((f_i + g_j - C_ij) / eps) of a pair for the softmins at eps to come, where its bytes
  /// fit the budget and `passes` of them are predicted to repay it; false where it is not worth a
  /// try. f = softmin(g) is that of side `rows`; null: of g = 0, at its least. What was kept goes.
  /// `may_round`: in float where double does not fit; its sums have float's rounding then. In
  /// float: with the rounding of scores that streamed sweeps have, where that is faster
  /// (is_narrow()).
  bool absorb(Side rows, const double* f, const double* g, double eps, double passes,
              std::int64_t budget, Exec& exec, bool may_round = false);
  /// Whether absorb() would be worth a try.
  bool repays(double passes, std::int64_t budget, bool may_round, Exec& exec) const {
    return chosen(passes, budget, may_round, exec).has_value();
  }
  /// Whether absorb() has room for a kernel in T, scaled_kernel() for one of `rows`.
  bool may_absorb(std::int64_t budget, Side rows = Side::source) const {
    return !lattice_ && !planted() &&
           kernel_values(rows) <= budget / static_cast<std::int64_t>(sizeof(T));
  }
  /// exp((f_i + g_j - C_ij) / eps) of `rows` for kernels::normal(), where it fits the budget and is
  /// predicted to repay itself in so many products; else empty, as on a GPU and where sweeps are
  /// not over all pairs. Either side padded with -inf.
  Buffer<T> scaled_kernel(Side rows, const Buffer<double>& f, const Buffer<double>& g, double eps,
                          int products, std::int64_t budget, Exec& exec) const;
  bool is_rough() const { return kernel_ && kernel_->rough.size() > 0; }
  bool is_narrow() const { return kernel_ && kernel_->narrow; }
  void forget() { kernel_ = nullptr; }
  /// Whether the sweeps since absorb() found K of use: none on a GPU redid many rows. May wait.
  bool kernel_serves(Exec& exec) const;

  /// Orders both clouds as the trees of the same problem are, so that sweeps may be truncated;
  /// arguments and results of the verbs stay in the order of the points.
  void plant(std::shared_ptr<const Forest<T>> forest, Exec& exec);
  bool planted() const { return forest_ != nullptr; }
  /// What sweeps may lose to a mask, as Mask::lost: with the one that was there, and from now on.
  struct Losses {
    double before, now;
  };
  /// Has the sweeps of a planted operator at eps leave out what the pair (f, g) of source and
  /// target allows: by the mask that is there while it loses at most `budget`, else by a new one.
  Losses truncate(const double* f, const double* g, double eps, double budget, Exec& exec);
  /// Of all pairs, those that are swept.
  double kept() const { return mask_ ? mask_->kept() : 1; }

  // Every verb: outputs live on side `rows`; h belongs to the other side, padded with -inf to
  // kernels::padded; shift belongs to `rows`. See the kernel contracts.
  // A lattice has no pairs, and answers new points as the cloud of its points, streamed.
  /// Returns whether it read an absorbed kernel. `step`, where not null, is the half-step of the
  /// rows that follows.
  bool softmin(Side rows, const double* h, const double* shift, double* out, double eps, Exec& exec,
               const kernels::HalfStepArgs<T>* step = nullptr) const;
  void apply(Side rows, const T* h, const T* shift, kernels::Weighting weighting,
             MatrixView<const T> v, T* out, double eps, Exec& exec) const;  // v empty: ones
  /// In the caller's coordinates; mass and cost where not null. NotAvailable on a CostMatrix.
  void pull(Side rows, const T* h, const T* shift, T* out, double eps, Exec& exec,
            T* mass = nullptr, T* cost = nullptr) const;
  /// The arguments but for the pairs, in coordinates of the sweeps: directions of unit vectors for
  /// a cosine (chain()). Of a lattice as its sweep.
  void tangent(Side rows, kernels::TangentArgs<T> args, Exec& exec) const;
  /// Of a cost of directions, from derivatives in unit vectors to those in points; else null.
  std::optional<kernels::UnitLengthChainArgs<T>> chain(Side side) const;
  void moments(Side rows, const T* h, const T* shift, MatrixView<const T> values, const T* center,
               T* mass, T* first, T* second, double eps, Exec& exec) const;
  /// Whether images() and dense() answer: those of a lattice that is swept axis by axis.
  bool has_images() const { return lattice_ != nullptr; }
  /// See LatticeSweep; images_at: lattice_images, of points that are checked as in with_points.
  void images(Side rows, const T* h, T* mean, double* s, T* first, T* second, double eps,
              Exec& exec) const {
    lattice_->sweep.images(rows, h, mean, s, first, second, eps, exec);
  }
  void images_at(Side side, MatrixView<const T> z, const T* h, T* mean, double* s, double eps,
                 Exec& exec) const;
  /// Whether new points go by images_at() alone: round an axis of a lattice.
  bool is_periodic() const;
  void dense(const T* h, const T* shift, VectorView<const T> weight, T* out, double eps,
             Exec& exec) const {
    lattice_->sweep.dense(h, shift, weight, out, eps, exec);
  }
  void draw(Side rows, const T* h, const T* shift, const std::vector<std::int64_t>& requested_rows,
            const std::vector<std::int64_t>& counts, std::uint64_t seed, std::int64_t* out,
            double eps, Exec& exec) const;
  void top_k(Side rows, const T* h, const T* shift, int k, std::int64_t* columns, T* weights,
             double* softmin, double eps, Exec& exec) const;
  void select(Side rows, const T* h, const T* shift, const T* threshold, std::int64_t* counts,
              const std::int64_t* offsets, std::int64_t* columns, T* weights, double eps,
              Exec& exec) const;
  void hard(Side rows, const T* h, T* out, std::int64_t* columns, Exec& exec) const;
  kernels::Pairs<T> pairs(Side rows, Exec& exec) const;

 private:
  Operator() = default;
  struct Choice {
    bool rough, narrow;
  };
  std::optional<Choice> chosen(double passes, std::int64_t budget, bool may_round,
                               Exec& exec) const;
  std::int64_t kernel_values(Side rows) const {
    return size(rows) * kernels::padded(size(other(rows)));
  }
  /// Of `rows`, both padded; false where it is of no use.
  template <class K>
  bool form(Side rows, const double* f, const double* g, double eps, bool narrow, K* entries,
            Exec& exec) const;
  void pack_cloud(const PointCloud<T>& cloud, const Inspection& seen, Exec& exec);
  void prepare_lattice(const Lattice<T>& lattice, const Inspection& seen, Exec& exec);
  /// The box of z, which with_points() documents; `all` is that of all points but these.
  Box checked(MatrixView<const T> z, Box all, Exec& exec) const;
  /// Of points or a matrix; panels may be late, see PackedPoints.
  kernels::Pairs<T> swept(Side rows) const;
  /// The points of the lattice one by one: made by the first call, which waits for them.
  const Operator& cloud() const;
  void bound_costs();
  void measure_products(Exec& exec);
  /// Where the points of a side stand; null: in their own order.
  const std::int32_t* order(Side side) const {
    return side == Side::source ? source_order_ : target_order_;
  }
  struct Kernel {
    double eps;
    bool narrow;
    Buffer<double> f, g;          // of source and target, as kernels::Absorbed has them
    Buffer<T> entries;            // [n, padded(m)], or
    Buffer<float> rough;          // the same
    Buffer<std::int64_t> redone;  // [1] rows that a GPU redid without it
  };
  struct Gridded {
    Lattice<T> lattice;
    Inspection seen;
    LatticeSweep<T> sweep;
    std::once_flag asked;
    std::unique_ptr<const Operator> cloud;
  };
  CostForm form_;
  int dim_ = 0;
  Packing how_;
  std::shared_ptr<const Buffer<double>> center_;  // subtracted while packing; null: nothing is
  Box box_a_, box_b_;                             // of the points of positive weight
  Box extent_;                                    // of every point of both sides
  std::shared_ptr<const PackedPoints<T>> source_, target_;
  MatrixView<const T> given_source_, given_target_;  // the caller's points
  std::shared_ptr<const LatticePoints<T>>
      made_;  // what they are where a lattice is swept as a cloud
  MatrixView<const T> matrix_;
  std::int64_t n_ = 0, m_ = 0;
  bool exponents_ = false;  // norms are there for softmin alone, where exponents are small enough
  kernels::Precision precision_ = kernels::Precision::accurate;
  double largest_product_ = 0;  // of fast: max |x|^2, as products 2 x.y count; half of it for x.y
  double radius2_ = 0;          // of all points about the centre, squared, in units of the scale
  double min_cost_ = 0, max_cost_ = 0, needed_cost_ = 0;
  std::shared_ptr<Kernel> kernel_;  // null: streamed
  std::shared_ptr<const Forest<T>> forest_;
  const std::int32_t *source_order_ = nullptr, *target_order_ = nullptr;
  std::shared_ptr<const Mask<T>> mask_;  // null: all pairs
  std::shared_ptr<Gridded> lattice_;     // null: not swept axis by axis
};
}  // namespace monge
