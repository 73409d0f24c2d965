#include "monge/ot/batch.hpp"

#include "bindings.hpp"
#include "entries.hpp"
#include "referenced.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
/// Problems, and in the end their results.
template <class T>
struct Batch {
  explicit Batch(std::vector<Problem<T>> problems) : problems(std::move(problems)) {}
  Batch(Batch&&) noexcept = default;  // and no copy, which a vector would promise for its results

  std::vector<Problem<T>> problems;
  std::vector<ReferencedProblem<T>> referenced;  // none: under the product
  std::vector<SinkhornResult<T>> results;        // of the equivalent problems where there are some

  /// An entry to solve, and what its start becomes.
  BatchEntry<T> entry(std::size_t i, SinkhornOptions options) const {
    if (referenced.empty()) return {&problems[i], std::move(options)};
    return {referenced[i].problem.get(), as_asked(referenced[i], std::move(options))};
  }
  Device device() const { return problems.empty() ? Device{} : problems.front().device(); }
};

template <class T, class V>
Owned<V, 1> column(const Batch<T>& batch, V (*of)(const SinkhornReport&)) {
  Buffer<V> out(static_cast<std::int64_t>(batch.results.size()));
  for (std::size_t i = 0; i < batch.results.size(); ++i)
    out[static_cast<std::int64_t>(i)] = of(batch.results[i].report);
  return to_array(std::move(out));
}

template <class T, class GeometryOf>
Batch<T> make_batch(std::size_t count, const GeometryOf& geometry,
                    const std::vector<VectorView<const T>>& a,
                    const std::vector<VectorView<const T>>& b, const Values<MarginalSpec>& side_a,
                    const Values<MarginalSpec>& side_b,
                    const Values<std::optional<double>>& total_mass,
                    const Values<double>& mass_tolerance, const Call& call) {
  std::vector<ProblemArgs<T>> args;
  args.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    args.push_back({geometry(i),
                    a[i],
                    b[i],
                    to_marginal(at(side_a, i)),
                    to_marginal(at(side_b, i)),
                    {at(total_mass, i), at(mass_tolerance, i), to_stream(call.stream)}});
  Device device{};
  if (count)
    device = std::visit(
        [](const auto& g) {
          if constexpr (requires { g.x; })
            return g.x.device;
          else if constexpr (requires { g.values; })
            return g.values.device;
          else
            return g.device;
        },
        args.front().geometry);
  return Batch<T>(run(call, device, [&](Exec& exec) { return problems<T>(args, exec); }));
}

template <class T>
void bind(nb::module_& m, const char* name) {
  using B = Batch<T>;
  constexpr auto inside = nb::rv_policy::reference_internal;
  nb::class_<B>(m, name)
      .def("__len__", [](const B& b) { return b.problems.size(); })
      .def(
          "problem",
          [](const B& b, std::size_t i) -> const Problem<T>& { return b.problems.at(i); },
          "entry"_a, inside)
      .def(
          "result",
          [](const B& b, std::size_t i) -> const SinkhornResult<T>& { return b.results.at(i); },
          "entry"_a, inside)
      .def(
          "referenced",
          [](const B& b, std::size_t i) {
            return b.referenced.empty() ? nullptr : &b.referenced.at(i);
          },
          "entry"_a, inside)
      .def(
          "refer",
          [](B& b, const Values<double>& epsilon, const std::optional<Vectors<T>>& r_a,
             const std::optional<Vectors<T>>& r_b) {
            const auto on_a = views<T>(r_a, b.problems.size()),
                       on_b = views<T>(r_b, b.problems.size());
            for (std::size_t i = 0; i < b.problems.size(); ++i)
              b.referenced.push_back(
                  with_reference(b.problems[i], at(epsilon, i), on_a[i], on_b[i]));
          },
          "epsilon"_a, "r_a"_a.noconvert().none(), "r_b"_a.noconvert().none(),
          "Every problem under r_a r_b^T; None means counting.")
      .def("values",
           [](const B& b) {
             Buffer<double> out(static_cast<std::int64_t>(b.results.size()));
             for (std::size_t i = 0; i < b.results.size(); ++i)
               out[static_cast<std::int64_t>(i)] =
                   b.results[i].report.dual_value +
                   (b.referenced.empty() ? 0 : b.referenced[i].map.value_offset);
             return to_array(std::move(out));
           })
      .def("marginal_errors",
           [](const B& b) {
             return column<T, double>(b, [](const SinkhornReport& r) { return r.marginal_error; });
           })
      .def("transported_masses",
           [](const B& b) {
             return column<T, double>(b,
                                      [](const SinkhornReport& r) { return r.transported_mass; });
           })
      .def("iterations",
           [](const B& b) {
             return column<T, std::int64_t>(
                 b, [](const SinkhornReport& r) { return std::int64_t{r.iterations}; });
           })
      .def("passes",
           [](const B& b) {
             return column<T, std::int64_t>(b, [](const SinkhornReport& r) { return r.passes; });
           })
      .def("converged",
           [](const B& b) {
             return column<T, bool>(b, [](const SinkhornReport& r) { return r.converged; });
           })
      .def(
          "goes_on",
          [](const B& b, const SinkhornOptions& options) {
            std::vector<std::size_t> out;
            for (std::size_t i = 0; i < b.results.size(); ++i)
              if (goes_on(options, b.results[i].report)) out.push_back(i);
            return out;
          },
          "options"_a, "The entries whose solve in float32 is to go on in float64.")
      .def(
          "solve",
          [](B& b, const SinkhornOptions& options, const Values<double>& epsilon,
             const std::optional<std::vector<std::optional<Vector<T>>>>& start_f,
             const std::optional<std::vector<std::optional<Vector<T>>>>& start_g,
             const nb::object& on_check, const Call& call) {
            std::vector<BatchEntry<T>> entries;
            entries.reserve(b.problems.size());
            std::vector<Buffer<T>> held;  // starts of equivalent problems
            const auto start = [&](Side side, std::size_t i,
                                   const auto& given) -> VectorView<const T> {
              const VectorView<const T> from = given ? view((*given)[i]) : VectorView<const T>{};
              if (b.referenced.empty()) return from;
              held.push_back(b.referenced[i].map.from_asked(side, from));
              return held.back().view();
            };
            for (std::size_t i = 0; i < b.problems.size(); ++i) {
              entries.push_back(b.entry(i, for_entry(options, at(epsilon, i), i, on_check)));
              entries[i].start = {start(Side::source, i, start_f), start(Side::target, i, start_g)};
            }
            b.results =
                run(call, b.device(), [&](Exec& exec) { return sinkhorn<T>(entries, exec); });
          },
          "options"_a, "epsilon"_a, "start_f"_a.noconvert().none(), "start_g"_a.noconvert().none(),
          "on_check"_a.none(), "call"_a);

  m.def(
      "point_batch",
      [](const Matrices<T>& x, const Matrices<T>& y, const std::string& cost, double power,
         const std::optional<Vectors<T>>& a, const std::optional<Vectors<T>>& b,
         const Values<MarginalSpec>& marginal_a, const Values<MarginalSpec>& marginal_b,
         const Values<std::optional<double>>& total_mass, const Values<double>& mass_tolerance,
         const Call& call) {
        const auto xs = views<T>(x), ys = views<T>(y);
        const Cost parsed = parse_cost(cost, power);
        return make_batch<T>(
            xs.size(),
            [&](std::size_t i) {
              return PointCloud<T>{xs[i], ys[i], parsed};
            },
            views<T>(a, xs.size()), views<T>(b, xs.size()), marginal_a, marginal_b, total_mass,
            mass_tolerance, call);
      },
      "x"_a.noconvert(), "y"_a.noconvert(), "cost"_a, "power"_a, "a"_a.noconvert().none(),
      "b"_a.noconvert().none(), "marginal_a"_a, "marginal_b"_a, "total_mass"_a, "mass_tolerance"_a,
      "call"_a, nb::keep_alive<0, 1>(), nb::keep_alive<0, 2>(), nb::keep_alive<0, 5>(),
      nb::keep_alive<0, 6>());
  m.def(
      "matrix_batch",
      [](const Matrices<T>& values, const std::optional<Vectors<T>>& a,
         const std::optional<Vectors<T>>& b, const Values<MarginalSpec>& marginal_a,
         const Values<MarginalSpec>& marginal_b, const Values<std::optional<double>>& total_mass,
         const Values<double>& mass_tolerance, const Call& call) {
        const auto costs = views<T>(values);
        return make_batch<T>(
            costs.size(), [&](std::size_t i) { return CostMatrix<T>{costs[i]}; },
            views<T>(a, costs.size()), views<T>(b, costs.size()), marginal_a, marginal_b,
            total_mass, mass_tolerance, call);
      },
      "values"_a.noconvert(), "a"_a.noconvert().none(), "b"_a.noconvert().none(), "marginal_a"_a,
      "marginal_b"_a, "total_mass"_a, "mass_tolerance"_a, "call"_a, nb::keep_alive<0, 1>(),
      nb::keep_alive<0, 2>(), nb::keep_alive<0, 3>());
}
}  // namespace

void bind_batch(nb::module_& m) {
  bind<float>(m, "BatchF32");
  bind<double>(m, "BatchF64");
  m.def(
      "go_on_batch",
      [](Batch<double>& batch, const SinkhornOptions& options, const Values<double>& epsilon,
         const Batch<float>& begun, const std::vector<std::size_t>& which,
         const nb::object& on_check, const Call& call) {
        std::vector<BatchEntry<double>> entries;
        std::vector<const SinkhornResult<float>*> from;
        for (std::size_t k = 0; k < which.size(); ++k) {
          entries.push_back(
              batch.entry(k, for_entry(options, at(epsilon, which[k]), which[k], on_check)));
          from.push_back(&begun.results.at(which[k]));
        }
        batch.results =
            run(call, batch.device(), [&](Exec& exec) { return sinkhorn(entries, from, exec); });
      },
      "batch"_a, "options"_a, "epsilon"_a, "begun"_a, "which"_a, "on_check"_a.none(), "call"_a);
}
}  // namespace monge::python
