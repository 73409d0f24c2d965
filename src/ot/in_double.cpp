#include "ot/in_double.hpp"

#include <limits>
#include <utility>
#include <variant>

#include "ot/arrays.hpp"
#include "ot/split_pair.hpp"

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

bool InDouble::knows(const Problem<float>& problem) {
  return !std::holds_alternative<CostMatrix<float>>(problem.geometry()) && !problem.bounds() &&
         !problem.total_mass();
}

InDouble::InDouble(const Problem<float>& problem, Exec& exec)
    : a_(problem.uniform_a() ? Buffer<double>() : in_double(problem.a(), exec)),
      b_(problem.uniform_b() ? Buffer<double>() : in_double(problem.b(), exec)),
      problem_(geometry_of(problem, exec), a_.view(), b_.view(), problem.marginal_a(),
               problem.marginal_b(),
               // Masses that agree in float are not asked to agree any better.
               {.total_mass = {},
                .mass_tolerance = problem.mass_tolerance() + std::numeric_limits<float>::epsilon(),
                .stream = exec.stream}) {}

SinkhornResult<float> rounded_to_float(SinkhornResult<double>&& exact, Exec& exec) {
  SplitPair<float> pair;
  pair.take(Side::source, exact.f.data(), exact.f.size(), 0, exec);
  pair.take(Side::target, exact.g.data(), exact.g.size(), 0, exec);
  return std::move(pair).with(std::move(exact.report));
}
}  // namespace monge
