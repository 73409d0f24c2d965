// Entropic optimal transport between two discrete measures:
//   min_P >= 0  <P, C> + eps KL(P | a b^T) + F_a(P 1 | a) + F_b(P^T 1 | b)
// with KL(p | q) = sum p log(p/q) - p + q. A Problem is checked once, here, and never again.
#pragma once
#include <cstdint>
#include <optional>

#include "monge/core/buffer.hpp"
#include "monge/ot/geometry.hpp"
#include "monge/ot/marginal.hpp"

namespace monge {
struct ProblemOptions {
  /// Total transported mass M, 0 < M <= min(m_a, m_b), with both sides TV(infinity): classical
  /// partial transport, P 1 <= a and P^T 1 <= b.
  std::optional<double> total_mass;
  /// Relative agreement asked of two Balanced masses. 0: 1e-12 for double, 1e-6 for float.
  /// Faces raise it when weights were given in a shorter type than the points.
  double mass_tolerance = 0;
};

template <class T>
class Problem {
 public:
  /// An empty weight view means uniform weights with sum 1 (owned by the Problem). Throws
  /// InvalidArgument for wrong shapes, devices, non-finite points, negative or non-finite
  /// weights, zero mass, bad strengths, disagreeing Balanced masses (per component of the
  /// allowed pairs), costs that overflow T, and an infeasible total mass.
  Problem(Geometry<T> geometry, VectorView<const T> a, VectorView<const T> b, Marginal marginal_a,
          Marginal marginal_b, ProblemOptions options = {});

  std::int64_t n() const { return n_; }
  std::int64_t m() const { return m_; }
  const Geometry<T>& geometry() const { return geometry_; }
  VectorView<const T> a() const { return a_; }
  VectorView<const T> b() const { return b_; }
  double mass_a() const { return mass_a_; }
  double mass_b() const { return mass_b_; }
  /// As they act: an infinite strength has become Balanced.
  const Marginal& marginal_a() const { return marginal_a_; }
  const Marginal& marginal_b() const { return marginal_b_; }
  std::optional<double> total_mass() const { return total_mass_; }
  Device device() const { return {}; }

 private:
  Geometry<T> geometry_;
  std::int64_t n_ = 0, m_ = 0;
  VectorView<const T> a_, b_;
  Buffer<T> uniform_a_, uniform_b_;
  Marginal marginal_a_, marginal_b_;
  std::optional<double> total_mass_;
  double mass_a_ = 0, mass_b_ = 0;
};
}  // namespace monge
