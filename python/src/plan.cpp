#include "monge/ot/plan.hpp"

#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "casts.hpp"
#include "monge/ot/composition.hpp"
#include "monge/ot/sparsify.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
using Indices = Owned<std::int64_t, 1>;

template <class T>
std::tuple<Indices, Indices, Owned<T, 1>> to_tuple(SparsePlan<T>&& sparse) {
  return {to_array(std::move(sparse.offsets)), to_array(std::move(sparse.columns)),
          to_array(std::move(sparse.values))};
}

template <class T>
std::pair<Owned<T, 2>, Owned<T, 3>> to_pair(Moments<T>&& moments, std::int64_t rows) {
  const std::int64_t d = moments.mean.size() / rows;
  return {to_array<T, 2>(std::move(moments.mean), {rows, d}),
          to_array<T, 3>(std::move(moments.covariance), {rows, d, d})};
}

template <class T>
std::pair<Owned<T, 2>, Owned<bool, 1>> to_pair(Buffer<T>&& images, Buffer<bool>&& valid,
                                               std::int64_t rows) {
  const std::int64_t d = images.size() / rows;
  return {to_array<T, 2>(std::move(images), {rows, d}), to_array(std::move(valid))};
}

template <class T>
void bind(nb::module_& m, const char* name) {
  using P = Plan<T>;
  const auto rows = [](const P& p, Side side) { return side == Side::source ? p.n() : p.m(); };

  nb::class_<P>(m, name)
      .def_prop_ro("n", &P::n)
      .def_prop_ro("m", &P::m)
      .def_prop_ro("device", [](const P& p) { return to_string(p.problem().device()); })
      .def_prop_ro("truncation", &P::truncation)
      .def(
          "apply",
          [rows](const P& p, Side side, const Matrix<T>& v, const Call& call) {
            auto out = run(call, p.problem().device(),
                           [&](Exec& exec) { return p.apply(side, view(v), exec); });
            return to_array<T, 2>(std::move(out),
                                  {rows(p, side), static_cast<std::int64_t>(v.shape(1))});
          },
          "rows"_a, "v"_a.noconvert(), "call"_a)
      .def(
          "marginal",
          [](const P& p, Side side, const Call& call) {
            return to_array(run(call, p.problem().device(),
                                [&](Exec& exec) { return p.marginal(side, exec); }));
          },
          "side"_a, "call"_a)
      .def(
          "value",
          [](const P& p, const Call& call) {
            return run(call, p.problem().device(), [&](Exec& exec) { return p.value(exec); });
          },
          "call"_a)
      .def(
          "terms",
          [](const P& p, const Call& call) {
            return run(call, p.problem().device(), [&](Exec& exec) { return p.terms(exec); });
          },
          "call"_a)
      .def(
          "barycentric",
          [rows](const P& p, Side side, const std::optional<Matrix<T>>& values, const Call& call) {
            Buffer<bool> valid(rows(p, side), p.problem().device());
            auto images = run(call, p.problem().device(), [&](Exec& exec) {
              return values ? p.barycentric(side, view(*values), exec, valid.data())
                            : p.barycentric(side, exec, valid.data());
            });
            return to_pair(std::move(images), std::move(valid), rows(p, side));
          },
          "rows"_a, "values"_a.noconvert().none(), "call"_a)
      .def(
          "moments",
          [rows](const P& p, Side side, const std::optional<Matrix<T>>& values, const Call& call) {
            return to_pair(run(call, p.problem().device(),
                               [&](Exec& exec) {
                                 return values ? p.moments(side, view(*values), exec)
                                               : p.moments(side, exec);
                               }),
                           rows(p, side));
          },
          "rows"_a, "values"_a.noconvert().none(), "call"_a)
      .def(
          "potential",
          [](const P& p, Side side, const Matrix<T>& z, const Call& call) {
            return to_array(run(call, p.problem().device(),
                                [&](Exec& exec) { return p.potential(side, view(z), exec); }));
          },
          "side"_a, "z"_a.noconvert(), "call"_a)
      .def(
          "map",
          [](const P& p, Side side, const Matrix<T>& z, const Call& call) {
            auto out = run(call, p.problem().device(),
                           [&](Exec& exec) { return p.map(side, view(z), exec); });
            return to_array<T, 2>(std::move(out), {static_cast<std::int64_t>(z.shape(0)),
                                                   static_cast<std::int64_t>(z.shape(1))});
          },
          "side"_a, "z"_a.noconvert(), "call"_a)
      .def(
          "top_k",
          [](const P& p, int k, const Call& call) {
            return to_tuple(
                run(call, p.problem().device(), [&](Exec& exec) { return p.top_k(k, exec); }));
          },
          "k"_a, "call"_a)
      .def(
          "sparse",
          [](const P& p, double threshold, std::int64_t limit, const Call& call) {
            return to_tuple(run(call, p.problem().device(),
                                [&](Exec& exec) { return p.sparse(threshold, exec, limit); }));
          },
          "threshold"_a, "limit"_a, "call"_a)
      .def(
          "sparsify",
          [](const P& p, const std::string& rule, double value, std::int64_t limit,
             const Call& call) {
            const Keep keep = rule == "mass"         ? Keep(KeepMass{value})
                              : rule == "percentile" ? Keep(KeepPercentile{value})
                                                     : Keep(KeepRows{});
            auto out = run(call, p.problem().device(),
                           [&](Exec& exec) { return sparsify(p, keep, exec, limit); });
            return std::pair{to_tuple(std::move(out.plan)), out.share};
          },
          "rule"_a, "value"_a, "limit"_a, "call"_a)
      .def(
          "draw_pairs",
          [](const P& p, std::int64_t k, std::uint64_t seed, const Call& call) {
            Pairs64 pairs = run(call, p.problem().device(),
                                [&](Exec& exec) { return p.draw_pairs(k, seed, exec); });
            return std::pair<Indices, Indices>{to_array(std::move(pairs.source)),
                                               to_array(std::move(pairs.target))};
          },
          "k"_a, "seed"_a, "call"_a)
      .def(
          "draw_targets",
          [](const P& p, int k, std::uint64_t seed, const Call& call) {
            auto out = run(call, p.problem().device(),
                           [&](Exec& exec) { return p.draw_targets(k, seed, exec); });
            return to_array<std::int64_t, 2>(std::move(out), {p.n(), k});
          },
          "k"_a, "seed"_a, "call"_a)
      .def(
          "dense",
          [](const P& p, std::int64_t limit, const Call& call) {
            auto out =
                run(call, p.problem().device(), [&](Exec& exec) { return p.dense(exec, limit); });
            return to_array<T, 2>(std::move(out), {p.n(), p.m()});
          },
          "limit"_a, "call"_a);
  // The plan refers to the problem for as long as it lives.
  m.def(
      "plan",
      [](const Problem<T>& problem, const SinkhornResult<T>& result) {
        return new P(problem, result);
      },
      "problem"_a, "result"_a, nb::keep_alive<0, 1>());
  m.def(
      "plan",
      [](const Problem<T>& problem, double epsilon, const Vector<T>& f, const Vector<T>& g) {
        return new P(problem, epsilon, view(f), view(g));
      },
      "problem"_a, "epsilon"_a, "f"_a.noconvert(), "g"_a.noconvert(), nb::keep_alive<0, 1>());
}

template <class T>
void bind_composition(nb::module_& m, const char* name) {
  using C = Composition<T>;
  nb::class_<C>(m, name)
      .def_prop_ro("n", &C::n)
      .def_prop_ro("m", &C::m)
      .def(
          "apply",
          [](const C& c, Side side, const Matrix<T>& v, const Call& call) {
            auto out =
                run(call, device_of(v), [&](Exec& exec) { return c.apply(side, view(v), exec); });
            return to_array<T, 2>(std::move(out), {side == Side::source ? c.n() : c.m(),
                                                   static_cast<std::int64_t>(v.shape(1))});
          },
          "rows"_a, "v"_a.noconvert(), "call"_a)
      .def(
          "marginal",
          [](const C& c, Side side, const std::string& device, const Call& call) {
            return to_array(run(call, parse_device(device),
                                [&](Exec& exec) { return c.marginal(side, exec); }));
          },
          "side"_a, "device"_a, "call"_a)
      .def(
          "dense",
          [](const C& c, std::int64_t limit, const std::string& device, const Call& call) {
            auto out =
                run(call, parse_device(device), [&](Exec& exec) { return c.dense(exec, limit); });
            return to_array<T, 2>(std::move(out), {c.n(), c.m()});
          },
          "limit"_a, "device"_a, "call"_a);
  // It refers to the plans: the caller keeps them.
  m.def(
      "compose",
      [](std::vector<const Plan<T>*> plans, const Call& call) {
        const Device device = plans.front()->problem().device();
        return new C(run(call, device, [&](Exec& exec) { return C(plans, exec); }));
      },
      "plans"_a, "call"_a);
}
}  // namespace

void bind_plan(nb::module_& m) {
  nb::enum_<Side>(m, "Side").value("source", Side::source).value("target", Side::target);
  nb::class_<PlanTerms>(
      m, "PlanTerms",
      "The parts of the objective at the plan, in units of the cost (entropy: of mass).")
      .def_ro("linear", &PlanTerms::linear)
      .def_ro("entropy", &PlanTerms::entropy)
      .def_ro("penalty_a", &PlanTerms::penalty_a)
      .def_ro("penalty_b", &PlanTerms::penalty_b)
      .def("__repr__", [](const PlanTerms& t) {
        return nb::str("PlanTerms(linear={}, entropy={}, penalty_a={}, penalty_b={})")
            .format(t.linear, t.entropy, t.penalty_a, t.penalty_b);
      });
  m.attr("DENSE_LIMIT") = Plan<double>::kDenseLimit;
  bind<float>(m, "PlanF32");
  bind<double>(m, "PlanF64");
  bind_composition<float>(m, "CompositionF32");
  bind_composition<double>(m, "CompositionF64");
}
}  // namespace monge::python
