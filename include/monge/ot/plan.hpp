// The transport plan P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon) as an operator: applied,
// never stored. Every member streams; only dense() allocates n x m.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/ot/problem.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge {
template <class T>
class Operator;

enum class Side { source, target };
constexpr Side other(Side side) { return side == Side::source ? Side::target : Side::source; }

/// Rows of a sparse matrix: columns[offsets[i] .. offsets[i+1]) and their values.
template <class T>
struct SparsePlan {
  std::int64_t n = 0, m = 0;
  Buffer<std::int64_t> offsets;  ///< [n + 1]
  Buffer<std::int64_t>
      columns;       ///< ascending in each row for sparse(), by falling value for top_k()
  Buffer<T> values;  ///< P_ij
};

template <class T>
struct Moments {
  Buffer<T> mean;        ///< [n, d] conditional mean of y given x_i
  Buffer<T> covariance;  ///< [n, d, d] conditional covariance of y given x_i
};

struct Pairs64 {
  Buffer<std::int64_t> source, target;  ///< [k] indices
};

/// The parts of the objective at the plan; value = linear + epsilon entropy + penalty_a + penalty_b
/// at an optimum.
struct PlanTerms {
  double linear = 0;   ///< <P, C>
  double entropy = 0;  ///< KL(P | a b^T)
  /// F_a(P 1 | a). A hard constraint (p = a, or p <= a and the mass M of a total mass) gives 0 when
  /// it is missed by rounding alone, else +infinity. Rounding, in L1 over the mass: 1e-12 in
  /// double, 1e-5 in float, and 8 u C/epsilon for that of the scores, C the costs that the plan
  /// needs.
  double penalty_a = 0;
  double penalty_b = 0;  ///< F_b(P^T 1 | b)
};

template <class T>
class Plan {
 public:
  static constexpr std::int64_t kDenseLimit = std::int64_t{1} << 26;

  /// The problem must outlive the plan. Takes copies of f and g. Throws InvalidArgument when the
  /// sizes disagree or epsilon <= 0.
  /// `op`: of the same problem, as a solve or another plan prepared it; null: it is prepared here.
  Plan(const Problem<T>& problem, double epsilon, VectorView<const T> f, VectorView<const T> g,
       double mass_level = 0, std::shared_ptr<const Operator<T>> op = nullptr);
  /// Of a solve by trees, truncated by the pair that it returns, within the certificate of its
  /// report: so are all members but dense().
  Plan(const Problem<T>& problem, const SinkhornResult<T>& result,
       std::shared_ptr<const Operator<T>> op = nullptr);

  std::int64_t n() const;
  std::int64_t m() const;
  double epsilon() const { return epsilon_; }
  const Problem<T>& problem() const { return *problem_; }
  VectorView<const T> f() const { return f_.view(); }
  VectorView<const T> g() const { return g_.view(); }
  /// The potential of a side that the plan is of: of a float result with what f and g lost by their
  /// rounding. Marginals, mass and value are formed of it; what other members read of it is rounded
  /// again.
  VectorView<const double> exact(Side side) const;
  double mass_level() const { return mass_level_; }
  /// A bound on what the marginals lose to pairs that are left out, over the mass; 0: all are
  /// there.
  double truncation() const { return truncation_; }

  /// P V for side source, [m, k] -> [n, k]; P^T V for side target, [n, k] -> [m, k]. V is signed.
  Buffer<T> apply(Side rows, MatrixView<const T> v, Exec& exec) const;
  /// The same with P_ij^2: the diagonals of Schur complements.
  Buffer<T> apply_squared(Side rows, MatrixView<const T> v, Exec& exec) const;

  /// P 1 [n] or P^T 1 [m], by one pass.
  Buffer<T> marginal(Side side, Exec& exec) const;
  double mass(Exec& exec) const;
  /// The dual objective at (f, g): a lower bound, exact at the optimum.
  double value(Exec& exec) const;
  PlanTerms terms(Exec& exec) const;

  /// Images of the points of `rows`: sum_j P_ij z_j / p_i for values z given on the other side
  /// ([m, k] for source). An average of the z at every point, also where p_i underflows or the
  /// weight is 0 (softmax form; a row whose pairs are all forbidden gets the mean of the z by
  /// weight); `valid`, where not null, [n], is set to whether p_i > 0.
  Buffer<T> barycentric(Side rows, MatrixView<const T> values, Exec& exec,
                        bool* valid = nullptr) const;
  /// The same with the points of the other side as values, on a periodic axis of a lattice taken
  /// the shorter way round from the row's own point. Not on a CostMatrix.
  Buffer<T> barycentric(Side rows, Exec& exec, bool* valid = nullptr) const;
  /// Conditional mean and covariance of the other side's points (or values) given each row; means
  /// as in barycentric, covariance 0 where all pairs are forbidden.
  Moments<T> moments(Side rows, Exec& exec) const;
  Moments<T> moments(Side rows, MatrixView<const T> values, Exec& exec) const;

  /// Half-step at new points z [k, d] of the given side: the potential there. Not on a CostMatrix;
  /// on a lattice with a periodic axis points go one by one.
  Buffer<T> potential(Side side, MatrixView<const T> z, Exec& exec) const;
  /// Entropic map at new points z [k, d] of the given side, [k, d]; on a training point it equals
  /// barycentric. As potential().
  Buffer<T> map(Side side, MatrixView<const T> z, Exec& exec) const;

  /// The k largest entries of each row of P (ties: the lower column), one pass. 1 <= k <= m. Zeros
  /// are no entries: a row has fewer where fewer are positive, none where its weight is 0.
  SparsePlan<T> top_k(int k, Exec& exec) const;
  /// All entries P_ij >= threshold > 0, two passes. Throws InvalidArgument when more than `limit`
  /// entries qualify.
  SparsePlan<T> sparse(double threshold, Exec& exec, std::int64_t limit = kDenseLimit) const;

  /// k >= 1 pairs (i, j) drawn from P / mass, in the order of the draws: a longer call begins with
  /// the pairs of a shorter one. Depends on seed and plan alone. Throws InvalidArgument where the
  /// plan carries no mass.
  Pairs64 draw_pairs(std::int64_t k, std::uint64_t seed, Exec& exec) const;
  /// k >= 1 targets for every source, [n, k]; -1 where the row carries no mass.
  Buffer<std::int64_t> draw_targets(int k, std::uint64_t seed, Exec& exec) const;

  /// [n, m]. Throws InvalidArgument above `limit` entries, before allocating.
  Buffer<T> dense(Exec& exec, std::int64_t limit = kDenseLimit) const;

  const Operator<T>& op() const { return *op_; }

 private:
  void take_exact(const Buffer<T>& f_rest, const Buffer<T>& g_rest);

  const Problem<T>* problem_;
  double epsilon_, mass_level_, truncation_ = 0;
  Buffer<T> f_, g_;
  Buffer<double> exact_f_, exact_g_;  // of float
  std::shared_ptr<const Operator<T>> op_;
};
}  // namespace monge
