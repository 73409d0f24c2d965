#include "monge/ot/divergence.hpp"

#include "bindings.hpp"
#include "entries.hpp"
#include "monge/ot/batch.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
template <class T>
void bind(nb::module_& m, const char* name) {
  using D = Divergence<T>;
  constexpr auto inside = nb::rv_policy::reference_internal;
  nb::class_<D>(m, name)
      .def_ro("value", &D::value)
      .def_prop_ro(
          "ab", [](D& d) -> SinkhornResult<T>& { return d.ab; }, inside)
      .def_prop_ro(
          "aa", [](D& d) -> SinkhornResult<T>& { return d.aa; }, inside)
      .def_prop_ro(
          "bb", [](D& d) -> SinkhornResult<T>& { return d.bb; }, inside)
      .def_prop_ro("potential_a", [](const D& d) { return window(d, d.potential_a); })
      .def_prop_ro("potential_b", [](const D& d) { return window(d, d.potential_b); })
      .def("take_gradient", [](D& d) {
        return std::tuple{to_rows(std::move(d.dx), d.potential_a.size()),
                          to_rows(std::move(d.dy), d.potential_b.size()), to_array(std::move(d.da)),
                          to_array(std::move(d.db))};
      });
  m.def(
      "divergence",
      [](const Matrix<T>& x, const std::optional<Vector<T>>& a, const Matrix<T>& y,
         const std::optional<Vector<T>>& b, const DivergenceOptions& options, nb::object on_check,
         const Call& call) {
        const DivergenceOptions checked = with_callback(options, std::move(on_check));
        return run(call, device_of(x), [&](Exec& exec) {
          return divergence(Measure<T>{view(x), view(a)}, Measure<T>{view(y), view(b)}, checked,
                            exec);
        });
      },
      "x"_a.noconvert(), "a"_a.noconvert().none(), "y"_a.noconvert(), "b"_a.noconvert().none(),
      "options"_a, "on_check"_a.none(), "call"_a);
  m.def(
      "divergence_batch",
      [](const Matrices<T>& x, const std::optional<Vectors<T>>& a, const Matrices<T>& y,
         const std::optional<Vectors<T>>& b, const DivergenceOptions& options,
         const Values<double>& epsilon, const Values<MarginalSpec>& marginal_a,
         const Values<MarginalSpec>& marginal_b, const Values<double>& mass_tolerance,
         const nb::object& on_check, const Call& call) {
        const auto xs = views<T>(x), ys = views<T>(y);
        const auto as = views<T>(a, xs.size()), bs = views<T>(b, xs.size());
        std::vector<DivergenceEntry<T>> entries;
        entries.reserve(xs.size());
        for (std::size_t i = 0; i < xs.size(); ++i) {
          entries.push_back(
              {{xs[i], as[i]}, {ys[i], bs[i]}, for_entry(options, at(epsilon, i), i, on_check)});
          DivergenceOptions& own = entries.back().options;
          own.marginal_a = to_marginal(at(marginal_a, i));
          own.marginal_b = to_marginal(at(marginal_b, i));
          own.mass_tolerance = at(mass_tolerance, i);
        }
        return run(call, xs.empty() ? Device{} : xs.front().device,
                   [&](Exec& exec) { return divergence<T>(entries, exec); });
      },
      "x"_a.noconvert(), "a"_a.noconvert().none(), "y"_a.noconvert(), "b"_a.noconvert().none(),
      "options"_a, "epsilon"_a, "marginal_a"_a, "marginal_b"_a, "mass_tolerance"_a,
      "on_check"_a.none(), "call"_a);
  m.def(
      "divergence_lattice",
      [](const Lattice<double>& lattice, const Vector<T>& a, const Vector<T>& b,
         const DivergenceOptions& options, nb::object on_check, const Call& call) {
        const DivergenceOptions checked = with_callback(options, std::move(on_check));
        return run(call, device_of(a), [&](Exec& exec) {
          return divergence(to_lattice<T>(lattice), view(a), view(b), checked, exec);
        });
      },
      "lattice"_a, "a"_a.noconvert(), "b"_a.noconvert(), "options"_a, "on_check"_a.none(),
      "call"_a);
}
}  // namespace

void bind_divergence(nb::module_& m) {
  nb::class_<DivergenceOptions, SinkhornOptions>(m, "DivergenceOptions")
      .def(nb::init<>())
      .def(
          "set_cost",
          [](DivergenceOptions& o, const std::string& cost, double power) {
            o.cost = parse_cost(cost, power);
          },
          "cost"_a, "power"_a)
      .def_prop_rw(
          "marginal_a", [](const DivergenceOptions& o) { return from_marginal(o.marginal_a); },
          [](DivergenceOptions& o, const MarginalSpec& spec) { o.marginal_a = to_marginal(spec); })
      .def_prop_rw(
          "marginal_b", [](const DivergenceOptions& o) { return from_marginal(o.marginal_b); },
          [](DivergenceOptions& o, const MarginalSpec& spec) { o.marginal_b = to_marginal(spec); })
      .def_rw("mass_tolerance", &DivergenceOptions::mass_tolerance)
      .def_rw("gradients", &DivergenceOptions::gradients)
      .def_rw("gradients_of", &DivergenceOptions::gradients_of, nb::arg().none());
  bind<float>(m, "DivergenceF32");
  bind<double>(m, "DivergenceF64");
}
}  // namespace monge::python
