// monge gradient and monge hvp: derivatives of the value of a transport problem, and their products
// with directions.
#include "monge/ot/derivatives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/clouds.hpp"
#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/report.hpp"
#include "io/atomic_file.hpp"
#include "io/npy.hpp"
#include "io/npz.hpp"
#include "io/result_directory.hpp"
#include "monge/core/error.hpp"

namespace monge::cli {
namespace {
constexpr const char* kGradientExamples =
    "Examples:\n"
    "  monge gradient examples/data/source.csv examples/data/target.csv --blur 0.1 --reach 0.5\n"
    "  monge gradient examples/data/source.csv examples/data/target.csv --epsilon 0.01 --out "
    "slopes";
constexpr const char* kHvpHelp =
    "FILE is an .npz with some of dx (n, d), dy (m, d), da (n), db (m): a direction of the points "
    "and\nweights, or k of them in front, (k, n, d) and so on.";

struct DerivativeFlags : Flags {
  std::optional<std::string> out;
  bool force = false;
  std::string along;
  double hvp_tolerance = 1e-8;
  int hvp_max_iterations = 2000;
};

const std::vector<std::string> kDerivativeFiles{"report.json", "dx.npy", "dy.npy", "da.npy",
                                                "db.npy",      "df.npy", "dg.npy"};

/// A result of a name and shape, empty where there is none.
template <class T>
struct Part {
  const char* name;
  Buffer<T> values;  // on the host
  std::vector<std::int64_t> shape;

  double norm() const {
    double sum = 0;
    for (const T v : values) sum += static_cast<double>(v) * v;
    return std::sqrt(sum);
  }
};

template <class T>
void write(io::ResultDirectory& directory, const std::vector<Part<T>>& parts, const Json& report) {
  for (const Part<T>& part : parts) {
    check_stop();
    if (part.values.size() > 0)
      io::write_npy(directory.file(std::string(part.name) + ".npy"),
                    {part.shape, part.values.data()});
  }
  io::write_text(directory.file(kDerivativeFiles.front()), to_text(report));
  check_stop();
  directory.publish(kDerivativeFiles);
}

/// The two clouds and their plan.
template <class T>
struct SolvedClouds {
  Cloud<T> source, target;
  Problem<T> problem;

  SolvedClouds(const Flags& flags, Files files, const ProblemOptions& options, Device device)
      : source(std::move(files.source), device, flags.grid),
        target(std::move(files.target), device, flags.grid),
        problem(geometry_of(flags, source, target), source.weights(), target.weights(),
                flags.marginal_source(), flags.marginal_target(), options) {}
};

template <class T>
Json problem_of(const Flags& flags, const SolvedClouds<T>& in) {
  return {{"source", flags.source},
          {"target", flags.target},
          {"grid", to_json(flags, in.source, in.target)},
          {"cost", to_json(flags.ground_cost())},
          {"epsilon", flags.strength_of_entropy()},
          {"marginals", {to_json(in.problem.marginal_a()), to_json(in.problem.marginal_b())}},
          {"points", {in.problem.n(), in.problem.m()}},
          {"dimension", in.source.dim()},
          {"type", sizeof(T) == 4 ? "float32" : "float64"}};
}

std::vector<std::int64_t> joined(std::vector<std::int64_t> first,
                                 const std::vector<std::int64_t>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// Norms of all parts, as text and as JSON.
template <class T>
Json norms_of(const std::vector<Part<T>>& parts) {
  Json out = Json::object();
  for (const Part<T>& part : parts)
    if (part.values.size() > 0) out[part.name] = part.norm();
  return out;
}
std::string text_of(const Json& norms) {
  std::string out;
  for (const auto& [name, value] : norms.items())
    out += fmt::format("|{}|{:>17.9g}\n", name, value.template get<double>());
  return out;
}

template <class T, class Derive>
int run(const char* command, const DerivativeFlags& flags, Files files,
        std::optional<io::ResultDirectory>& directory, const Derive& derive) {
  const ProblemOptions options{{}, mass_tolerance(files, flags.grid)};
  const SolvedClouds<T> in(flags, std::move(files), options, parse_device(flags.device));
  SinkhornOptions how;
  flags.fill(how);
  auto line = std::make_optional<ProgressLine>(flags);
  Exec exec = line->exec(flags);
  defer_signals();
  const auto result = sinkhorn(in.problem, how, exec);
  const Plan<T> plan(in.problem, result);
  line->stage(command);
  Json report = header(command);
  report["problem"] = problem_of(flags, in);
  report["options"] = options_of(flags);
  report["value"] = result.report.dual_value;
  const std::vector<Part<T>> parts = derive(in, plan, report, exec);
  report["norms"] = norms_of(parts);
  report["solve"] = to_json(result.report);
  if (directory) write(*directory, parts, report);
  line.reset();
  print(flags.json ? to_text(report)
                   : fmt::format("{}\nvalue{:>17.9g}\n{}{}", summary(result.report),
                                 result.report.dual_value, text_of(report["norms"]),
                                 flags.out ? "results     " + *flags.out + "\n" : ""));
  return result.report.converged ? kOk : kNotConverged;
}

template <class T>
std::vector<Part<T>> slopes(const SolvedClouds<T>& in, const Plan<T>& plan, Json& report,
                            Exec& exec) {
  auto g = gradient(plan, exec);
  report["depsilon"] = g.depsilon;
  report["drho_source"] = g.drho_a;
  report["drho_target"] = g.drho_b;
  const std::vector<std::int64_t> d{in.source.dim()};
  std::vector<Part<T>> out;
  out.push_back({"dx", std::move(g.dx).to(Device{}), joined(in.source.shape(), d)});
  out.push_back({"dy", std::move(g.dy).to(Device{}), joined(in.target.shape(), d)});
  out.push_back({"da", std::move(g.da).to(Device{}), in.source.shape()});
  out.push_back({"db", std::move(g.db).to(Device{}), in.target.shape()});
  return out;
}

/// The directions of a file; all arrays have the same number of them, or there is one.
template <class T>
class Along {
 public:
  Along(const std::string& path, Device device) {
    const io::NpzReader file(path);
    for (const std::string& key : file.keys())
      if (key != "dx" && key != "dy" && key != "da" && key != "db")
        throw InvalidArgument(
            fmt::format("[cli] {} holds '{}', wanted some of dx, dy, da, db", path, key), "along");
    take(file, "dx", 3, dx_, path, device);
    take(file, "dy", 3, dy_, path, device);
    take(file, "da", 2, da_, path, device);
    take(file, "db", 2, db_, path, device);
    if (!several_) throw InvalidArgument(fmt::format("[cli] {} holds no direction", path), "along");
  }
  Tangent<T> tangent() const {
    Tangent<T> out{.count = static_cast<int>(count_)};
    out.dx = dx_.view();
    out.dy = dy_.view();
    out.da = da_.view();
    out.db = db_.view();
    return out;
  }
  /// What results have in front: nothing for a single direction.
  std::vector<std::int64_t> front() const {
    return *several_ ? std::vector<std::int64_t>{count_} : std::vector<std::int64_t>{};
  }

 private:
  struct Given {
    Buffer<T> values;
    std::int64_t rows = 0, cols = 0;
    MatrixView<const T> view() const {
      if (values.size() == 0) return {};
      return {values.data(), rows, cols, cols, 1, values.device()};
    }
  };
  void take(const io::NpzReader& file, const char* key, std::size_t dims, Given& to,
            const std::string& path, Device device) {
    if (!file.has(key)) return;
    io::Array array = file.read(key);
    const auto shape = array.shape;
    const bool several = shape.size() == dims;
    if ((!several && shape.size() + 1 != dims) || array.fortran_order ||
        (several_ && (*several_ != several || (several && shape[0] != count_))))
      throw InvalidArgument(
          fmt::format("[cli] {}: {} has shape {}{}, wanted {} dimensions, or one more for several "
                      "directions, of which all arrays have the same",
                      path, key, io::to_string(shape),
                      array.fortran_order ? " in Fortran order" : "", dims - 1),
          "along");
    several_ = several;
    if (several) count_ = shape[0];
    to.cols = shape.back();
    to.rows = 1;
    for (std::size_t k = 0; k + 1 < shape.size(); ++k) to.rows *= shape[k];
    to.values = io::take<T>(std::move(array)).to(device);
  }

  std::optional<bool> several_;
  std::int64_t count_ = 1;
  Given dx_, dy_, da_, db_;
};

template <class T>
std::vector<Part<T>> products(const DerivativeFlags& flags, const SolvedClouds<T>& in,
                              const Plan<T>& plan, Json& report, Exec& exec) {
  const Along<T> along(flags.along, exec.device);
  constexpr Wrt kAll = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights;
  const SolveOptions options{flags.hvp_tolerance, flags.hvp_max_iterations, false};
  auto h = hvp(linearize(plan, exec, flags.kernel_cache), along.tangent(), kAll, options, exec);
  report["hvp"] = {
      {"along", flags.along},
      {"converged", h.report.converged},
      {"iterations", h.report.iterations},
      {"passes", h.report.passes},
      {"residual", h.report.residual},
      {"error_estimate", h.report.error_estimate},
      {"gap", h.report.gap > 0 ? Json(h.report.gap) : Json()},
      {"tv_margin", std::isfinite(h.report.tv_margin) ? Json(h.report.tv_margin) : Json()}};
  const auto shape = [&](const Cloud<T>& cloud, bool points) {
    auto own = cloud.shape();
    if (points) own.push_back(cloud.dim());
    return joined(along.front(), own);
  };
  std::vector<Part<T>> out;
  out.push_back({"dx", std::move(h.dx).to(Device{}), shape(in.source, true)});
  out.push_back({"dy", std::move(h.dy).to(Device{}), shape(in.target, true)});
  out.push_back({"da", std::move(h.da).to(Device{}), shape(in.source, false)});
  out.push_back({"db", std::move(h.db).to(Device{}), shape(in.target, false)});
  out.push_back({"df", std::move(h.df).to(Device{}), shape(in.source, false)});
  out.push_back({"dg", std::move(h.dg).to(Device{}), shape(in.target, false)});
  return out;
}

std::shared_ptr<DerivativeFlags> add_common(CLI::App& command) {
  auto flags = std::make_shared<DerivativeFlags>();
  add_clouds(command, *flags);
  add_flags(command, *flags);
  auto* out =
      command
          .add_option("--out", flags->out, "New or empty directory for the arrays and report.json")
          ->option_text("DIRECTORY")
          ->group(kResults);
  command.add_flag("--force", flags->force, "Replace the results in --out")
      ->needs(out)
      ->option_text(" ")
      ->group(kResults);
  return flags;
}

template <class Run>
void on_parse(CLI::App& command, std::shared_ptr<DerivativeFlags> flags, int& exit_code,
              const Run& run_in) {
  command.callback([flags = std::move(flags), &exit_code, run_in] {
    std::optional<io::ResultDirectory> directory;
    if (flags->out) directory.emplace(*flags->out, flags->force);  // before anything takes long
    Files files = read_files(*flags);
    exit_code = in_float(files, *flags) ? run_in(float{}, *flags, std::move(files), directory)
                                        : run_in(double{}, *flags, std::move(files), directory);
  });
}
}  // namespace

void add_gradient(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "gradient", "Derivatives of the value in points, weights, epsilon and strengths");
  auto flags = add_common(*command);
  command->footer(kGradientExamples);
  on_parse(*command, flags, exit_code,
           [](auto type, const DerivativeFlags& f, Files files, auto& directory) {
             using T = decltype(type);
             return run<T>("gradient", f, std::move(files), directory, slopes<T>);
           });
}

void add_hvp(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("hvp", "How the gradient in points and weights moves along a direction");
  auto flags = add_common(*command);
  command->add_option("--along", flags->along, "The direction, or several: an .npz, see below")
      ->required()
      ->option_text("FILE")
      ->group(kProblem);
  command
      ->add_option("--hvp-tolerance", flags->hvp_tolerance,
                   "Relative, of the linear solve (default 1e-8)")
      ->check(CLI::PositiveNumber)
      ->option_text("NUMBER")
      ->group(kRun);
  command
      ->add_option("--hvp-max-iterations", flags->hvp_max_iterations,
                   "Of the linear solve (default 2000)")
      ->check(CLI::PositiveNumber)
      ->option_text("NUMBER")
      ->group(kRun);
  command->footer(kHvpHelp);
  on_parse(*command, flags, exit_code,
           [](auto type, const DerivativeFlags& f, Files files, auto& directory) {
             using T = decltype(type);
             return run<T>("hvp", f, std::move(files), directory,
                           [&](const SolvedClouds<T>& in, const Plan<T>& plan, Json& report,
                               Exec& exec) { return products(f, in, plan, report, exec); });
           });
}
}  // namespace monge::cli
