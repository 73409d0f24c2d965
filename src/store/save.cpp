#include <limits>
#include <type_traits>

#include "info.hpp"
#include "monge/info.hpp"
#include "monge/store/solution.hpp"
#include "store/fields.hpp"
#include "store/hash.hpp"

namespace monge {
namespace {
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const char* kind_of(const Marginal& marginal) {
  if (std::holds_alternative<KL>(marginal)) return "kl";
  return std::holds_alternative<TV>(marginal) ? "tv" : "balanced";
}
double strength_of(const Marginal& marginal) {
  if (const auto* kl = std::get_if<KL>(&marginal)) return kl->rho;
  const auto* tv = std::get_if<TV>(&marginal);
  return tv ? tv->lambda : 0;
}

template <class T>
void put(Fields& out, const Lattice<T>& lattice) {
  std::vector<double> shape, origin, spacing, periodic;
  const int dim = lattice.source.dim;
  for (const Grid* grid : {&lattice.source, &lattice.target})
    for (int k = 0; k < dim; ++k) {
      shape.push_back(static_cast<double>(grid->shape[k]));
      origin.push_back(grid->origin[k]);
      spacing.push_back(grid->spacing[k]);
    }
  for (int k = 0; k < dim; ++k) periodic.push_back(lattice.periodic[k] ? 1 : 0);
  out.numbers("grid_shape", std::move(shape), {2, dim});
  out.numbers("grid_origin", std::move(origin), {2, dim});
  out.numbers("grid_spacing", std::move(spacing), {2, dim});
  out.numbers("periodic", std::move(periodic), {dim});
}

template <class T>
void put(Fields& out, const LabelsOf<T>& labels) {
  const auto listed = [](VectorView<const std::int64_t> of) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < of.size; ++i) values.push_back(static_cast<double>(of[i]));
    return values;
  };
  std::vector<double> table;
  for (std::int64_t s = 0; s < labels.table.rows; ++s)
    for (std::int64_t t = 0; t < labels.table.cols; ++t) table.push_back(labels.table(s, t));
  out.numbers("labels_x", listed(labels.labels_x), {labels.labels_x.size});
  out.numbers("labels_y", listed(labels.labels_y), {labels.labels_y.size});
  out.numbers("label_table", std::move(table), {labels.table.rows, labels.table.cols});
  out.numbers("label_lambdas", {labels.lambda_x, labels.lambda_y}, {2});
}
}  // namespace

template <class T>
void save(const std::string& path, const Problem<T>& problem, const SinkhornResult<T>& result,
          const SinkhornOptions& options, const SaveOptions& how, const ReferenceOf<T>& reference,
          const LabelsOf<T>& labels) {
  void* const stream = problem.stream();
  const auto* const cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  const auto* const matrix = std::get_if<CostMatrix<T>>(&problem.geometry());
  const auto* const lattice = std::get_if<Lattice<T>>(&problem.geometry());
  const bool labelled = labels.x.data != nullptr;
  const MatrixView<const T> none;
  const Here<T> x(labelled ? labels.x
                  : cloud  ? cloud->x
                           : none,
                  stream),
      y(labelled ? labels.y
        : cloud  ? cloud->y
                 : none,
        stream),
      C(matrix ? matrix->values : none, stream), a(problem.a(), stream), b(problem.b(), stream);
  const auto f = result.f.to(Device{}, stream), g = result.g.to(Device{}, stream),
             f_rest = result.f_rest.to(Device{}, stream),
             g_rest = result.g_rest.to(Device{}, stream);
  const SinkhornReport& report = result.report;

  Fields out;
  // What an earlier monge reads it may read.
  out.integer("format", lattice || labelled || problem.bounds() ? kSolutionFormat : 1);
  out.text("version", version());
  out.text("commit", commit());
  out.text("instruction_set", instruction_set());
  out.text("type", kType<T>);
  out.text("given_type", how.given_type.empty() ? kType<T> : how.given_type);
  out.integer("n", problem.n());
  out.integer("m", problem.m());
  out.integer("dimension", lattice ? lattice->source.dim : x.cols);
  if (cloud || lattice) {
    const Cost& cost = cloud ? cloud->cost : lattice->cost;
    const auto* const power = std::get_if<Power>(&cost);
    out.text("cost", cost_name(cost));
    out.number("cost_power", power ? power->p : 2);
  }
  if (lattice) put(out, *lattice);
  if (labelled) put(out, labels);
  const HeldBounds bounds = lower_bounds(problem);
  if (problem.bounds()) {
    out.array("bound_rows", {bounds.rows.size()}, bounds.rows.data());
    out.array("bound_columns", {bounds.columns.size()}, bounds.columns.data());
    out.array("bound_values", {bounds.values.size()}, bounds.values.data());
  }
  out.text("marginal_a", kind_of(problem.marginal_a()));
  out.text("marginal_b", kind_of(problem.marginal_b()));
  out.numbers("strengths", {strength_of(problem.marginal_a()), strength_of(problem.marginal_b())},
              {2});
  out.number("total_mass", problem.total_mass().value_or(kNone));
  out.number("mass_tolerance", problem.mass_tolerance());
  out.numbers("masses", {problem.mass_a(), problem.mass_b()}, {2});
  out.text("reference", reference.name);
  const auto field = [&](const std::string& key, auto value) {
    if constexpr (std::is_floating_point_v<decltype(value)>)
      out.number(key, value);
    else
      out.integer(key, value);
  };
  SinkhornOptions asked = options;
  asked.epsilon = report.epsilon;
  for_each_option(asked, field);
  out.text("precision", to_string(options.precision));
  for_each_number(report, field);
  if (report.geometry == Sweeps::tree) for_each_tree_number(report, field);
  out.text("status", to_string(report.status));
  std::vector<double> trace;
  for (const SinkhornCheck& check : report.trace)
    for_each_column(check, [&](auto value) { trace.push_back(static_cast<double>(value)); });
  out.numbers("trace", std::move(trace),
              {static_cast<std::int64_t>(report.trace.size()), kTraceColumns});
  out.array("f", {f.size()}, f.data());
  out.array("g", {g.size()}, g.data());
  if (f_rest.size()) out.array("f_rest", {f_rest.size()}, f_rest.data());
  if (g_rest.size()) out.array("g_rest", {g_rest.size()}, g_rest.data());
  const auto arrays = [&](const std::string& name, const Here<T>& values, bool stored,
                          std::vector<std::int64_t> shape) {
    if (!values.data) return;
    out.text("hash_" + name, hash(values));
    if (stored) out.array(name, std::move(shape), values.data);
  };
  arrays("x", x, how.points, {x.rows, x.cols});
  arrays("y", y, how.points, {y.rows, y.cols});
  arrays("C", C, false, {});
  arrays("a", a, how.points, {a.rows});
  arrays("b", b, how.points, {b.rows});
  const Here<T> r_a(reference.a, stream), r_b(reference.b, stream);
  if (r_a.data) out.array("reference_a", {r_a.rows}, r_a.data);
  if (r_b.data) out.array("reference_b", {r_b.rows}, r_b.data);
  io::write_npz(path, out.arrays());
}

#define MONGE_INSTANTIATE(T)                                                            \
  template void save(const std::string&, const Problem<T>&, const SinkhornResult<T>&,   \
                     const SinkhornOptions&, const SaveOptions&, const ReferenceOf<T>&, \
                     const LabelsOf<T>&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
