// Potentials that need no pass: of the monotone plan on a line, and between two Gaussians. On the
// host, once a solve.
#pragma once
#include <cstdint>
#include <vector>

#include "monge/ot/cost.hpp"

namespace monge {
/// A cloud on the host, row-major; weights of any sum.
struct HostCloud {
  std::vector<double> points, weights;
  std::int64_t dim;
  std::int64_t size() const { return static_cast<std::int64_t>(weights.size()); }
};

/// Of `to`, the side of y: potentials of the plan that keeps the order, in dimension 1 and for a
/// cost that is convex in x - y, or -x y. 0 at points without weight.
std::vector<double> sorted_potential(const HostCloud& from, const HostCloud& to, const Cost& cost);

/// Of `to`: the quadratic whose gradient is that of the optimal g between the Gaussians with the
/// clouds' means and covariances, for the cost `scale` |x - y|^2 at `eps`.
std::vector<double> gaussian_potential(const HostCloud& from, const HostCloud& to, double scale,
                                       double eps);
}  // namespace monge
