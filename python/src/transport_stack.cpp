#include <nanobind/stl/vector.h>

#include <optional>
#include <utility>

#include "bindings.hpp"
#include "casts.hpp"
#include "entries.hpp"
#include "monge/ot/transport.hpp"
#include "run.hpp"
#include "tangents.hpp"

namespace monge::python {
namespace {
template <class T>
struct Stack {
  std::vector<double> masses;
  std::vector<std::pair<std::size_t, SinkhornReport>> unmet;
  Buffer<T> values, f, g, dx, dy, da, db;
};

/// One entry is a call of its own: its errors name no entry, and nothing is stacked.
template <class T>
Stack<T> solve(const std::vector<ProblemArgs<T>>& args, const SinkhornOptions& options, Wrt wrt,
               Exec& exec) {
  std::vector<Transport<T>> all;
  std::vector<Problem<T>> posed;
  if (args.size() == 1) {
    const auto& [geometry, a, b, marginal_a, marginal_b, more] = args.front();
    posed.emplace_back(geometry, a, b, marginal_a, marginal_b, more);
    all.push_back(transport(posed.front(), options, wrt, exec));
  } else {
    posed = problems<T>(args, exec);
    std::vector<BatchEntry<T>> entries;
    for (const Problem<T>& problem : posed) entries.push_back({&problem, options});
    all = transport<T>(entries, wrt, exec);
  }
  Stack<T> out;
  out.masses = {posed.front().mass_a(), posed.front().mass_b()};
  std::vector<T> values;
  for (const auto& [result, slopes] : all) {
    const SinkhornReport& report = result.report;
    if (!report.converged || report.transported_mass == 0)
      out.unmet.emplace_back(values.size(), report);
    values.push_back(static_cast<T>(report.dual_value));
  }
  out.values = placed<T>(values, exec);
  const auto stacked = [&](auto part) {
    if (all.size() == 1) return std::move(part(all.front()));
    std::vector<const Buffer<T>*> parts;
    for (Transport<T>& one : all) parts.push_back(&part(one));
    return monge::stacked<T>(parts, exec);
  };
  using One = Transport<T>;
  out.f = stacked([](One& one) -> Buffer<T>& { return one.result.f; });
  out.g = stacked([](One& one) -> Buffer<T>& { return one.result.g; });
  out.dx = stacked([](One& one) -> Buffer<T>& { return one.gradient.dx; });
  out.dy = stacked([](One& one) -> Buffer<T>& { return one.gradient.dy; });
  out.da = stacked([](One& one) -> Buffer<T>& { return one.gradient.da; });
  out.db = stacked([](One& one) -> Buffer<T>& { return one.gradient.db; });
  return out;
}

template <class T>
void bind(nb::module_& m) {
  m.def(
      "transport_stack",
      [](const Matrices<T>& x, const std::optional<Vectors<T>>& a, const Matrices<T>& y,
         const std::optional<Vectors<T>>& b, const DivergenceOptions& options,
         const std::vector<std::string>& wrt, const Call& call) {
        const auto xs = views<T>(x), ys = views<T>(y);
        const auto as = views<T>(a, xs.size()), bs = views<T>(b, xs.size());
        std::vector<ProblemArgs<T>> args;
        for (std::size_t i = 0; i < xs.size(); ++i)
          args.push_back({PointCloud<T>{xs[i], ys[i], options.cost},
                          as[i],
                          bs[i],
                          options.marginal_a,
                          options.marginal_b,
                          {std::nullopt, options.mass_tolerance, to_stream(call.stream)}});
        const auto count = static_cast<std::int64_t>(xs.size());
        const std::int64_t n = xs.front().rows, m = ys.front().rows, d = xs.front().cols;
        Stack<T> out = queue(call, xs.front().device, [&](Exec& exec) {
          return solve<T>(args, options, to_wrt(wrt), exec);
        });
        return std::tuple(out.unmet, out.masses, to_capsule<T, 1>(std::move(out.values), {count}),
                          to_capsule<T, 3>(std::move(out.f), {count, 1, n}),
                          to_capsule<T, 3>(std::move(out.g), {count, 1, m}),
                          to_capsule<T, 3>(std::move(out.dx), {count, n, d}),
                          to_capsule<T, 3>(std::move(out.dy), {count, m, d}),
                          to_capsule<T, 2>(std::move(out.da), {count, n}),
                          to_capsule<T, 2>(std::move(out.db), {count, m}));
      },
      "x"_a.noconvert(), "a"_a.noconvert().none(), "y"_a.noconvert(), "b"_a.noconvert().none(),
      "options"_a, "wrt"_a, "call"_a,
      "Of at least one entry, all of one size: (entry, report) of those that did not converge or "
      "carry no mass; both masses of the first; values; potentials [B, 1, n] and [B, 1, m]; the "
      "gradients that wrt names, by letters. Arrays are capsules of DLPack, ready in the order of "
      "the call's stream.");
}
}  // namespace

void bind_transport_stack(nb::module_& m) {
  bind<float>(m);
  bind<double>(m);
}
}  // namespace monge::python
