#include "monge/ot/problem.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
template <class T>
Problem<T>* make_problem(Geometry<T> geometry, const std::optional<Vector<T>>& a,
                         const std::optional<Vector<T>>& b, const MarginalSpec& marginal_a,
                         const MarginalSpec& marginal_b, std::optional<double> total_mass,
                         double mass_tolerance, std::uintptr_t stream, const BoundsSpec& bounds) {
  const auto on_a = view(a), on_b = view(b);
  const auto below = to_bounds(bounds);
  const nb::gil_scoped_release unlocked;
  return new Problem<T>(geometry, on_a, on_b, to_marginal(marginal_a), to_marginal(marginal_b),
                        {total_mass, mass_tolerance, to_stream(stream), below});
}

template <class T>
void bind(nb::module_& m, const char* name) {
  nb::class_<Problem<T>>(m, name)
      .def_prop_ro("n", &Problem<T>::n)
      .def_prop_ro("m", &Problem<T>::m)
      .def_prop_ro("device", [](const Problem<T>& p) { return to_string(p.device()); })
      .def_prop_ro("stream",
                   [](const Problem<T>& p) { return reinterpret_cast<std::uintptr_t>(p.stream()); })
      .def_prop_ro("mass_a", &Problem<T>::mass_a)
      .def_prop_ro("mass_b", &Problem<T>::mass_b)
      .def_prop_ro("marginal_a", [](const Problem<T>& p) { return from_marginal(p.marginal_a()); })
      .def_prop_ro("marginal_b", [](const Problem<T>& p) { return from_marginal(p.marginal_b()); });

  // A problem views its arrays: keep_alive holds them (x, y or values; a; b) while it lives.
  m.def(
      "point_problem",
      [](const Matrix<T>& x, const Matrix<T>& y, const std::string& cost, double power,
         const std::optional<Vector<T>>& a, const std::optional<Vector<T>>& b,
         const MarginalSpec& marginal_a, const MarginalSpec& marginal_b,
         std::optional<double> total_mass, double mass_tolerance, std::uintptr_t stream,
         const BoundsSpec& bounds) {
        return make_problem<T>(PointCloud<T>{view(x), view(y), parse_cost(cost, power)}, a, b,
                               marginal_a, marginal_b, total_mass, mass_tolerance, stream, bounds);
      },
      "x"_a.noconvert(), "y"_a.noconvert(), "cost"_a, "power"_a, "a"_a.noconvert().none(),
      "b"_a.noconvert().none(), "marginal_a"_a, "marginal_b"_a, "total_mass"_a.none(),
      "mass_tolerance"_a, "stream"_a, "bounds"_a.none() = nb::none(), nb::keep_alive<0, 1>(),
      nb::keep_alive<0, 2>(), nb::keep_alive<0, 5>(), nb::keep_alive<0, 6>());
  m.def(
      "matrix_problem",
      [](const Matrix<T>& values, const std::optional<Vector<T>>& a,
         const std::optional<Vector<T>>& b, const MarginalSpec& marginal_a,
         const MarginalSpec& marginal_b, std::optional<double> total_mass, double mass_tolerance,
         std::uintptr_t stream, const BoundsSpec& bounds) {
        return make_problem<T>(CostMatrix<T>{view(values)}, a, b, marginal_a, marginal_b,
                               total_mass, mass_tolerance, stream, bounds);
      },
      "values"_a.noconvert(), "a"_a.noconvert().none(), "b"_a.noconvert().none(), "marginal_a"_a,
      "marginal_b"_a, "total_mass"_a.none(), "mass_tolerance"_a, "stream"_a,
      "bounds"_a.none() = nb::none(), nb::keep_alive<0, 1>(), nb::keep_alive<0, 2>(),
      nb::keep_alive<0, 3>());
  m.def(
      "lattice_problem",
      [](const Lattice<double>& lattice, const Vector<T>& a, const Vector<T>& b,
         const MarginalSpec& marginal_a, const MarginalSpec& marginal_b,
         std::optional<double> total_mass, double mass_tolerance, std::uintptr_t stream) {
        return make_problem<T>(to_lattice<T>(lattice), a, b, marginal_a, marginal_b, total_mass,
                               mass_tolerance, stream, {});
      },
      "lattice"_a, "a"_a.noconvert(), "b"_a.noconvert(), "marginal_a"_a, "marginal_b"_a,
      "total_mass"_a.none(), "mass_tolerance"_a, "stream"_a, nb::keep_alive<0, 2>(),
      nb::keep_alive<0, 3>());
}
}  // namespace

void bind_problem(nb::module_& m) {
  // Shape, spacing and origin have an entry for each axis.
  nb::class_<Grid>(m, "Grid").def(
      "__init__",
      [](Grid* out, const std::vector<std::int64_t>& shape, const std::vector<double>& spacing,
         const std::vector<double>& origin) {
        Grid grid;
        grid.dim = static_cast<int>(shape.size());
        for (std::size_t k = 0; k < std::min<std::size_t>(shape.size(), 3); ++k) {
          grid.shape[k] = shape[k];
          grid.spacing[k] = spacing.at(k);
          grid.origin[k] = origin.at(k);
        }
        new (out) Grid(grid);
      },
      "shape"_a, "spacing"_a, "origin"_a);
  // Of either type: it holds no array.
  nb::class_<Lattice<double>>(m, "Lattice")
      .def(
          "__init__",
          [](Lattice<double>* out, const Grid& source, const Grid& target, const std::string& cost,
             double power, const std::vector<bool>& periodic, const std::string& device) {
            Lattice<double> lattice{source, target, parse_cost(cost, power), {}, {}};
            for (std::size_t k = 0; k < std::min<std::size_t>(periodic.size(), 3); ++k)
              lattice.periodic[k] = periodic[k];
            lattice.device = parse_device(device);
            new (out) Lattice<double>(lattice);
          },
          "source"_a, "target"_a, "cost"_a, "power"_a, "periodic"_a, "device"_a);
  bind<float>(m, "ProblemF32");
  bind<double>(m, "ProblemF64");
  m.def(
      "cost_order",
      [](const std::string& cost, double power) { return cost_order(parse_cost(cost, power)); },
      "cost"_a, "power"_a, "The power in which a length enters the cost; 0 where there is none.");
}
}  // namespace monge::python
