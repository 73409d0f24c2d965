// The solver: alternating half-steps f = prox(softmin(g)) in the log domain, with translation,
// annealing of epsilon and safeguarded acceleration. Potentials, epsilon, rho and lambda are
// in units of the cost; the plan is P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon).
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/ot/precision.hpp"
#include "monge/ot/problem.hpp"

namespace monge {
enum class Status {
  converged,        ///< the returned pair meets the tolerance at the target epsilon
  max_iterations,   ///< budget spent; the best pair checked at the target epsilon
  precision_floor,  ///< the residual stopped falling at what the type can resolve
  diverged,         ///< a non-finite number appeared; the last finite checked pair
  stopped           ///< on_check returned false; the last checked pair
};
const char* to_string(Status status);

enum class Criterion {
  residual,  ///< L1 KKT residual over the transported mass
  gap        ///< relative duality gap; not for two Balanced sides
};
enum class Annealing { automatic, off };  ///< automatic: from the range of the cost, halving
/// No step of any lowers the dual at a fixed epsilon: one that would is undone.
enum class Acceleration {
  automatic,        ///< of plain, anderson, newton and support (over_relaxation with a total mass)
                    ///< what pays
  none,             ///< plain alternating iterations
  over_relaxation,  ///< Thibault et al. 2017, arXiv 1711.01851, rate re-estimated as it runs
  anderson,  ///< mixes the last 20 iterations (8 of more than 2^18 points); not of a total mass
  newton,    ///< truncated Newton-CG on the dual, two passes a product; not of a total mass
  support    ///< Newton on the entries that carry the plan as soon as a few do, anderson before;
             ///< not of a total mass
};
/// Its name in Python and on the command line.
std::string to_string(Acceleration acceleration);
/// Throws InvalidArgument for a name that is none.
Acceleration parse_acceleration(const std::string& name);

/// Where a solve without a start begins. Closed forms know the squared cost; with KL sides, or
/// masses that differ, they are those of the clouds as distributions.
enum class Initializer {
  automatic,  ///< coarse on a lattice of 256 points a side, subsample where both sides have 1 000
              ///< points (on a GPU 2^18, in up to 4 dimensions), if annealing is automatic; else
              ///< zero
  zero,       ///< g = 0, annealed from where plain steps are fast
  gaussian,   ///< between the Gaussians of the same moments, at 1/128 of the range of the cost;
              ///< annealed from there. Janati et al. 2020, arXiv 2006.02572
  sorting,    ///< dimension 1: the potentials of the monotone plan, at the target epsilon
  subsample,  ///< the solution of a quarter of the points (on a GPU of a sixteenth), drawn by
              ///< weight with `seed`, at 0.005 of the range of the cost or, on the CPU, where they
              ///< come to have few partners; annealed from there
  coarse      ///< of a lattice: the solution between grids of half the points an axis, which starts
              ///< alike, at the epsilon that their spacing resolves; annealed from there
};
std::string to_string(Initializer initializer);
Initializer parse_initializer(const std::string& name);

/// Which pairs a sweep over points visits.
enum class Sweeps {
  automatic,  ///< tree where it is predicted to visit less than a quarter of them, on the CPU
  dense,      ///< all
  tree        ///< those of two kd-trees whose blocks may carry mass: see SinkhornCheck::truncation
};

/// "automatic", "dense", "tree".
std::string to_string(Sweeps sweeps);
/// The inverse. Throws InvalidArgument naming the known ones.
Sweeps parse_sweeps(const std::string& name);

/// One check: of a pair (f, g), at no extra pass.
struct SinkhornCheck {
  int iterations = 0;
  std::int64_t passes = 0;
  double epsilon = 0;
  double marginal_error = 0;  ///< (residual_a + residual_b) / transported_mass
  double residual_a = 0,
         residual_b = 0;  ///< L1 distance of each marginal from its optimality target
  double dual_value = 0;
  double transported_mass = 0;
  /// With the sweeps of a tree a bound on what the marginals lose to pairs that are left out, over
  /// the transported mass: certified at every check, and added to marginal_error before that is
  /// compared with the tolerance.
  double truncation = 0;
};

/// A stretch of a solve in which one method ran.
struct SinkhornPhase {
  std::string name;        ///< subsample, coarse, annealing, or a method by its name; plain
  double passes = 0;       ///< over all pairs; those of a smaller problem count by their share
  std::int64_t steps = 0;  ///< iterations, or steps of Newton
  std::string why;         ///< why it began
};

struct SinkhornReport : SinkhornCheck {
  Status status = Status::max_iterations;
  bool converged = false;
  /// Primal minus dual at the returned pair; +infinity where a Balanced marginal is not exact.
  double duality_gap = std::numeric_limits<double>::quiet_NaN();
  /// The L1 marginal error below which rounding in T may keep the solve from going
  /// (docs/numerics.md); known before the first iteration.
  double predicted_floor = 0;
  /// precision fast: the estimate 1e-3 |x|^2max / epsilon, of centred points and the squared cost,
  /// of the relative error of the plan's weights by one half-step. No residual shows it, as each is
  /// measured by the same products. 0 with any other precision.
  double weight_error = 0;
  std::int64_t fast_passes = 0;  ///< of the passes those in precision fast
  std::int64_t absorbed = 0;     ///< passes that read a kernel kept in memory, see kernel_cache
  double mass_level = 0;         ///< the level l of f = min(s, l) with a total mass; else 0
  double omega = 1;              ///< relaxation in use at the end
  std::vector<SinkhornPhase> phases;  ///< what ran, in order
  Sweeps geometry = Sweeps::dense;    ///< as it acted
  double kept = 1;                    ///< of the pairs, those that a sweep visits
  std::int64_t coarse_passes = 0;     ///< over nodes of the trees, which made the start
  /// verify: what the target's marginal loses to pairs that are left out, in L1 over the mass.
  double verified = std::numeric_limits<double>::quiet_NaN();
  std::vector<SinkhornCheck>
      trace;  ///< every check, oldest first, levels of the annealing included
};

enum class Schedule {
  plain,  ///< one precision from beginning to end
  staged  ///< precision fast until its error would show, then accurate to the end
};

inline constexpr std::int64_t kAutomaticCache = -1;

struct SinkhornOptions {
  double epsilon = 0;          ///< Required, > 0: no default suits all data.
  double tolerance = 1e-6;     ///< on marginal_error (or the relative gap), > 0
  int max_iterations = 10000;  ///< >= 1; one iteration updates f and g: two passes, as are two of
                               ///< Newton's
  int check_every = 10;        ///< iterations between checks, >= 1
  Criterion criterion = Criterion::residual;
  bool translate = true;  ///< closed-form step along (f + l, g - l) for KL sides
  Annealing annealing = Annealing::automatic;
  Acceleration acceleration = Acceleration::automatic;
  Initializer initializer = Initializer::automatic;
  std::uint64_t seed = 0;  ///< of a subsample
  Precision precision = Precision::automatic;
  Schedule schedule = Schedule::plain;
  /// tree: |x - y|^2 or its half in up to 3 dimensions. From nothing the solve then goes from
  /// coarse nodes at large epsilon to all points at the target.
  Sweeps geometry = Sweeps::automatic;
  bool verify = false;  ///< one more pass over all pairs: SinkhornReport::verified
  /// Bytes that a kernel exp((f_i + g_j - C_ij) / epsilon) may take, which a solve keeps at the
  /// target epsilon where it is predicted to repay itself: passes then read it, which takes as long
  /// whatever the cost and the dimension are. 0: nothing of size n m exists. Automatic: 512 MiB, on
  /// a GPU a sixteenth of its memory.
  std::int64_t kernel_cache = kAutomaticCache;
  /// Called at each check of the target epsilon and each level's end; false stops.
  std::function<bool(const SinkhornReport&)> on_check;
};

/// A start in units of the cost: from another epsilon, a previous frame, or extended to other
/// points. One of f and g may be empty; of both g decides, but f beside a Balanced target and a
/// soft source. With a start there is no annealing.
template <class T>
struct Start {
  VectorView<const T> f, g;
};

template <class T>
struct SinkhornResult {
  Buffer<T> f, g;  ///< [n] and [m]: the checked pair, rounded to T
  SinkhornReport report;
  /// Of float what that rounding took, which at small epsilon is more than the report's errors:
  /// they, and the Plan of a result, are those of f + f_rest and g + g_rest. Empty: nothing.
  Buffer<T> f_rest{}, g_rest{};
};

/// Throws InvalidArgument for options out of range (of a Problem<float> precisions mixed and double
/// are; staged needs automatic or accurate), NotAvailable for precision fast and schedule staged
/// where the fast one does not exist, for anderson, newton and support with a total mass below both
/// sides', for support with a kernel_cache of 0, for an initializer that does not know the
/// geometry, the cost or the dimension, for geometry tree on other costs and dimensions, Error when
/// the very first check is already non-finite, Interrupted when exec says stop. Running out of
/// iterations is a result. Defined for float and double.
template <class T>
SinkhornResult<T> sinkhorn(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                           const Start<T>& start = {});

/// Whether a solve in float that could choose its precision ended at its floor with iterations
/// left: a caller who may choose the type then goes on in double, by the overload below.
bool goes_on(const SinkhornOptions& options, const SinkhornReport& report);

/// Goes on in precision mixed from where a solve of the same problem in float ended; iterations,
/// passes and the trace go on as well.
SinkhornResult<double> sinkhorn(const Problem<double>& problem, const SinkhornOptions& options,
                                Exec& exec, const SinkhornResult<float>& begun);
}  // namespace monge
