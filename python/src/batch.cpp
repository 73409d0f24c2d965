#include "monge/ot/batch.hpp"

#include <nanobind/stl/variant.h>

#include "bindings.hpp"
#include "casts.hpp"
#include "options.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
/// One for each entry: a list, or the slices of one array.
template <class T>
using Matrices = std::variant<nb::ndarray<const T, nb::ndim<3>>, std::vector<Matrix<T>>>;
template <class T>
using Vectors = std::variant<Matrix<T>, std::vector<std::optional<Vector<T>>>>;
/// One for all entries, or one for each.
template <class V>
using Values = std::vector<V>;

template <class V>
const V& at(const Values<V>& values, std::size_t i) {
  return values[values.size() == 1 ? 0 : i];
}

template <class T>
std::vector<MatrixView<const T>> views(const Matrices<T>& given) {
  std::vector<MatrixView<const T>> out;
  if (const auto* list = std::get_if<1>(&given)) {
    for (const auto& matrix : *list) out.push_back(view(matrix));
    return out;
  }
  const auto& stack = std::get<0>(given);
  const Device device = device_of(stack);
  for (std::size_t i = 0; i < stack.shape(0); ++i)
    out.emplace_back(stack.data() + static_cast<std::int64_t>(i) * stack.stride(0),
                     static_cast<std::int64_t>(stack.shape(1)),
                     static_cast<std::int64_t>(stack.shape(2)), stack.stride(1), stack.stride(2),
                     device);
  return out;
}

/// None is the core's empty view for every entry.
template <class T>
std::vector<VectorView<const T>> views(const std::optional<Vectors<T>>& given, std::size_t count) {
  std::vector<VectorView<const T>> out;
  if (!given) {
    out.resize(count);
  } else if (const auto* list = std::get_if<1>(&*given)) {
    for (const auto& vector : *list) out.push_back(view(vector));
  } else {
    const auto rows = view(std::get<0>(*given));
    for (std::int64_t i = 0; i < rows.rows; ++i)
      out.emplace_back(&rows(i, 0), rows.cols, rows.col_stride, rows.device);
  }
  return out;
}

/// Problems, and in the end their results.
template <class T>
struct Batch {
  explicit Batch(std::vector<Problem<T>> problems) : problems(std::move(problems)) {}
  Batch(Batch&&) noexcept = default;  // and no copy, which a vector would promise for its results

  std::vector<Problem<T>> problems;
  std::vector<SinkhornResult<T>> results;
  Device device() const { return problems.empty() ? Device{} : problems.front().device(); }
};

template <class T, class V>
Owned<V, 1> column(const Batch<T>& batch, V (*of)(const SinkhornReport&)) {
  Buffer<V> out(static_cast<std::int64_t>(batch.results.size()));
  for (std::size_t i = 0; i < batch.results.size(); ++i)
    out[static_cast<std::int64_t>(i)] = of(batch.results[i].report);
  return to_array(std::move(out));
}

/// Asked with the entry's index before the report.
SinkhornOptions for_entry(const SinkhornOptions& options, double epsilon, std::size_t entry,
                          const nb::object& on_check) {
  SinkhornOptions out = options;
  out.epsilon = epsilon;
  if (on_check.is_none()) return out;
  return with_callback(out, nb::cpp_function([entry, on_check](const nb::object& report) {
                         return on_check(entry, report);
                       }));
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
          else
            return g.values.device;
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
      .def("values",
           [](const B& b) {
             return column<T, double>(b, [](const SinkhornReport& r) { return r.dual_value; });
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
            for (std::size_t i = 0; i < b.problems.size(); ++i) {
              entries.push_back({&b.problems[i], for_entry(options, at(epsilon, i), i, on_check)});
              if (start_f) entries[i].start.f = view((*start_f)[i]);
              if (start_g) entries[i].start.g = view((*start_g)[i]);
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
          entries.push_back({&batch.problems.at(k),
                             for_entry(options, at(epsilon, which[k]), which[k], on_check)});
          from.push_back(&begun.results.at(which[k]));
        }
        batch.results =
            run(call, batch.device(), [&](Exec& exec) { return sinkhorn(entries, from, exec); });
      },
      "batch"_a, "options"_a, "epsilon"_a, "begun"_a, "which"_a, "on_check"_a.none(), "call"_a);
}
}  // namespace monge::python
