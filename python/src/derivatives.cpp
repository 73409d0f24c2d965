#include "monge/ot/derivatives.hpp"
#include "monge/ot/second_order.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "run.hpp"
#include "tangents.hpp"

namespace monge::python {
namespace {
template <class T>
void bind(nb::module_& m, const char* name) {
  m.def(
      "gradient",
      [](const Plan<T>& plan, const std::optional<std::vector<std::string>>& wrt,
         const Call& call) {
        return to_tuple(run(call, plan.problem().device(),
                            [&](Exec& exec) {
                              return wrt ? gradient(plan, to_wrt(*wrt), exec)
                                         : gradient(plan, exec);
                            }),
                        plan);
      },
      "plan"_a, "wrt"_a.none(), "call"_a);

  using L = Linearization<T>;
  // It views the problem of the plan, which holds that.
  m.def(
      "linearize",
      [](const Plan<T>& plan, std::optional<std::int64_t> kernel_cache, const Call& call) {
        return run(call, plan.problem().device(), [&](Exec& exec) {
          return linearize(plan, exec, kernel_cache.value_or(kAutomaticCache));
        });
      },
      "plan"_a, "kernel_cache"_a.none(), "call"_a, nb::keep_alive<0, 1>());
  nb::class_<L>(m, name)
      .def_prop_ro("n", &L::n)
      .def_prop_ro("m", &L::m)
      .def_prop_ro("dim", &L::dim)
      .def_prop_ro("device", [](const L& l) { return to_string(l.device()); })
      .def_prop_ro("marginal_error", &L::marginal_error)
      .def_prop_ro("tv_margin", &L::tv_margin)
      .def(
          "hvp",
          [](const L& l, int count, const Points<T>& dx, const Points<T>& dy, const Rows<T>& da,
             const Rows<T>& db, const Rows<T>& df, const Rows<T>& dg, const Numbers& depsilon,
             const Numbers& drho_a, const Numbers& drho_b, const Numbers& dmass,
             const std::vector<std::string>& wrt, const SolveOptions& options, const Call& call) {
            const Tangent<T> along{count,       view<T>(dx), view<T>(dy), view<T>(da),
                                   view<T>(db), depsilon,    drho_a,      drho_b,
                                   dmass,       view<T>(df), view<T>(dg)};
            return hvp_of(l, l.dim(), l.device(), along, wrt, options, call);
          },
          "count"_a, "dx"_a.none(), "dy"_a.none(), "da"_a.none(), "db"_a.none(), "df"_a.none(),
          "dg"_a.none(), "depsilon"_a, "drho_a"_a, "drho_b"_a, "dmass"_a, "wrt"_a, "options"_a,
          "call"_a)
      .def(
          "jvp",
          [](const L& l, int count, const Points<T>& dx, const Points<T>& dy, const Rows<T>& da,
             const Rows<T>& db, const Rows<T>& df, const Rows<T>& dg, const Numbers& depsilon,
             const Numbers& drho_a, const Numbers& drho_b, const Numbers& dmass,
             const SolveOptions& options, const Call& call) {
            const Tangent<T> along{count,       view<T>(dx), view<T>(dy), view<T>(da),
                                   view<T>(db), depsilon,    drho_a,      drho_b,
                                   dmass,       view<T>(df), view<T>(dg)};
            auto out =
                run(call, l.device(), [&](Exec& exec) { return jvp(l, along, options, exec); });
            return std::tuple(
                to_rows_of(std::move(out.df), count), to_rows_of(std::move(out.dg), count),
                to_rows_of(std::move(out.source), count), to_rows_of(std::move(out.target), count),
                to_points(std::move(out.map), count, l.dim()), out.transport_cost, out.dlevel,
                out.report);
          },
          "count"_a, "dx"_a.none(), "dy"_a.none(), "da"_a.none(), "db"_a.none(), "df"_a.none(),
          "dg"_a.none(), "depsilon"_a, "drho_a"_a, "drho_b"_a, "dmass"_a, "options"_a, "call"_a)
      .def(
          "vjp",
          [](const L& l, int count, const Rows<T>& f, const Rows<T>& g, const Rows<T>& source,
             const Rows<T>& target, const Points<T>& map, const Numbers& transport_cost,
             const std::vector<std::string>& wrt, const SolveOptions& options, const Call& call) {
            const Cotangent<T> of{count,           view<T>(f),   view<T>(g),    view<T>(source),
                                  view<T>(target), view<T>(map), transport_cost};
            const Wrt in = to_wrt(wrt);
            auto out =
                run(call, l.device(), [&](Exec& exec) { return vjp(l, of, in, options, exec); });
            return std::tuple(to_points(std::move(out.dx), count, l.dim()),
                              to_points(std::move(out.dy), count, l.dim()),
                              to_rows_of(std::move(out.da), count),
                              to_rows_of(std::move(out.db), count), out.depsilon, out.drho_a,
                              out.drho_b, out.dmass, out.report);
          },
          "count"_a, "f"_a.none(), "g"_a.none(), "source"_a.none(), "target"_a.none(),
          "map"_a.none(), "transport_cost"_a, "wrt"_a, "options"_a, "call"_a)
      .def(
          "inverse_hvp",
          [](const L& l, Side side, const Points<T>& right, const InverseOptions& options,
             const Call& call) {
            auto out = run(call, l.device(), [&](Exec& exec) {
              return inverse_hvp(l, side, view<T>(right), options, exec);
            });
            return std::pair(to_points(std::move(out.z), 1, l.dim()), out.report);
          },
          "side"_a, "right"_a, "options"_a, "call"_a)
      .def(
          "hessian",
          [](const L& l, Side side, std::int64_t limit, const Call& call) {
            auto out = run(call, l.device(), [&](Exec& exec) {
              return hessian(l, side, HessianOptions{limit}, exec);
            });
            const std::int64_t n = side == Side::source ? l.n() : l.m();
            return std::pair(to_array<T, 4>(std::move(out.value), {n, l.dim(), n, l.dim()}),
                             out.dropped_modes);
          },
          "side"_a, "limit"_a, "call"_a);
}
}  // namespace

void bind_derivatives(nb::module_& m) {
  nb::class_<SolveOptions>(m, "SolveOptions")
      .def(
          "__init__",
          [](SolveOptions* o, double tolerance, int max_iterations, bool strict) {
            new (o) SolveOptions{tolerance, max_iterations, strict};
          },
          "tolerance"_a, "max_iterations"_a, "strict"_a);
  nb::class_<InverseOptions>(m, "InverseOptions")
      .def(
          "__init__",
          [](InverseOptions* o, double tolerance, int max_iterations, double radius,
             const SolveOptions& inner) {
            new (o) InverseOptions{tolerance, max_iterations, radius, inner};
          },
          "tolerance"_a, "max_iterations"_a, "radius"_a, "inner"_a);
  nb::class_<InverseReport>(m, "InverseReport", "How far conjugate gradients on a Hessian went.")
      .def_ro("converged", &InverseReport::converged, "Whether the residual met the tolerance.")
      .def_ro("iterations", &InverseReport::iterations, "Hessian products.")
      .def_ro("passes", &InverseReport::passes, "Sweeps over all pairs, of all products.")
      .def_ro("residual", &InverseReport::residual, "Relative.")
      .def_ro(
          "condition", &InverseReport::condition,
          "Ratio of the extreme Ritz values: the condition number that the right-hand side saw.")
      .def_ro("negative_curvature", &InverseReport::negative_curvature,
              "Whether it ended on a direction of curvature <= 0.")
      .def_ro("boundary", &InverseReport::boundary, "Whether it ended on the radius.");
  using R = DerivativeReport;
  nb::class_<R>(m, "DerivativeReport", "How far a derivative's linear solve went.")
      .def_ro("converged", &R::converged, "Whether the residual met the tolerance.")
      .def_ro("iterations", &R::iterations, "Of block conjugate gradients.")
      .def_ro("passes", &R::passes, "Sweeps over all pairs.")
      .def_ro("residual", &R::residual, "Relative, the worst of all directions.")
      .def_ro("marginal_error", &R::marginal_error, "Of the plan: derivatives inherit it.")
      .def_ro("error_estimate", &R::error_estimate, "Relative, from both.")
      .def_ro("gap", &R::gap,
              "Least eigenvalue of the scaled Schur complement; 0: not estimated, as with several "
              "directions.")
      .def_ro("deflated", &R::deflated,
              "Smooth functions that were solved for directly: two-level conjugate gradients.")
      .def_ro("diagonal_ratio", &R::diagonal_ratio,
              "Least of the Schur complement's diagonal over the marginals'.")
      .def_ro("tv_margin", &R::tv_margin,
              "Distance of the potentials of a TV side from its kinks, in units of cost.");
  bind<float>(m, "LinearizationF32");
  bind<double>(m, "LinearizationF64");
}
}  // namespace monge::python
