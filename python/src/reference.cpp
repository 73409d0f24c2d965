#include "monge/ot/reference.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "referenced.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
template <class T>
void bind(nb::module_& m, const char* name) {
  using R = ReferencedProblem<T>;
  nb::class_<R>(m, name)
      .def_prop_ro(
          "problem", [](R& r) -> Problem<T>& { return *r.problem; },
          nb::rv_policy::reference_internal)
      .def(
          "to_asked",
          [](const R& r, const SinkhornResult<T>& result) { return r.map.to_asked(result); },
          "result"_a);
  m.def(
      "with_reference",
      [](const Problem<T>& problem, double epsilon, const std::optional<Vector<T>>& r_a,
         const std::optional<Vector<T>>& r_b) {
        return with_reference(problem, epsilon, view(r_a), view(r_b));
      },
      "problem"_a, "epsilon"_a, "r_a"_a.noconvert().none(), "r_b"_a.noconvert().none(),
      nb::keep_alive<0, 1>(), "The equivalent problem under r_a r_b^T; None means counting.");
  // The start and the callback speak of the problem that was asked for, the result of the
  // equivalent one.
  m.def(
      "sinkhorn",
      [](const R& r, const SinkhornOptions& options, const std::optional<Vector<T>>& start_f,
         const std::optional<Vector<T>>& start_g, nb::object on_check, const Call& call) {
        const SinkhornOptions checked = as_asked(r, with_callback(options, std::move(on_check)));
        const auto f = r.map.from_asked(Side::source, view(start_f));
        const auto g = r.map.from_asked(Side::target, view(start_g));
        return run(call, r.problem->device(), [&](Exec& exec) {
          return sinkhorn(*r.problem, checked, exec, Start<T>{f.view(), g.view()});
        });
      },
      "problem"_a, "options"_a, "start_f"_a.noconvert().none(), "start_g"_a.noconvert().none(),
      "on_check"_a.none(), "call"_a);
  if constexpr (sizeof(T) == 8)
    m.def(
        "go_on",
        [](const R& r, const SinkhornOptions& options, const SinkhornResult<float>& begun,
           nb::object on_check, const Call& call) {
          const SinkhornOptions checked = as_asked(r, with_callback(options, std::move(on_check)));
          return run(call, r.problem->device(),
                     [&](Exec& exec) { return sinkhorn(*r.problem, checked, exec, begun); });
        },
        "problem"_a, "options"_a, "begun"_a, "on_check"_a.none(), "call"_a);
  m.def(
      "gradient",
      [](const Plan<T>& plan, const R& r, const Call& call) {
        return to_tuple(
            run(call, plan.problem().device(), [&](Exec& exec) { return gradient(plan, r, exec); }),
            plan);
      },
      "plan"_a, "referenced"_a, "call"_a);
}
}  // namespace

void bind_reference(nb::module_& m) {
  bind<float>(m, "ReferencedProblemF32");
  bind<double>(m, "ReferencedProblemF64");
}
}  // namespace monge::python
