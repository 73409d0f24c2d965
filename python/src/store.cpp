#include "monge/store/solution.hpp"

#include "bindings.hpp"
#include "casts.hpp"

namespace monge::python {
namespace {
using Shape = std::vector<std::int64_t>;
Shape shape_of(const Grid& grid) { return {grid.shape.begin(), grid.shape.begin() + grid.dim}; }
// Labels of either side, the table and its columns, lambda_x, lambda_y.
using Labelling = std::tuple<Owned<const std::int64_t, 1>, Owned<const std::int64_t, 1>,
                             Owned<const double, 1>, std::int64_t, double, double>;
// The arguments of with_labels.
template <class T>
using LabelsSpec = std::tuple<Matrix<T>, Vector<std::int64_t>, Matrix<T>, Vector<std::int64_t>,
                              Matrix<double>, double, double>;

template <class T>
void bind(nb::module_& m, const char* name) {
  using Saved = SavedSolution<T>;
  nb::class_<Saved>(m, name)
      .def_ro("version", &Saved::version)
      .def_ro("given_type", &Saved::given_type)
      .def_ro("options", &Saved::options)
      .def_ro("reference", &Saved::reference)
      .def_prop_ro("cost",
                   [](const Saved& s) -> std::optional<std::pair<std::string, double>> {
                     if (s.dim == 0) return std::nullopt;
                     const auto* const power = std::get_if<Power>(&s.cost);
                     return std::pair{cost_name(s.cost), power ? power->p : 2};
                   })
      .def_prop_ro("shapes",
                   [](const Saved& s) -> std::optional<std::pair<Shape, Shape>> {
                     if (!s.lattice) return std::nullopt;
                     return std::pair{shape_of(s.lattice->source), shape_of(s.lattice->target)};
                   })
      .def_prop_ro("labels",
                   [](const Saved& s) -> std::optional<Labelling> {
                     if (!s.labels) return std::nullopt;
                     const SavedLabels& l = *s.labels;
                     return Labelling{window(s, l.x), window(s, l.y), window(s, l.table),
                                      l.columns,      l.lambda_x,     l.lambda_y};
                   })
      .def_prop_ro("x", [](const Saved& s) { return window(s, s.x); })
      .def_prop_ro("y", [](const Saved& s) { return window(s, s.y); })
      .def(
          "labelled",
          [](const Saved& s, const std::optional<Matrix<T>>& x, const std::optional<Matrix<T>>& y) {
            const auto matrix = [](const auto& array) {
              return array ? view(*array) : MatrixView<const T>{};
            };
            return s.labelled({matrix(x), matrix(y), {}, {}, {}});
          },
          "x"_a.noconvert().none(), "y"_a.noconvert().none())
      .def_prop_ro(
          "reference_weights",
          [](const Saved& s) -> std::optional<std::pair<Owned<const T, 1>, Owned<const T, 1>>> {
            if (s.reference_a.size() == 0) return std::nullopt;
            return std::pair{window(s, s.reference_a), window(s, s.reference_b)};
          })
      .def_prop_ro(
          "result", [](Saved& s) -> SinkhornResult<T>& { return s.result; },
          nb::rv_policy::reference_internal)
      // The problem views what was stored and what is given.
      .def(
          "problem",
          [](const Saved& s, const std::optional<Matrix<T>>& x, const std::optional<Matrix<T>>& y,
             const std::optional<Matrix<T>>& C, const std::optional<Vector<T>>& a,
             const std::optional<Vector<T>>& b, const LabelledClouds<T>* labelled) {
            const auto matrix = [](const auto& array) {
              return array ? view(*array) : MatrixView<const T>{};
            };
            return new Problem<T>(
                s.problem({matrix(x), matrix(y), matrix(C), view(a), view(b)}, labelled));
          },
          "x"_a.noconvert().none(), "y"_a.noconvert().none(), "C"_a.noconvert().none(),
          "a"_a.noconvert().none(), "b"_a.noconvert().none(), "labelled"_a.none() = nb::none(),
          nb::keep_alive<0, 1>(), nb::keep_alive<0, 2>(), nb::keep_alive<0, 3>(),
          nb::keep_alive<0, 4>(), nb::keep_alive<0, 5>(), nb::keep_alive<0, 6>(),
          nb::keep_alive<0, 7>());
  m.def(
      "save",
      [](const std::string& path, const Problem<T>& problem, const SinkhornResult<T>& result,
         const SinkhornOptions& options, bool points, const std::string& given_type,
         const std::string& reference, const std::optional<Vector<T>>& r_a,
         const std::optional<Vector<T>>& r_b, const std::optional<LabelsSpec<T>>& labels) {
        const ReferenceOf<T> under{reference, view(r_a), view(r_b)};
        LabelsOf<T> of;
        if (labels) {
          const auto& [x, labels_x, y, labels_y, table, lambda_x, lambda_y] = *labels;
          of = {view(x), view(y), view(labels_x), view(labels_y), view(table), lambda_x, lambda_y};
        }
        const nb::gil_scoped_release unlocked;
        save(path, problem, result, options, {points, given_type}, under, of);
      },
      "path"_a, "problem"_a, "result"_a, "options"_a, "points"_a, "given_type"_a, "reference"_a,
      "r_a"_a.noconvert().none(), "r_b"_a.noconvert().none(), "labels"_a.none() = nb::none());
}
}  // namespace

void bind_store(nb::module_& m) {
  bind<float>(m, "SavedSolutionF32");
  bind<double>(m, "SavedSolutionF64");
  m.def(
      "load",
      [](const std::string& path) {
        return std::visit([](auto&& saved) { return nb::cast(std::move(saved)); }, load(path));
      },
      "path"_a);
}
}  // namespace monge::python
