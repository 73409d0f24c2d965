// Entropic optimal transport between two discrete measures:
//   min_P >= 0  <P, C> + eps KL(P | a b^T) + F_a(P 1 | a) + F_b(P^T 1 | b)
// with KL(p | q) = sum p log(p/q) - p + q. A Problem is checked once, here, and never again.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "monge/core/buffer.hpp"
#include "monge/ot/bounds.hpp"
#include "monge/ot/geometry.hpp"
#include "monge/ot/marginal.hpp"

namespace monge {
struct BoundEntries;
struct Inspection;
enum class Side;

struct ProblemOptions {
  /// Total transported mass M, 0 < M <= min(m_a, m_b), with both sides TV(infinity): classical
  /// partial transport, P 1 <= a and P^T 1 <= b. Where M equals a side's mass (to
  /// mass_tolerance) that side acts as Balanced and M becomes exactly its mass.
  std::optional<double> total_mass;
  /// Relative agreement asked of two Balanced masses. 0: 1e-12 for double, 1e-6 for float.
  /// Faces raise it when weights were given in a shorter type than the points.
  double mass_tolerance = 0;
  /// Of arrays on a GPU: the cudaStream_t in whose order they are ready; null: the legacy default
  /// stream. The problem is inspected on it, and so is what no Exec is given to.
  void* stream = nullptr;
  /// P >= L. Of no lattice, without a total mass; else NotAvailable. A hard row or column must have
  /// room: sum_j L_ij <= a_i. Entries belong to allowed pairs of positive weight.
  LowerBounds bounds = {};
};

template <class T>
class Problem {
 public:
  /// A weight view without data means uniform weights with sum 1 (owned by the Problem); the
  /// points or costs must outlive the problem. Throws InvalidArgument for wrong shapes, devices
  /// that disagree, non-finite points, NaN or -infinite costs, negative or non-finite weights,
  /// zero mass, bad strengths, disagreeing Balanced masses (per component of the allowed pairs),
  /// costs that overflow T, an infeasible total mass and infeasible bounds; NotAvailable for arrays
  /// on a device that this build lacks. Arguments are named x, y, C, a, b, marginal_a, marginal_b,
  /// total_mass, mass_tolerance and bounds (p for the power); the index is that of the point, the
  /// weight, the row of C or the bound.
  Problem(Geometry<T> geometry, VectorView<const T> a, VectorView<const T> b, Marginal marginal_a,
          Marginal marginal_b, ProblemOptions options = {});
  /// The measure of a side against itself, with both marginals as they act: nothing is read again.
  /// InvalidArgument for a cost matrix, which has no such costs; NotAvailable with a total mass or
  /// bounds.
  Problem against_itself(Side side) const;

  std::int64_t n() const { return n_; }
  std::int64_t m() const { return m_; }
  const Geometry<T>& geometry() const { return geometry_; }
  VectorView<const T> a() const { return a_; }
  VectorView<const T> b() const { return b_; }
  /// Whether no weights were given.
  bool uniform_a() const { return uniform_a_ != nullptr; }
  bool uniform_b() const { return uniform_b_ != nullptr; }
  double mass_a() const { return mass_a_; }
  double mass_b() const { return mass_b_; }
  /// As they act: an infinite strength has become Balanced, but with a total mass a side that it
  /// caps stays TV(infinity), and a side that must give all its mass is Balanced.
  const Marginal& marginal_a() const { return marginal_a_; }
  const Marginal& marginal_b() const { return marginal_b_; }
  std::optional<double> total_mass() const { return total_mass_; }
  /// As it acted: the option, or the default of T.
  double mass_tolerance() const { return mass_tolerance_; }
  /// Of every array, and of all results.
  Device device() const { return device_; }
  void* stream() const { return stream_; }
  /// What was read of the arrays (src/ot/inspection.hpp), for the library itself.
  const Inspection& inspection() const { return *inspection_; }
  /// The bounds that are there (src/ot/bounds.hpp), null where there are none; likewise.
  const BoundEntries* bounds() const { return bounds_.get(); }

 private:
  Geometry<T> geometry_;
  Device device_;
  void* stream_ = nullptr;
  std::int64_t n_ = 0, m_ = 0;
  VectorView<const T> a_, b_;
  std::shared_ptr<const Buffer<T>> uniform_a_, uniform_b_;  // null: they were given
  Marginal marginal_a_, marginal_b_;
  std::optional<double> total_mass_;
  double mass_a_ = 0, mass_b_ = 0, mass_tolerance_ = 0;
  std::shared_ptr<const Inspection> inspection_;
  std::shared_ptr<const BoundEntries> bounds_;
};
}  // namespace monge
