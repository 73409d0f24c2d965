// A total mass: potentials of both sides are min(softmin, l), and the level l moves such that the
// plan keeps its mass, or moves by what is asked. Products are linear, so that those of a direction
// are those at a level that stands still, plus dl times those of the level alone.
#pragma once
#include <vector>

#include "ot/derivatives/directions.hpp"

namespace monge {
/// The level alone moves, by 1.
template <class T>
Directions<T> level_directions(const Linear<T>& linear, Exec& exec);

/// How all moves with the level alone.
template <class T>
JvpResult<T> level_jvp(const Linearization<T>& at, const SolveOptions& options, Exec& exec);

/// [count] sum_ij dP_ij, from the moves of the source's marginal [count, n].
template <class T>
std::vector<double> mass_moves(const Buffer<T>& marginal, std::int64_t count, Exec& exec);

/// Throws InvalidArgument where the mass does not follow the level.
void check_level(double of_level);
/// dl of each direction, from how the mass moves with them and with the level, and how it should.
/// Throws InvalidArgument where `dmass` has another size, or the mass does not follow the level.
std::vector<double> level_moves(const std::vector<double>& dmass, const std::vector<double>& moved,
                                double of_level);

/// out [count, ...] += by_r level
template <class T>
void add_level(const Buffer<T>& level, const std::vector<double>& by, Buffer<T>& out, Exec& exec);
inline void add_level(const std::vector<double>& level, const std::vector<double>& by,
                      std::vector<double>& out) {
  for (std::size_t r = 0; r < out.size(); ++r) out[r] += by[r] * level[0];
}
}  // namespace monge
