// Coarser lattices, where a solve between fine ones begins: cells of half as many an axis, one
// length along each, that together cover what the points' own cells do. So ways round agree, and
// weights are sums.
#pragma once
#include <vector>

#include "monge/core/exec.hpp"
#include "monge/ot/problem.hpp"

namespace monge {
/// Whether a coarser problem is worth having: of a lattice that is swept axis by axis.
template <class T>
bool can_coarsen(const Problem<T>& problem);

template <class T>
struct CoarseLattice {
  Lattice<T> lattice;
  std::vector<T> a, b;  // on the host: once a solve, O(n + m)
  double spacing;       // the longest that was doubled, of both sides
};
/// Halves of each side the axes of about its finest spacing.
template <class T>
CoarseLattice<T> coarsened(const Problem<T>& problem, Exec& exec);
}  // namespace monge
