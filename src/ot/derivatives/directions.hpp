// A tangent as sweeps read it, and the moves of both potentials along it.
//
// With t' = -dc + eps (alpha_col) - u deps, alpha = da / a, u = (f + g - c) / eps, the equations
// are
//   D1 df + P dg = p,  p = -sum_j P t' + eps r f c,   c = drho / rho^2   (and the same of columns).
// One side, `first`, is eliminated: df = tau (mean p - w dg / ratio) + what a bound moves by
// itself. Sums of differences t' + mean are formed as such, so that nothing large cancels.
#pragma once
#include <vector>

#include "ot/derivatives/linear.hpp"

namespace monge {
template <class T>
struct Directions {
  struct OfSide {
    Buffer<T> points;           // [n, count, d] in the coordinates of sweeps; empty: none
    Buffer<T> raw;              // the same as given, where those are unit vectors
    Buffer<double> alpha;       // [n, count] da / a; empty: none
    Buffer<double> bound;       // [n, count] of a TV side at its bounds; empty: none
    Buffer<double> c;           // [count] drho / rho^2 of a KL side; empty: none
    Buffer<double> held;        // see kernels::HeldMoveArgs; empty: none
    Buffer<double> guess;       // [n, count] of the potential's own move; empty: none
    std::vector<double> moved;  // [count] sum da
  };
  std::int64_t count;
  OfSide source, target;
  std::vector<double> depsilon;  // [count] or empty
  Buffer<double> deps;           // the same on the device

  /// Throws as hvp() documents.
  Directions(const Linear<T>& linear, const Tangent<T>& tangent, Exec& exec);
  const OfSide& side(Side of) const { return of == Side::source ? source : target; }
  /// Whether the costs of `rows` change, on average, by their own points alone.
  bool own_only(Side rows) const {
    const OfSide& opposite = side(other(rows));
    return opposite.points.size() + opposite.alpha.size() + opposite.bound.size() + deps.size() ==
           0;
  }
};

/// The points of the other side of `rows` relative to their mean, [m, d], 0 at weight 0, and the
/// averages of these that the rows have, [n, d]. On a lattice that is swept axis by axis the points
/// are relative to the row's own, the shorter way round: no array of values, see LatticeSweep.
template <class T>
struct CentredImages {
  Buffer<T> values, images;
};
template <class T>
CentredImages<T> centred_images(const Linear<T>& linear, Side rows, Exec& exec);

/// One sweep of t' / scale, and what is added to it.
template <class T>
struct TangentSweep {
  Side rows;
  double scale = 1;
  const Buffer<double>*row = nullptr, *col = nullptr;  // [n, count], [m, count]; null: 0
  const Buffer<double>* col_too = nullptr;
  bool gradient = false;  // with second derivatives, about the centers
  bool costs = false;
  const CentredImages<T>* images = nullptr;  // for means; null: none
};
template <class T>
struct TangentSums {
  Buffer<T> sum, gradient;  // [n, count], [n, count, d]
  Buffer<T> costs, mean;    // [n, count], [n, count, width]
};
template <class T>
TangentSums<T> sweep(const Linear<T>& linear, const Directions<T>& along,
                     const TangentSweep<T>& what, Exec& exec);

/// Both potentials along a tangent.
template <class T>
struct Moves {
  Side first;                     // the side that was eliminated
  Buffer<double> df, dg;          // [n, count], [m, count]
  Buffer<double> flow_a, flow_b;  // see kernels::FlowArgs; b's where it was asked for
  TangentSums<T> rows;            // of `first`: gradient where it was asked for
  TangentSums<T> cols;            // of the other, likewise
  Buffer<double>& move(Side of) { return of == Side::source ? df : dg; }
  Buffer<double>& flow(Side of) { return of == Side::source ? flow_a : flow_b; }
};
/// `points`: sides whose gradients are wanted; `flows`: those whose flows are.
struct WantedSums {
  bool source_points = false, target_points = false, source_flow = false, target_flow = false;
  bool points(Side of) const { return of == Side::source ? source_points : target_points; }
  bool flow(Side of) const { return of == Side::source ? source_flow : target_flow; }
};
template <class T>
Moves<T> solve_moves(const Linear<T>& linear, const Directions<T>& along, const WantedSums& wanted,
                     const SolveOptions& options, DerivativeReport& report, Exec& exec);

/// The same of points of `rows` that move while the other side's potentials stand still.
template <class T>
Moves<T> still_moves(const Linear<T>& linear, const Directions<T>& along, Side rows, Exec& exec);

/// The report of a plan, before a solve.
template <class T>
DerivativeReport begin_report(const Linear<T>& linear);
/// The worst of both, and the sums of their work.
void merge(DerivativeReport& all, const DerivativeReport& one);
/// Its estimate, and what `strict` refuses.
void finish_report(const SolveOptions& options, DerivativeReport& report);
/// A [n, count] array as results have it, [count, n].
template <class T>
Buffer<T> turned(const Buffer<double>& from, std::int64_t count, Exec& exec);
}  // namespace monge
