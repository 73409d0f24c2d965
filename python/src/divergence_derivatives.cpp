#include "monge/ot/divergence_derivatives.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "ended.hpp"
#include "run.hpp"
#include "tangents.hpp"

namespace monge::python {
namespace {
/// With what the shapes and the place of its products are.
template <class T>
struct Linearized {
  DivergenceLinearization<T> at;
  std::int64_t n, m, dim;
  Device device;
};

template <class T>
using Potential = nb::ndarray<const T, nb::ndim<1>, nb::c_contig>;

template <class T>
void bind(nb::module_& m, const char* name) {
  using L = Linearized<T>;
  nb::class_<L>(m, name)
      .def_ro("n", &L::n)
      .def_ro("m", &L::m)
      .def_prop_ro("device", [](const L& l) { return to_string(l.device); })
      .def(
          "hvp",
          [](const L& l, int count, const Points<T>& dx, const Points<T>& dy, const Rows<T>& da,
             const Rows<T>& db, const Rows<T>& df, const Rows<T>& dg, const Numbers& depsilon,
             const Numbers& drho_a, const Numbers& drho_b, const Numbers& dmass,
             const std::vector<std::string>& wrt, const SolveOptions& options, const Call& call) {
            const Tangent<T> along{count,       view<T>(dx), view<T>(dy), view<T>(da),
                                   view<T>(db), depsilon,    drho_a,      drho_b,
                                   dmass,       view<T>(df), view<T>(dg)};
            return hvp_of(l.at, l.dim, l.device, along, wrt, options, call);
          },
          "count"_a, "dx"_a.none(), "dy"_a.none(), "da"_a.none(), "db"_a.none(), "df"_a.none(),
          "dg"_a.none(), "depsilon"_a, "drho_a"_a, "drho_b"_a, "dmass"_a, "wrt"_a, "options"_a,
          "call"_a);
  // It views points and weights, which keep_alive holds.
  m.def(
      "linearize_divergence",
      [](const Matrix<T>& x, const std::optional<Vector<T>>& a, const Matrix<T>& y,
         const std::optional<Vector<T>>& b, const DivergenceOptions& options,
         const Potential<T>& f_ab, const Potential<T>& g_ab, const Potential<T>& f_aa,
         const Potential<T>& g_aa, const Potential<T>& f_bb, const Potential<T>& g_bb,
         const Call& call) {
        const Device device = device_of(x);
        const auto on = [](const Potential<T>& from) { return view(Vector<T>(from)); };
        auto at = run(call, device, [&](Exec& exec) {
          Divergence<T> found;
          found.ab = ended(on(f_ab), on(g_ab), options.epsilon, exec.stream);
          found.aa = ended(on(f_aa), on(g_aa), options.epsilon, exec.stream);
          found.bb = ended(on(f_bb), on(g_bb), options.epsilon, exec.stream);
          return linearize(Measure<T>{view(x), view(a)}, Measure<T>{view(y), view(b)}, found,
                           options, exec);
        });
        return L{std::move(at), static_cast<std::int64_t>(x.shape(0)),
                 static_cast<std::int64_t>(y.shape(0)), static_cast<std::int64_t>(x.shape(1)),
                 device};
      },
      "x"_a.noconvert(), "a"_a.noconvert().none(), "y"_a.noconvert(), "b"_a.noconvert().none(),
      "options"_a, "f_ab"_a, "g_ab"_a, "f_aa"_a, "g_aa"_a, "f_bb"_a, "g_bb"_a, "call"_a,
      nb::keep_alive<0, 1>(), nb::keep_alive<0, 2>(), nb::keep_alive<0, 3>(),
      nb::keep_alive<0, 4>());
}
}  // namespace

void bind_divergence_derivatives(nb::module_& m) {
  bind<float>(m, "DivergenceLinearizationF32");
  bind<double>(m, "DivergenceLinearizationF64");
}
}  // namespace monge::python
