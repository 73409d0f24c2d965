// Derivatives of entropic transport in closed form: no tape. First derivatives of the value by the
// envelope theorem at the returned pair; second ones, and those of potentials, marginals and maps,
// by one solve with
//   K = [[D1, P], [P^T, D2]],  D1 = P 1 / tau_a,  D2 = P^T 1 / tau_b,
// where tau is 1 at points whose marginal is held, rho / (rho + epsilon) of a KL side, 0 where a TV
// side is at its bound. Formulas: docs/formulas.md, "Derivatives".
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "monge/ot/plan.hpp"

namespace monge {
/// What is differentiated in; a set by |.
enum class Wrt : unsigned {
  source = 1,          ///< points x
  target = 2,          ///< points y
  source_weights = 4,  ///< a
  target_weights = 8,  ///< b
  epsilon = 16,
  penalty = 32,  ///< rho or lambda of either side
  cost = 64      ///< the entries of a CostMatrix
};
constexpr Wrt operator|(Wrt a, Wrt b) {
  return static_cast<Wrt>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool has(Wrt set, Wrt what) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(what)) != 0;
}

template <class T>
struct Gradient {
  Buffer<T> dx, dy;  ///< [n, d], [m, d]; empty on a CostMatrix, whose derivative in C is the plan
  Buffer<T> da, db;  ///< [n], [m]; with two Balanced sides defined up to (c, -c)
  double depsilon = 0;            ///< KL(P | a b^T)
  double drho_a = 0, drho_b = 0;  ///< KL(p | a) of a KL side, |p - a|_1 of a TV side, else 0
  Buffer<T> dcost;                ///< [n, m], of a CostMatrix where asked for: the plan
};

/// Gradient of Plan::value in what `wrt` names, the total mass being fixed where there is one; of
/// all together two passes on tensor cores, else five. Finite at zero weights too. A TV side is
/// differentiable away from potentials that just reach its bounds. Throws NotAvailable for points
/// of a CostMatrix and for costs of anything else, whose derivative is the plan as an operator;
/// InvalidArgument for more costs than Plan::dense() makes.
template <class T>
Gradient<T> gradient(const Plan<T>& plan, Wrt wrt, Exec& exec);
/// In all but costs.
template <class T>
Gradient<T> gradient(const Plan<T>& plan, Exec& exec);

template <class T>
struct Linear;

/// A plan and its first derivatives, from which all others are solved: three passes, once.
/// Immutable and cheap to copy; calls from several threads may share one.
template <class T>
class Linearization {
 public:
  explicit Linearization(std::shared_ptr<const Linear<T>> linear) : linear_(std::move(linear)) {}

  std::int64_t n() const;
  std::int64_t m() const;
  std::int64_t dim() const;  ///< of points, 0 on a CostMatrix
  Device device() const;
  /// L1 distance of the plan's marginals from what optimality asks for, over the mass. Derivatives
  /// are wrong by one to eleven times as much, relative.
  double marginal_error() const;
  /// How far the nearest potential of a TV side is from where it meets its bound, with a total mass
  /// from its level, and the nearest entry from where its lower bound begins to hold it, in units
  /// of cost; infinite without any.
  double tv_margin() const;
  const Linear<T>& linear() const { return *linear_; }

 private:
  std::shared_ptr<const Linear<T>> linear_;
};

/// The problem must outlive it. The points of a lattice stand still: derivatives in them are
/// NotAvailable. Throws InvalidArgument where a potential of a TV side is on its kink, or an entry
/// just where its lower bound begins to hold it, or nearer to that than ten times its distance from
/// convergence; and where bounds hold all that a point has.
/// `kernel_cache`: bytes that a CPU may keep a kernel in for each side that is solved for, as
/// SinkhornOptions::kernel_cache, from the first product on; iterations then read it.
template <class T>
Linearization<T> linearize(const Plan<T>& plan, Exec& exec,
                           std::int64_t kernel_cache = kAutomaticCache);

/// Directions in all parameters at once, `count` of them; a view without data is 0.
template <class T>
struct Tangent {
  int count = 1;
  MatrixView<const T> dx = {}, dy = {};  ///< [count n, d], [count m, d]
  MatrixView<const T> da = {}, db = {};  ///< [count, n], [count, m]; 0 at points of weight 0
  /// [count], or empty; of rho or lambda, whatever the side has.
  std::vector<double> depsilon = {}, drho_a = {}, drho_b = {};
  std::vector<double> dmass = {};  ///< [count], or empty; of the total mass where there is one
  /// [count, n], [count, m]: guesses of the potentials' own moves, such as those of a direction
  /// nearby, where iterations start. They change the work, not the answer; of one side, whichever
  /// is solved for.
  MatrixView<const T> df = {}, dg = {};
};

/// What conjugate gradients are helped by, beside the exact diagonal of the Schur complement.
enum class Preconditioner : std::uint8_t {
  automatic,  ///< where the diagonal alone turns out slow, support or two_level as the plan is
  diagonal,   ///< nothing
  two_level,  ///< functions affine on the cells of a tree are solved for directly: for clouds of up
              ///< to three dimensions whose plan is spread out; made once a linearization
  support     ///< by conjugate gradients on the complement of the largest entries of each row and
              ///< column, for plans that few entries carry; these are kept with the linearization
};

struct SolveOptions {
  /// Of the residual over the right-hand side of the Schur complement, scaled by its diagonal;
  /// purely relative. In float a residual of about 5e-7 is as good as any.
  double tolerance = 1e-8;
  int max_iterations = 2000;
  /// Throws InvalidArgument where the iteration does not converge, or where the marginal error of
  /// the plan promises a larger error than the tolerance.
  bool strict = false;
  /// Throws NotAvailable for two_level where there are no such functions.
  Preconditioner preconditioner = Preconditioner::automatic;
};

struct DerivativeReport {
  bool converged = true;
  int iterations = 0;         ///< of block CG
  int passes = 0;             ///< over all pairs
  double residual = 0;        ///< relative, the worst of all directions
  double marginal_error = 0;  ///< of the plan
  double error_estimate = 0;  ///< relative, from both
  double gap = 0;             ///< least eigenvalue of the scaled Schur complement; 0: not estimated
  int deflated = 0;           ///< functions that were solved for directly
  double lost = 0;  ///< share of the plan outside the support that preconditioned; 0: none
  double diagonal_ratio = 1;  ///< least of its diagonal over that of D
  double tv_margin = std::numeric_limits<double>::infinity();
};

template <class T>
struct HvpResult {
  Buffer<T> dx, dy;  ///< [count, n, d], [count, m, d]: the gradients' derivatives along the tangent
  Buffer<T> da, db;  ///< [count, n], [count, m]
  std::vector<double> depsilon, drho_a, drho_b;  ///< [count], those asked for
  std::vector<double>
      dlevel;        ///< [count] with a total mass: of its level, half the derivative in it
  Buffer<T> df, dg;  ///< [count, n], [count, m]: of the potentials, balanced ones in their gauge
  DerivativeReport report;
};

/// The derivative of `gradient` along a tangent, in the parts that `wrt` names, but for costs; all
/// directions at once, 2 k + 2 passes for k iterations and points of one side. With
/// two Balanced sides weights move within their common mass. Throws InvalidArgument for shapes and
/// devices, NotAvailable for points of a CostMatrix and coincident points of a cost whose second
/// derivative is infinite there.
template <class T>
HvpResult<T> hvp(const Linearization<T>& at, const Tangent<T>& along, Wrt wrt,
                 const SolveOptions& options, Exec& exec);

template <class T>
struct JvpResult {
  Buffer<T> df, dg;                    ///< [count, n], [count, m]; balanced ones in their gauge
  Buffer<T> source, target;            ///< [count, n], [count, m]: of the marginals P 1 and P^T 1
  Buffer<T> map;                       ///< [count, n, d]: of the images of the source points
  std::vector<double> transport_cost;  ///< [count]: of <P, C>
  std::vector<double> dlevel;          ///< [count] with a total mass: of its level
  DerivativeReport report;
};

/// How potentials, marginals, images and transport cost move along a tangent. With the potentials
/// f + t df, g + t dg a solve at the parameters moved by t starts nearer. Throws as hvp(); `map` is
/// empty on a CostMatrix.
template <class T>
JvpResult<T> jvp(const Linearization<T>& at, const Tangent<T>& along, const SolveOptions& options,
                 Exec& exec);

/// Cotangents of what jvp() moves, `count` of them; a view without data is 0.
template <class T>
struct Cotangent {
  int count = 1;
  MatrixView<const T> f = {}, g = {};            ///< [count, n], [count, m]
  MatrixView<const T> source = {}, target = {};  ///< of the marginals, [count, n], [count, m]
  MatrixView<const T> map = {};                  ///< [count n, d]
  std::vector<double> transport_cost = {};       ///< [count], or empty
};

template <class T>
struct VjpResult {
  Buffer<T> dx, dy;                              ///< [count, n, d], [count, m, d]
  Buffer<T> da, db;                              ///< [count, n], [count, m]
  std::vector<double> depsilon, drho_a, drho_b;  ///< [count], those asked for
  std::vector<double> dmass;                     ///< [count] with a total mass
  DerivativeReport report;
};

/// The transpose of jvp(): derivatives of <cotangent, result> in the parameters that `wrt` names.
/// Throws as hvp().
template <class T>
VjpResult<T> vjp(const Linearization<T>& at, const Cotangent<T>& cotangent, Wrt wrt,
                 const SolveOptions& options, Exec& exec);

struct HessianOptions {
  /// Of entries of the result, and of those of the plan.
  std::int64_t limit = std::int64_t{1} << 26;
};
template <class T>
struct HessianResult {
  Buffer<T> value;        ///< [n, d, n, d], symmetric
  int dropped_modes = 0;  ///< of the scaled Schur complement, beyond the constants: 0 but for plans
                          ///< that fall into parts
};

/// The Hessian of the value in the points of one side, by a Cholesky factorisation of the scaled
/// Schur complement (an eigendecomposition where that breaks down). Throws InvalidArgument above
/// the limit, before allocating.
template <class T>
HessianResult<T> hessian(const Linearization<T>& at, Side side, const HessianOptions& options,
                         Exec& exec);
}  // namespace monge
