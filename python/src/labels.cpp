#include "monge/ot/labels.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
template <class T>
void bind(nb::module_& m, const char* name) {
  using L = LabelledClouds<T>;
  // A problem of these views keeps the object alive: it is given the object, not arrays.
  nb::class_<L>(m, name)
      .def(
          "problem",
          [](const L& l, const std::optional<Vector<T>>& a, const std::optional<Vector<T>>& b,
             const MarginalSpec& marginal_a, const MarginalSpec& marginal_b,
             std::optional<double> total_mass, double mass_tolerance, std::uintptr_t stream,
             const BoundsSpec& bounds) {
            const auto on_a = view(a), on_b = view(b);
            const auto below = to_bounds(bounds);
            const nb::gil_scoped_release unlocked;
            return new Problem<T>(l.cloud(), on_a, on_b, to_marginal(marginal_a),
                                  to_marginal(marginal_b),
                                  {total_mass, mass_tolerance, to_stream(stream), below});
          },
          "a"_a.noconvert().none(), "b"_a.noconvert().none(), "marginal_a"_a, "marginal_b"_a,
          "total_mass"_a.none(), "mass_tolerance"_a, "stream"_a, "bounds"_a.none() = nb::none(),
          nb::keep_alive<0, 1>(), nb::keep_alive<0, 2>(), nb::keep_alive<0, 3>())
      .def(
          "gradient",
          [](const L& l, const Plan<T>& plan, const Call& call) {
            return to_tuple(
                run(call, plan.problem().device(),
                    [&](Exec& exec) { return l.in_points(gradient(plan, exec), exec); }),
                plan);
          },
          "plan"_a, "call"_a);
  m.def(
      "with_labels",
      [](const Matrix<T>& x, const Vector<std::int64_t>& labels_x, const Matrix<T>& y,
         const Vector<std::int64_t>& labels_y, const Matrix<double>& table, double lambda_x,
         double lambda_y, const Call& call) {
        return run(call, device_of(x), [&](Exec& exec) {
          return with_labels<T>(view(x), view(labels_x), view(y), view(labels_y), view(table),
                                lambda_x, lambda_y, exec);
        });
      },
      "x"_a.noconvert(), "labels_x"_a, "y"_a.noconvert(), "labels_y"_a, "table"_a, "lambda_x"_a,
      "lambda_y"_a, "call"_a);
}
}  // namespace

void bind_labels(nb::module_& m) {
  bind<float>(m, "LabelledCloudsF32");
  bind<double>(m, "LabelledCloudsF64");
}
}  // namespace monge::python
