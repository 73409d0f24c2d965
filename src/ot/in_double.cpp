#include "ot/in_double.hpp"

#include <limits>
#include <variant>

#include "ot/arrays.hpp"

namespace monge {
Geometry<double> InDouble::geometry_of(const Problem<float>& problem, Exec& exec) {
  if (const auto* lattice = std::get_if<Lattice<float>>(&problem.geometry()))
    return Lattice<double>{lattice->source, lattice->target, lattice->cost, lattice->periodic,
                           lattice->device};
  const auto& cloud = std::get<PointCloud<float>>(problem.geometry());
  const std::int64_t dim = cloud.x.cols;
  const auto placed = [&](MatrixView<const float> points, Buffer<double>& to) {
    to = widened(gathered(points, exec), exec);
    return MatrixView<const double>{to.data(), points.rows, dim, dim, 1, exec.device};
  };
  return PointCloud<double>{placed(cloud.x, x_), placed(cloud.y, y_), cloud.cost};
}

InDouble::InDouble(const Problem<float>& problem, Exec& exec)
    : a_(in_double(problem.a(), exec)),
      b_(in_double(problem.b(), exec)),
      problem_(geometry_of(problem, exec), a_.view(), b_.view(), problem.marginal_a(),
               problem.marginal_b(),
               // Masses that agree in float are not asked to agree any better.
               {.total_mass = {},
                .mass_tolerance = problem.mass_tolerance() + std::numeric_limits<float>::epsilon(),
                .stream = exec.stream}) {}
}  // namespace monge
