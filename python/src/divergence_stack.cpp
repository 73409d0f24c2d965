#include <nanobind/stl/vector.h>

#include <algorithm>

#include "bindings.hpp"
#include "casts.hpp"
#include "entries.hpp"
#include "monge/ot/batch.hpp"
#include "run.hpp"
#include "tangents.hpp"

namespace monge::python {
namespace {
/// Entry after entry, of each the parts in their order.
template <class T>
Buffer<T> stacked(const std::vector<Divergence<T>>& all,
                  std::initializer_list<const Buffer<T>& (*)(const Divergence<T>&)> parts,
                  Exec& exec) {
  std::vector<const Buffer<T>*> buffers;
  for (const Divergence<T>& one : all)
    for (const auto part : parts) buffers.push_back(&part(one));
  return monge::stacked<T>(buffers, exec);
}

template <class T>
struct Parts {
  std::vector<std::tuple<std::size_t, std::string, double>> unmet;
  Buffer<T> values, f, g, dx, dy, da, db;
};

template <class T>
Parts<T> solve(const std::vector<DivergenceEntry<T>>& entries, Exec& exec) {
  using D = Divergence<T>;
  const std::vector<D> all = divergence<T>(entries, exec);
  Parts<T> out;
  std::vector<T> values;
  for (const D& one : all) {
    const SinkhornReport* report = &one.ab.report;
    for (const auto* other : {&one.aa.report, &one.bb.report})
      if (report->converged) report = other;
    if (!report->converged)
      out.unmet.emplace_back(values.size(), to_string(report->status),
                             std::max({one.ab.report.marginal_error, one.aa.report.marginal_error,
                                       one.bb.report.marginal_error}));
    values.push_back(static_cast<T>(one.value));
  }
  out.values = placed<T>(values, exec);
  using Part = const Buffer<T>& (*)(const D&);
  const Part f_ab = [](const D&d) -> const Buffer<T>& { return d.ab.f; },
             g_ab = [](const D&d) -> const Buffer<T>& { return d.ab.g; },
             f_aa = [](const D&d) -> const Buffer<T>& { return d.aa.f; },
             g_aa = [](const D&d) -> const Buffer<T>& { return d.aa.g; },
             f_bb = [](const D&d) -> const Buffer<T>& { return d.bb.f; },
             g_bb = [](const D&d) -> const Buffer<T>& { return d.bb.g; },
             dx = [](const D&d) -> const Buffer<T>& { return d.dx; },
             dy = [](const D&d) -> const Buffer<T>& { return d.dy; },
             da = [](const D&d) -> const Buffer<T>& { return d.da; },
             db = [](const D&d) -> const Buffer<T>& { return d.db; };
  out.f = stacked<T>(all, {f_ab, f_aa, g_aa}, exec);
  out.g = stacked<T>(all, {g_ab, f_bb, g_bb}, exec);
  out.dx = stacked<T>(all, {dx}, exec);
  out.dy = stacked<T>(all, {dy}, exec);
  out.da = stacked<T>(all, {da}, exec);
  out.db = stacked<T>(all, {db}, exec);
  return out;
}

template <class T>
void bind(nb::module_& m) {
  m.def(
      "divergence_stack",
      [](const Matrices<T>& x, const std::optional<Vectors<T>>& a, const Matrices<T>& y,
         const std::optional<Vectors<T>>& b, const DivergenceOptions& options, const Call& call) {
        const auto xs = views<T>(x), ys = views<T>(y);
        const auto as = views<T>(a, xs.size()), bs = views<T>(b, xs.size());
        std::vector<DivergenceEntry<T>> entries;
        for (std::size_t i = 0; i < xs.size(); ++i)
          entries.push_back({{xs[i], as[i]}, {ys[i], bs[i]}, options});
        const auto count = static_cast<std::int64_t>(xs.size());
        const std::int64_t n = xs.front().rows, m = ys.front().rows, d = xs.front().cols;
        Parts<T> out =
            queue(call, xs.front().device, [&](Exec& exec) { return solve<T>(entries, exec); });
        return std::tuple(out.unmet, to_capsule<T, 1>(std::move(out.values), {count}),
                          to_capsule<T, 3>(std::move(out.f), {count, 3, n}),
                          to_capsule<T, 3>(std::move(out.g), {count, 3, m}),
                          to_capsule<T, 3>(std::move(out.dx), {count, n, d}),
                          to_capsule<T, 3>(std::move(out.dy), {count, m, d}),
                          to_capsule<T, 2>(std::move(out.da), {count, n}),
                          to_capsule<T, 2>(std::move(out.db), {count, m}));
      },
      "x"_a.noconvert(), "a"_a.noconvert().none(), "y"_a.noconvert(), "b"_a.noconvert().none(),
      "options"_a, "call"_a,
      "Of at least one entry, all of one size: (entry, status, error) of those that did not "
      "converge, by the first solve that did not and the worst marginal error; values; potentials "
      "[B, 3, n] (f of ab, f and g of aa) and [B, 3, m] (g of ab, f and g of bb); gradients. "
      "Arrays are capsules of DLPack, ready in the order of the call's stream.");
}
}  // namespace

void bind_divergence_stack(nb::module_& m) {
  bind<float>(m);
  bind<double>(m);
}
}  // namespace monge::python
