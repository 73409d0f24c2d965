#include "monge/ot/derivatives.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
template <class T>
void bind(nb::module_& m) {
  m.def(
      "gradient",
      [](const Plan<T>& plan, const Call& call) {
        return to_tuple(
            run(call, plan.problem().device(), [&](Exec& exec) { return gradient(plan, exec); }),
            plan);
      },
      "plan"_a, "call"_a);
}
}  // namespace

void bind_derivatives(nb::module_& m) {
  bind<float>(m);
  bind<double>(m);
}
}  // namespace monge::python
