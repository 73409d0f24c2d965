// A plan linearised: what every derivative needs of each side.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>

#include "monge/ot/derivatives.hpp"
#include "ot/derivatives/deflation.hpp"
#include "ot/derivatives/held.hpp"
#include "ot/operator.hpp"
#include "ot/penalty.hpp"

namespace monge {
template <class T>
class SparseSchur;

template <class T>
struct LinearSide {
  VectorView<const T> weight;
  kernels::Penalty penalty;
  double mass;  // sum of the weights
  Buffer<T> potential;
  Buffer<T> bias;    // h of sweeps whose columns this is
  Buffer<T> cost;    // [n] sum_j w_ij c_ij
  Buffer<T> center;  // [n, d] mean of dc/dx over the row's plan, in the sweeps' coordinates
  Buffer<double> ratio, tau, response, curvature;  // see kernels::LinearSideArgs
  // Of the whole plan where bounds hold some of it, of which ratio and center are what moves.
  Buffer<double> whole;    // [n], empty: ratio
  Buffer<T> whole_center;  // [n, d], likewise
  double zeros = 0;        // points of weight 0
  double clipped = 0;      // rows of tau 0
  double paired = 0;       // sum a f

  bool held() const { return whole.size() > 0; }
  const double* whole_ratio() const { return (held() ? whole : ratio).data(); }
  const T* whole_slope() const { return (held() ? whole_center : center).data(); }
};

template <class T>
struct Linear {
  std::shared_ptr<const Operator<T>> op;
  Geometry<T> geometry;  // views
  Device device;
  double eps;
  LinearSide<T> source, target;
  int dim;          // of points that may move; 0 on a cost matrix and a lattice
  bool singular;    // no point moves its marginal: K (1, -1) = 0
  bool fixed_mass;  // both potentials are min(softmin, level), see level.hpp
  std::unique_ptr<const HeldEntries<T>> held;  // null: no bound holds any
  double marginal_error, tv_margin;
  std::int64_t kernel_cache;  // bytes of a kernel of either side

  const LinearSide<T>& side(Side of) const { return of == Side::source ? source : target; }
  /// out [rows, k] = P V over the weights of the rows, of what moves of P or of the `whole`.
  void apply(Side rows, kernels::Weighting weighting, const T* v, std::int64_t k, T* out,
             Exec& exec, bool whole = false) const {
    op->apply(rows, side(other(rows)).bias.data(), side(rows).potential.data(), weighting,
              {v, op->size(other(rows)), k, k, 1, exec.device}, out, eps, exec);
    if (held) held->apply(rows, weighting, whole, v, k, out, exec);
  }
  /// A sweep of `rows` with what is asked for in `args`.
  void tangent(Side rows, kernels::TangentArgs<T> args, Exec& exec) const {
    args.h = side(other(rows)).bias.data();
    args.shift = side(rows).potential.data();
    args.eps = eps;
    op->tangent(rows, args, exec);
    if (held) held->tangent(rows, args, exec);
  }
  /// The diagonal of the Schur complement on `unknown`; one pass, once.
  const Buffer<double>& diagonal(Side unknown, Exec& exec) const;
  /// M = D1^-1/2 P diagonal^-1/2 [rows, padded(unknown)], so that the scaled Schur complement is
  /// D2 / diagonal - M^T M; formed once. Empty: products stream.
  const Buffer<T>& kernel(Side unknown, Exec& exec) const;
  /// That of the scaled Schur complement on `unknown`, made by make() once; null where the geometry
  /// has no few smooth functions.
  template <class Make>
  const Deflation* deflation(Side unknown, const Make& make) const {
    auto& kept = deflations_[unknown == Side::source ? 0 : 1];
    std::call_once(kept.asked, [&] { kept.value = make(); });
    return kept.value.get();
  }
  /// Likewise its few largest entries.
  template <class Make>
  const SparseSchur<T>* sparse(Side unknown, const Make& make) const {
    auto& kept = sparse_[unknown == Side::source ? 0 : 1];
    std::call_once(kept.asked, [&] { kept.value = make(); });
    return kept.value.get();
  }
  /// Throws InvalidArgument where points coincide and the cost has no second derivative there; a
  /// pass for such costs, once.
  void check_curvature(Exec& exec) const;

 private:
  struct Diagonal {
    std::once_flag asked;
    Buffer<double> value;
  };
  struct Deflations {
    std::once_flag asked;
    std::unique_ptr<const Deflation> value;
  };
  mutable Diagonal diagonals_[2];
  struct Kernel {
    std::once_flag asked;
    Buffer<T> value;
  };
  mutable Kernel kernels_[2];
  struct Sparse {
    std::once_flag asked;
    std::shared_ptr<const SparseSchur<T>> value;
  };
  mutable Deflations deflations_[2];
  mutable Sparse sparse_[2];
  mutable std::once_flag checked_;
  mutable std::int64_t coincident_ = -1;
};
/// Throws NotAvailable where there are none to differentiate in.
template <class T>
void check_moving_points(const Linear<T>& linear) {
  if (linear.dim == 0)
    throw NotAvailable(linear.op->dim() == 0
                           ? "[derivatives] a cost matrix has no points to differentiate in"
                           : "[derivatives] the points of a lattice stand still: give them as a "
                             "PointCloud to differentiate in them");
}
}  // namespace monge
