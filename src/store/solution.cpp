#include "monge/store/solution.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "info.hpp"
#include "io/npz.hpp"
#include "io/zip.hpp"
#include "monge/info.hpp"

namespace monge {
namespace {
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

template <class T>
constexpr const char* kType = sizeof(T) == 4 ? "float32" : "float64";

// Arrays of the caller's, adjacent and on the host; a view is copied only where it is not.
template <class T>
struct Here {
  Buffer<T> owned;
  const T* data = nullptr;
  std::int64_t rows = 0, cols = 0;

  Here(MatrixView<const T> from, void* stream) : rows(from.rows), cols(from.cols) {
    if (!from.data) return;
    const bool adjacent = from.col_stride == 1 && (from.row_stride == from.cols || from.rows == 1);
    if (adjacent && !from.device.is_cuda()) {
      data = from.data;
      return;
    }
    // All that the strides span, then gathered here.
    const std::int64_t span = (from.rows - 1) * from.row_stride + (from.cols - 1) * from.col_stride;
    Buffer<T> copied(from.device.is_cuda() ? span + 1 : 0);
    if (from.device.is_cuda()) {
      copy(copied.data(), Device{}, from.data, from.device,
           (span + 1) * static_cast<std::int64_t>(sizeof(T)), stream);
      from.data = copied.data();
    }
    owned = Buffer<T>(rows * cols);
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < cols; ++j) owned[i * cols + j] = from(i, j);
    data = owned.data();
  }
  Here(VectorView<const T> from, void* stream)
      : Here(MatrixView<const T>(from.data, from.size, 1, from.stride, 1, from.device), stream) {}
};

/// 64 bits of the values and their shape, as 16 hexadecimal digits; "" of no array.
template <class T>
std::string hash(const Here<T>& array) {
  if (!array.data) return {};
  std::uint64_t state = 0xcbf29ce484222325u;
  const auto mix = [&](std::uint64_t word) {
    state = (state ^ word) * 0x9e3779b97f4a7c15u;
    state ^= state >> 32;
  };
  mix(static_cast<std::uint64_t>(array.rows));
  mix(static_cast<std::uint64_t>(array.cols));
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  for (std::int64_t e = 0; e < array.rows * array.cols; ++e)
    mix(std::bit_cast<Bits>(array.data[e]));
  return fmt::format("{:016x}", state);
}

const char* kind_of(const Marginal& marginal) {
  if (std::holds_alternative<KL>(marginal)) return "kl";
  return std::holds_alternative<TV>(marginal) ? "tv" : "balanced";
}
double strength_of(const Marginal& marginal) {
  if (const auto* kl = std::get_if<KL>(&marginal)) return kl->rho;
  const auto* tv = std::get_if<TV>(&marginal);
  return tv ? tv->lambda : 0;
}

// The scalars of a report and of the options, each under its name.
template <class Report, class Field>
void for_each_number(Report& r, const Field& field) {
  field("iterations", r.iterations);
  field("passes", r.passes);
  field("marginal_error", r.marginal_error);
  field("residual_a", r.residual_a);
  field("residual_b", r.residual_b);
  field("dual_value", r.dual_value);
  field("transported_mass", r.transported_mass);
  field("duality_gap", r.duality_gap);
  field("predicted_floor", r.predicted_floor);
  field("weight_error", r.weight_error);
  field("fast_passes", r.fast_passes);
  field("absorbed", r.absorbed);
  field("mass_level", r.mass_level);
  field("omega", r.omega);
}
// Those of a solve by trees: in files of such solves alone.
template <class Report, class Field>
void for_each_tree_number(Report& r, const Field& field) {
  field("truncation", r.truncation);
  field("kept", r.kept);
  field("coarse_passes", r.coarse_passes);
  field("verified", r.verified);
}
template <class Options, class Field>
void for_each_option(Options& o, const Field& field) {
  field("epsilon", o.epsilon);
  field("tolerance", o.tolerance);
  field("max_iterations", o.max_iterations);
  field("check_every", o.check_every);
  field("translate", o.translate);
  field("kernel_cache", o.kernel_cache);
}
constexpr std::int64_t kTraceColumns = 8;
template <class Check, class Field>
void for_each_column(Check& c, const Field& field) {
  field(c.iterations);
  field(c.passes);
  field(c.epsilon);
  field(c.marginal_error);
  field(c.residual_a);
  field(c.residual_b);
  field(c.dual_value);
  field(c.transported_mass);
}

// What a writer holds until the file is written; addresses stay.
class Fields {
 public:
  void number(const std::string& key, double value) {
    array(key, {}, kept(std::vector<double>{value}));
  }
  void numbers(const std::string& key, std::vector<double> values,
               std::vector<std::int64_t> shape) {
    array(key, std::move(shape), kept(std::move(values)));
  }
  void integer(const std::string& key, std::int64_t value) {
    integers_.push_back(std::make_unique<std::int64_t>(value));
    array(key, {}, integers_.back().get());
  }
  void text(const std::string& key, const std::string& value) {
    texts_.push_back(std::make_unique<std::string>(value));
    arrays_.push_back({key, io::ArrayView(*texts_.back())});
  }
  template <class T>
  void array(const std::string& key, std::vector<std::int64_t> shape, const T* data) {
    arrays_.push_back({key, {std::move(shape), data}});
  }
  const std::vector<io::NamedArray>& arrays() const { return arrays_; }

 private:
  const double* kept(std::vector<double> values) {
    numbers_.push_back(std::make_unique<std::vector<double>>(std::move(values)));
    return numbers_.back()->data();
  }
  std::vector<std::unique_ptr<std::vector<double>>> numbers_;
  std::vector<std::unique_ptr<std::int64_t>> integers_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<io::NamedArray> arrays_;
};

/// A file's fields by name.
class Reader {
 public:
  explicit Reader(const std::string& path) : archive_(path) {}

  bool has(const std::string& key) const { return archive_.find(key + ".npy") != nullptr; }
  io::Array array(const std::string& key) const {
    return archive_.read(entry(key), [](io::Source& source) { return io::read_npy(source); });
  }
  std::string text(const std::string& key) const {
    return archive_.read(entry(key), [](io::Source& source) { return io::read_npy_text(source); });
  }
  std::vector<double> numbers(const std::string& key) const {
    const io::Array found = array(key);
    return std::visit([](const auto& v) { return std::vector<double>(v.begin(), v.end()); },
                      found.values);
  }
  std::vector<double> numbers(const std::string& key, std::size_t count) const {
    auto out = numbers(key);
    if (out.size() != count)
      fail(fmt::format("{} holds {} numbers, wanted {}", key, out.size(), count));
    return out;
  }
  double number(const std::string& key) const { return numbers(key, 1)[0]; }
  std::int64_t integer(const std::string& key) const {
    const double value = number(key);
    if (!(std::abs(value) <= 0x1p53 && value == std::floor(value)))
      fail(fmt::format("{} is {}, wanted an integer", key, value));
    return static_cast<std::int64_t>(value);
  }
  std::int64_t count(const std::string& key, std::int64_t least) const {
    const std::int64_t value = integer(key);
    if (value < least) fail(fmt::format("{} is {}, wanted at least {}", key, value, least));
    return value;
  }
  /// Of `rows` rows and, where it is no vector, `cols` columns.
  template <class T>
  Buffer<T> values(const std::string& key, std::int64_t rows, std::int64_t cols = 0) const {
    io::Array found = array(key);
    const auto wanted = cols > 0 ? std::vector{rows, cols} : std::vector{rows};
    auto* const out = std::get_if<Buffer<T>>(&found.values);
    if (!out || found.shape != wanted || found.fortran_order)
      fail(fmt::format("{} has shape {} of {}, wanted {} of {}", key, io::to_string(found.shape),
                       found.stored, io::to_string(wanted), kType<T>));
    return std::move(*out);
  }
  template <class T>
  Buffer<T> optional(const std::string& key, std::int64_t rows, std::int64_t cols = 0) const {
    return has(key) ? values<T>(key, rows, cols) : Buffer<T>();
  }
  [[noreturn]] void fail(const std::string& why) const {
    throw IoError(fmt::format("[store] {}: {}", archive_.name(), why));
  }

 private:
  const io::ZipEntry& entry(const std::string& key) const {
    const auto* const found = archive_.find(key + ".npy");
    if (!found) fail(fmt::format("it has no '{}', so it is no solution that monge saved", key));
    return *found;
  }
  io::ZipReader archive_;
};

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
  if (out.dim > 0) {
    out.x = file.optional<T>("x", out.n, out.dim);
    out.y = file.optional<T>("y", out.m, out.dim);
    out.hash_x = file.text("hash_x");
    out.hash_y = file.text("hash_y");
  } else {
    out.hash_C = file.text("hash_C");
  }
  out.a = file.optional<T>("a", out.n);
  out.b = file.optional<T>("b", out.m);
  out.hash_a = file.text("hash_a");
  out.hash_b = file.text("hash_b");
  return out;
}
}  // namespace

template <class T>
void save(const std::string& path, const Problem<T>& problem, const SinkhornResult<T>& result,
          const SinkhornOptions& options, const SaveOptions& how, const ReferenceOf<T>& reference) {
  if (std::holds_alternative<Lattice<T>>(problem.geometry()))
    throw NotAvailable("[store] a solution between grids is not saved: keep its potentials");
  if (problem.bounds())
    throw NotAvailable("[store] a solution with lower bounds cannot be saved: save its potentials");
  void* const stream = problem.stream();
  const auto* const cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  const auto* const matrix = std::get_if<CostMatrix<T>>(&problem.geometry());
  const MatrixView<const T> none;
  const Here<T> x(cloud ? cloud->x : none, stream), y(cloud ? cloud->y : none, stream),
      C(matrix ? matrix->values : none, stream), a(problem.a(), stream), b(problem.b(), stream);
  const auto f = result.f.to(Device{}, stream), g = result.g.to(Device{}, stream),
             f_rest = result.f_rest.to(Device{}, stream),
             g_rest = result.g_rest.to(Device{}, stream);
  const SinkhornReport& report = result.report;

  Fields out;
  out.integer("format", kSolutionFormat);
  out.text("version", version());
  out.text("commit", commit());
  out.text("instruction_set", instruction_set());
  out.text("type", kType<T>);
  out.text("given_type", how.given_type.empty() ? kType<T> : how.given_type);
  out.integer("n", problem.n());
  out.integer("m", problem.m());
  out.integer("dimension", cloud ? cloud->x.cols : 0);
  if (cloud) {
    const auto* const power = std::get_if<Power>(&cloud->cost);
    out.text("cost", cost_name(cloud->cost));
    out.number("cost_power", power ? power->p : 2);
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

template <class T>
Problem<T> SavedSolution<T>::problem(const ProblemArrays<T>& given) const {
  // The stored array, or the given one, which must be the one that was solved.
  const auto pick = [&](const char* name, MatrixView<const T> view, const Buffer<T>& stored,
                        const std::string& wanted) -> MatrixView<const T> {
    if (!view.data) {
      if (stored.size() > 0) return {stored.data(), stored.size() / view.cols, view.cols};
      throw InvalidArgument(
          fmt::format("[store] {} is not stored in {}, so it must be given", name, path), name);
    }
    if (view.device.is_cuda())
      throw InvalidArgument(fmt::format("[store] {} is on {}, wanted the CPU, where a solution is "
                                        "loaded",
                                        name, to_string(view.device)),
                            name);
    if (hash(Here<T>(view, nullptr)) != wanted)
      throw InvalidArgument(
          fmt::format("[store] {} is another than the one that {} was solved with: its values or "
                      "its shape ({}, {}) differ",
                      name, path, view.rows, view.cols),
          name);
    return view;
  };
  const auto matrix = [&](const char* name, MatrixView<const T> view, const Buffer<T>& stored,
                          const std::string& wanted) {
    if (!view.data) view.cols = dim;
    return pick(name, view, stored, wanted);
  };
  const auto weights = [&](const char* name, VectorView<const T> view, const Buffer<T>& stored,
                           const std::string& wanted) -> VectorView<const T> {
    const auto column =
        pick(name, {view.data, view.size, 1, view.stride, 1, view.device}, stored, wanted);
    return {column.data, column.rows, column.row_stride};
  };
  const auto own_a = weights("a", given.a, a, hash_a), own_b = weights("b", given.b, b, hash_b);
  // Of a total mass the sides were TV(infinity); what they act as is found again.
  constexpr TV kPartial{std::numeric_limits<double>::infinity()};
  const Marginal side_a = total_mass ? kPartial : marginal_a,
                 side_b = total_mass ? kPartial : marginal_b;
  const ProblemOptions options_of{.total_mass = total_mass, .mass_tolerance = mass_tolerance};
  if (dim == 0)
    return {CostMatrix<T>{matrix("C", given.C, Buffer<T>(), hash_C)},
            own_a,
            own_b,
            side_a,
            side_b,
            options_of};
  return {PointCloud<T>{matrix("x", given.x, x, hash_x), matrix("y", given.y, y, hash_y), cost},
          own_a,
          own_b,
          side_a,
          side_b,
          options_of};
}

#define MONGE_INSTANTIATE(T)                                                             \
  template void save(const std::string&, const Problem<T>&, const SinkhornResult<T>&,    \
                     const SinkhornOptions&, const SaveOptions&, const ReferenceOf<T>&); \
  template struct SavedSolution<T>;
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
