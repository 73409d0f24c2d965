// Problems on lattices, and the same by their points and by the matrix of their costs.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/problems.hpp"

namespace monge::testing {
template <class T>
struct Grids {
  Lattice<T> lattice;
  std::vector<T> a, b, x, y, C;  // points [size, dim], costs

  Grids(Lattice<T> given, std::vector<T> source, std::vector<T> target)
      : lattice(given), a(std::move(source)), b(std::move(target)) {
    const auto points = [&](const Grid& grid) {
      std::vector<T> out;
      for (std::int64_t i = 0; i < grid.size(); ++i)
        for (int k = 0; k < grid.dim; ++k) {
          std::int64_t rest = i;
          for (int l = grid.dim - 1; l > k; --l) rest /= grid.shape[l];
          out.push_back(static_cast<T>(grid.origin[k] + static_cast<double>(rest % grid.shape[k]) *
                                                            grid.spacing[k]));
        }
      return out;
    };
    x = points(lattice.source);
    y = points(lattice.target);
    const int d = lattice.source.dim;
    for (std::int64_t i = 0; i < n(); ++i)
      for (std::int64_t j = 0; j < m(); ++j) {
        std::vector<double> from, to;
        for (int k = 0; k < d; ++k) {
          from.push_back(x[i * d + k]);
          const double way =
              static_cast<double>(lattice.target.shape[k]) * lattice.target.spacing[k];
          const double u = y[j * d + k] - from[k];
          to.push_back(from[k] + (lattice.periodic[k] ? std::remainder(u, way) : u));
        }
        C.push_back(static_cast<T>(cost_of(lattice.cost, from, to)));
      }
  }

  std::int64_t n() const { return lattice.source.size(); }
  std::int64_t m() const { return lattice.target.size(); }
  Problem<T> problem(Geometry<T> geometry, Marginal A, Marginal B) const {
    return Problem<T>(geometry, {a.data(), n()}, {b.data(), m()}, A, B);
  }
  Problem<T> on_lattice(Marginal A, Marginal B) const { return problem(lattice, A, B); }
  Problem<T> on_matrix(Marginal A, Marginal B) const {
    return problem(CostMatrix<T>{{C.data(), n(), m()}}, A, B);
  }
  Problem<T> on_points(Marginal A, Marginal B) const {
    const std::int64_t d = lattice.source.dim;
    return problem(PointCloud<T>{{x.data(), n(), d}, {y.data(), m(), d}, lattice.cost}, A, B);
  }
};

inline Grid grid_of(std::vector<std::int64_t> shape, std::vector<double> spacing,
                    std::vector<double> origin) {
  Grid grid;
  grid.dim = static_cast<int>(shape.size());
  for (int k = 0; k < grid.dim; ++k) {
    grid.shape[k] = shape[k];
    grid.spacing[k] = spacing[k];
    grid.origin[k] = origin[k];
  }
  return grid;
}

/// Random weights with every third masked, and the first line of the grid altogether.
template <class T>
std::vector<T> masked_weights(const Grid& grid, double mass, std::uint64_t seed) {
  auto w = random_vector<double>(grid.size(), seed, 7, 0.5, 1.5);
  const std::int64_t line = grid.size() / grid.shape[0];
  for (std::int64_t i = 0; i < grid.size(); ++i)
    if (i % 3 == 1 || (grid.dim > 1 && i < line)) w[i] = 0;
  double sum = 0;
  for (const double one : w) sum += one;
  std::vector<T> out;
  for (const double one : w) out.push_back(static_cast<T>(mass * one / sum));
  return out;
}

/// One, two and three axes, unequal grids, anisotropic; plain and periodic. Costs up to about 1.
template <class T>
std::vector<Grids<T>> all_grids(double mass_a = 1.5, double mass_b = 1, std::uint64_t seed = 1) {
  std::vector<Grids<T>> out;
  const auto add = [&](const Grid& source, const Grid& target, std::array<bool, 3> periodic,
                       Cost cost = SquaredEuclidean{}) {
    out.emplace_back(Lattice<T>{source, target, cost, periodic},
                     masked_weights<T>(source, mass_a, seed),
                     masked_weights<T>(target, mass_b, seed + 1));
  };
  add(grid_of({40}, {0.025}, {0.1}), grid_of({33}, {0.02}, {0.3}), {});
  add(grid_of({40}, {0.025}, {0.1}), grid_of({20}, {0.05}, {0.3}), {true});
  // No two points in one place, where rounding would choose the slope.
  add(grid_of({40}, {0.025}, {0.1}), grid_of({33}, {0.02}, {0.303}), {}, Euclidean{});
  add(grid_of({40}, {0.025}, {0.1}), grid_of({20}, {0.05}, {0.3}), {true}, Power{1.5});
  add(grid_of({40}, {0.025}, {0.1}), grid_of({33}, {0.02}, {0.3}), {}, Dot{});
  add(grid_of({9, 13}, {0.1, 0.05}, {0, 0.2}), grid_of({7, 11}, {0.12, 0.07}, {0.1, 0}), {});
  add(grid_of({9, 13}, {0.1, 0.05}, {0, 0.2}), grid_of({9, 5}, {0.1, 0.13}, {0.1, 0}), {true, true},
      HalfSquaredEuclidean{});
  add(grid_of({4, 5, 6}, {0.1, 0.1, 0.1}, {0, 0, 0}),
      grid_of({3, 5, 4}, {0.2, 0.1, 0.1}, {0.1, 0, 0.2}), {});
  add(grid_of({4, 5, 6}, {0.1, 0.1, 0.1}, {0, 0, 0}),
      grid_of({3, 5, 4}, {0.2, 0.1, 0.15}, {0.1, 0, 0.2}), {false, false, true});
  return out;
}
/// One of these with its target moved along periodic axes, so that no two points are half way round
/// apart, where rounding would choose the way that images go.
template <class T>
Grids<T> untied(const Grids<T>& from) {
  Lattice<T> lattice = from.lattice;
  for (int k = 0; k < lattice.source.dim; ++k)
    if (lattice.periodic[k]) lattice.target.origin[k] += 0.013;
  return {lattice, from.a, from.b};
}
}  // namespace monge::testing
