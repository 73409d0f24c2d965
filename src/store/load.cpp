#include <algorithm>
#include <type_traits>

#include "monge/info.hpp"
#include "monge/store/solution.hpp"
#include "store/fields.hpp"

namespace monge {
namespace {
Status parse_status(const Reader& file) {
  const std::string name = file.text("status");
  for (const Status status : {Status::converged, Status::max_iterations, Status::precision_floor,
                              Status::diverged, Status::stopped})
    if (name == to_string(status)) return status;
  file.fail(fmt::format("the status '{}' is not known", name));
}

Marginal parse_marginal(const Reader& file, const std::string& key, double strength) {
  const std::string kind = file.text(key);
  if (kind == "kl") return KL{strength};
  if (kind == "tv") return TV{strength};
  if (kind != "balanced") file.fail(fmt::format("{} is '{}', which is not known", key, kind));
  return Balanced{};
}

template <class T>
Lattice<T> parse_lattice(const Reader& file, std::int64_t dim, const Cost& cost) {
  if (dim < 1 || dim > 3) file.fail(fmt::format("its grids have {} axes", dim));
  const auto count = static_cast<std::size_t>(dim);
  const auto shape = file.integers("grid_shape", 2 * count),
             periodic = file.integers("periodic", count);
  const auto origin = file.numbers("grid_origin", 2 * count),
             spacing = file.numbers("grid_spacing", 2 * count);
  Lattice<T> out;
  out.cost = cost;
  for (std::size_t k = 0; k < count; ++k) out.periodic[k] = periodic[k] != 0;
  for (const std::size_t side : {0, 1}) {
    Grid& grid = side == 0 ? out.source : out.target;
    grid.dim = static_cast<int>(dim);
    for (std::size_t k = 0; k < count; ++k) {
      grid.shape[k] = shape[side * count + k];
      grid.origin[k] = origin[side * count + k];
      grid.spacing[k] = spacing[side * count + k];
    }
  }
  return out;
}

template <class U>
Buffer<U> held(const std::vector<U>& values) {
  Buffer<U> out(static_cast<std::int64_t>(values.size()));
  std::copy(values.begin(), values.end(), out.begin());
  return out;
}

SavedLabels parse_labels(const Reader& file, std::int64_t n, std::int64_t m) {
  const io::Array table = file.array("label_table");
  if (table.shape.size() != 2)
    file.fail(fmt::format("label_table has shape {}", io::to_string(table.shape)));
  const auto lambdas = file.numbers("label_lambdas", 2);
  return {held(file.integers("labels_x", static_cast<std::size_t>(n))),
          held(file.integers("labels_y", static_cast<std::size_t>(m))),
          held(file.numbers("label_table")),
          table.shape[1],
          lambdas[0],
          lambdas[1]};
}

template <class T>
SavedSolution<T> read(const Reader& file, const std::string& path) {
  SavedSolution<T> out;
  out.path = path;
  out.version = file.text("version");
  out.commit = file.text("commit");
  out.instruction_set = file.text("instruction_set");
  out.given_type = file.text("given_type");
  out.n = file.count("n", 1);
  out.m = file.count("m", 1);
  out.dim = file.count("dimension", 0);
  try {
    if (out.dim > 0) out.cost = parse_cost(file.text("cost"), file.number("cost_power"));
    out.options.precision = parse_precision(file.text("precision"));
  } catch (const InvalidArgument& error) {
    file.fail(error.what());
  }
  if (file.has("grid_shape")) out.lattice = parse_lattice<T>(file, out.dim, out.cost);
  if (file.has("labels_x")) out.labels = parse_labels(file, out.n, out.m);
  if (file.has("bound_values")) {
    const auto values = file.numbers("bound_values");
    out.bounds = {held(file.integers("bound_rows", values.size())),
                  held(file.integers("bound_columns", values.size())), held(values)};
  }
  const auto strengths = file.numbers("strengths", 2), masses = file.numbers("masses", 2);
  out.marginal_a = parse_marginal(file, "marginal_a", strengths[0]);
  out.marginal_b = parse_marginal(file, "marginal_b", strengths[1]);
  if (const double total = file.number("total_mass"); !std::isnan(total)) out.total_mass = total;
  out.mass_tolerance = file.number("mass_tolerance");
  out.mass_a = masses[0];
  out.mass_b = masses[1];
  out.reference = file.text("reference");
  out.reference_a = file.optional<T>("reference_a", out.n);
  out.reference_b = file.optional<T>("reference_b", out.m);
  const auto field = [&](const std::string& key, auto& value) {
    using Value = std::remove_reference_t<decltype(value)>;
    if constexpr (std::is_floating_point_v<Value>)
      value = file.number(key);
    else
      value = static_cast<Value>(file.integer(key));
  };
  for_each_option(out.options, field);
  SinkhornReport& report = out.result.report;
  for_each_number(report, field);
  if (file.has("truncation")) {
    report.geometry = Sweeps::tree;
    for_each_tree_number(report, field);
  }
  report.epsilon = out.options.epsilon;
  report.status = parse_status(file);
  report.converged = report.status == Status::converged;
  const auto trace = file.numbers("trace");
  if (trace.size() % kTraceColumns != 0) file.fail("trace has no rows of 8 numbers");
  report.trace.resize(trace.size() / kTraceColumns);
  auto next = trace.begin();
  for (SinkhornCheck& check : report.trace)
    for_each_column(check, [&](auto& value) {
      value = static_cast<std::remove_reference_t<decltype(value)>>(*next++);
    });
  out.result.f = file.values<T>("f", out.n);
  out.result.g = file.values<T>("g", out.m);
  out.result.f_rest = file.optional<T>("f_rest", out.n);
  out.result.g_rest = file.optional<T>("g_rest", out.m);
  if (out.dim == 0) {
    out.hash_C = file.text("hash_C");
  } else if (!out.lattice) {
    out.x = file.optional<T>("x", out.n, out.dim);
    out.y = file.optional<T>("y", out.m, out.dim);
    out.hash_x = file.text("hash_x");
    out.hash_y = file.text("hash_y");
  }
  out.a = file.optional<T>("a", out.n);
  out.b = file.optional<T>("b", out.m);
  out.hash_a = file.text("hash_a");
  out.hash_b = file.text("hash_b");
  return out;
}
}  // namespace

AnySolution load(const std::string& path) {
  const Reader file(path);
  const std::int64_t format = file.integer("format");
  if (format > kSolutionFormat || format < 1)
    throw IoError(
        fmt::format("[store] {} has format {} of monge {}; this is monge {}, which reads "
                    "formats up to {}",
                    path, format, file.text("version"), version(), kSolutionFormat));
  const std::string type = file.text("type");
  if (type == kType<float>) return read<float>(file, path);
  if (type != kType<double>) file.fail(fmt::format("its type is '{}'", type));
  return read<double>(file, path);
}
}  // namespace monge
