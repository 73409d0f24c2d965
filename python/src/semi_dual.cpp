#include "monge/ot/semi_dual.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
template <class T>
void bind(nb::module_& m) {
  m.def(
      "c_transform",
      [](const Problem<T>& problem, Side rows, const Vector<T>& potential, const Call& call) {
        auto out = run(call, problem.device(), [&](Exec& exec) {
          return c_transform(problem, rows, view(potential), exec);
        });
        return std::pair{to_array(std::move(out.values)), to_array(std::move(out.column))};
      },
      "problem"_a, "rows"_a, "potential"_a.noconvert(), "call"_a);
  m.def(
      "semi_dual",
      [](const Problem<T>& problem, double epsilon, const Vector<T>& g, const Call& call) {
        auto out = run(call, problem.device(),
                       [&](Exec& exec) { return semi_dual(problem, epsilon, view(g), exec); });
        return std::tuple{out.value, to_array(std::move(out.f)), to_array(std::move(out.dg)),
                          to_rows(std::move(out.dy), problem.m())};
      },
      "problem"_a, "epsilon"_a, "g"_a.noconvert(), "call"_a);
}
}  // namespace

void bind_semi_dual(nb::module_& m) {
  bind<float>(m);
  bind<double>(m);
}
}  // namespace monge::python
