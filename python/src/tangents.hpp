// Directions, cotangents and products between Python's arrays and derivatives.hpp.
#pragma once
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "casts.hpp"
#include "monge/ot/derivatives.hpp"
#include "run.hpp"

namespace monge::python {
template <class T>
using Rows = std::optional<nb::ndarray<const T, nb::ndim<2>, nb::c_contig>>;  // [count, n]
template <class T>
using Points = std::optional<nb::ndarray<const T, nb::ndim<3>, nb::c_contig>>;  // [count, n, d]
using Numbers = std::vector<double>;

template <class T>
MatrixView<const T> view(const Rows<T>& rows) {
  if (!rows) return {};
  const auto cols = static_cast<std::int64_t>(rows->shape(1));
  return {rows->data(), static_cast<std::int64_t>(rows->shape(0)), cols, cols, 1, device_of(*rows)};
}
template <class T>
MatrixView<const T> view(const Points<T>& points) {
  if (!points) return {};
  const auto d = static_cast<std::int64_t>(points->shape(2));
  return {
      points->data(),    static_cast<std::int64_t>(points->shape(0) * points->shape(1)), d, d, 1,
      device_of(*points)};
}

/// [count, n, ...] of what the core returns flat; None where it is empty.
template <class T>
std::optional<Owned<T, 2>> to_rows_of(Buffer<T>&& buffer, std::int64_t count) {
  return to_rows(std::move(buffer), count);
}
template <class T>
std::optional<Owned<T, 3>> to_points(Buffer<T>&& buffer, std::int64_t count, std::int64_t d) {
  if (buffer.size() == 0) return std::nullopt;
  const std::int64_t n = buffer.size() / count / d;
  return to_array<T, 3>(std::move(buffer), {count, n, d});
}

inline Wrt to_wrt(const std::vector<std::string>& names) {
  static constexpr std::pair<const char*, Wrt> kNames[] = {
      {"x", Wrt::source},         {"y", Wrt::target},        {"a", Wrt::source_weights},
      {"b", Wrt::target_weights}, {"epsilon", Wrt::epsilon}, {"rho", Wrt::penalty}};
  auto out = Wrt{};
  for (const std::string& name : names) {
    bool known = false;
    for (const auto& [text, wrt] : kNames)
      if (name == text) out = out | wrt, known = true;
    if (!known)
      throw InvalidArgument("[derivatives] wrt holds '" + name +
                                "', wanted some of 'x', 'y', 'a', 'b', 'epsilon', 'rho'",
                            "wrt");
  }
  return out;
}

/// What hvp() at a linearisation of plan or divergence gives, as arrays.
template <class T, class At>
auto hvp_of(const At& at, std::int64_t dim, Device device, const Tangent<T>& along,
            const std::vector<std::string>& wrt, const SolveOptions& options, const Call& call) {
  const Wrt of = to_wrt(wrt);
  const int count = along.count;
  auto out = run(call, device, [&](Exec& exec) { return hvp(at, along, of, options, exec); });
  return std::tuple(to_points(std::move(out.dx), count, dim),
                    to_points(std::move(out.dy), count, dim), to_rows_of(std::move(out.da), count),
                    to_rows_of(std::move(out.db), count), to_rows_of(std::move(out.df), count),
                    to_rows_of(std::move(out.dg), count), out.depsilon, out.drho_a, out.drho_b,
                    out.dlevel, out.report);
}
}  // namespace monge::python
