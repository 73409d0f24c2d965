// monge solve: potentials, maps, marginals, and a report of one transport problem.
#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>

#include "cli/clouds.hpp"
#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/report.hpp"
#include "cli/results.hpp"
#include "io/npz.hpp"
#include "monge/ot/plan.hpp"
#include "monge/ot/reference.hpp"
#include "monge/store/solution.hpp"

namespace monge::cli {
namespace {
constexpr const char* kSolveExamples =
    "Examples:\n"
    "  monge solve examples/data/source.csv examples/data/target.csv --blur 0.1 --reach 0.5\n"
    "  monge solve examples/data/source.csv examples/data/target.csv --epsilon 0.01 --rho-target 1 "
    "--out transport --plan-top-k 3\n"
    "  monge solve examples/data/before.npy examples/data/after.npy --grid --blur 2 --reach 8\n"
    "\n"
    "Exit codes: 0 converged, 1 not converged (results are written), 2 bad arguments, 3 not "
    "available,\n4 device failed, 5 files, 6 out of memory, 130 interrupted.";

struct SolveFlags : Flags {
  std::optional<double> mass;
  std::string reference = "product";
  std::optional<std::string> initial;
  std::optional<std::string> out, save;
  bool force = false;
  Wanted wanted;
};

/// Potentials f and g of an .npz file, as --save writes one.
template <class T>
struct Potentials {
  Buffer<T> f, g;

  Potentials(const std::optional<std::string>& path, Device device) {
    if (!path) return;
    const io::NpzReader file(*path);
    f = io::take<T>(file.read("f")).to(device);
    g = io::take<T>(file.read("g")).to(device);
  }
  Start<T> start() const { return {f.view(), g.view()}; }
};

template <class T>
Json problem_of(const SolveFlags& flags, const Problem<T>& problem, const Cloud<T>& source,
                const Cloud<T>& target) {
  return {{"source", flags.source},
          {"target", flags.target},
          {"grid", to_json(flags, source, target)},
          {"cost", to_json(flags.ground_cost())},
          {"epsilon", flags.strength_of_entropy()},
          {"marginals", {to_json(problem.marginal_a()), to_json(problem.marginal_b())}},
          {"masses", {problem.mass_a(), problem.mass_b()}},
          {"total_mass", problem.total_mass() ? Json(*problem.total_mass()) : Json()},
          {"reference", flags.reference},
          {"points", {problem.n(), problem.m()}},
          {"dimension", source.dim()},
          {"type", sizeof(T) == 4 ? "float32" : "float64"}};
}

template <class T>
std::string summary_of(const SolveFlags& flags, const Problem<T>& problem, std::int64_t dim,
                       const SinkhornReport& report, const PlanTerms& terms) {
  std::string out = fmt::format(
      "{}\n"
      "value             {:.9g}\n"
      "transport cost    {:.9g}\n"
      "transported mass  {:.9g} of {:.9g} and {:.9g}\n"
      "problem           {}, epsilon {:.6g}, {} and {}, {} x {} points in R^{}, {}\n",
      summary(report), report.dual_value, terms.linear, report.transported_mass, problem.mass_a(),
      problem.mass_b(), flags.cost, flags.strength_of_entropy(), to_string(problem.marginal_a()),
      to_string(problem.marginal_b()), problem.n(), problem.m(), dim,
      sizeof(T) == 4 ? "float32" : "float64");
  if (flags.out) out += fmt::format("results           {}\n", *flags.out);
  return out;
}

/// `begun`: the same solve in float, where it ended at its floor.
template <class T>
int run(const SolveFlags& flags, const Cloud<T>& source, const Cloud<T>& target,
        const ProblemOptions& options, std::optional<io::ResultDirectory>& directory,
        const SinkhornResult<float>* begun = nullptr) {
  constexpr TV kPartial{std::numeric_limits<double>::infinity()};
  const Problem<T> problem(geometry_of(flags, source, target), source.weights(), target.weights(),
                           flags.mass ? kPartial : flags.marginal_source(),
                           flags.mass ? kPartial : flags.marginal_target(), options);
  SinkhornOptions how;
  flags.fill(how);
  how.seed = flags.wanted.seed;
  const Potentials<T> initial(flags.initial, parse_device(flags.device));
  std::optional<ReferencedProblem<T>> referenced;
  if (flags.reference == "counting")
    referenced = with_reference(problem, how.epsilon, VectorView<const T>(), VectorView<const T>());
  const Problem<T>& solved = referenced ? *referenced->problem : problem;

  auto line = std::make_optional<ProgressLine>(flags);
  Exec exec = line->exec(flags);
  defer_signals();
  SinkhornResult<T> result;
  if constexpr (sizeof(T) == 4) {
    result = sinkhorn(solved, how, exec, initial.start());
    if (goes_on(how, result.report)) {
      line.reset();
      return run<double>(flags, Cloud<double>(source), Cloud<double>(target), options, directory,
                         &result);
    }
  } else {
    result =
        begun ? sinkhorn(solved, how, exec, *begun) : sinkhorn(solved, how, exec, initial.start());
  }
  if (flags.save)
    save(*flags.save, problem, result, how, {.given_type = begun ? "float32" : std::string()},
         ReferenceOf<T>{flags.reference, {}, {}});
  const Plan<T> plan(solved, result);
  if (referenced) result = referenced->map.to_asked(result);
  line->stage("plan");
  const PlanTerms terms = plan.terms(exec);

  Json report = header("solve");
  const bool drawn = flags.wanted.draws > 0 || how.initializer == Initializer::subsample;
  report["seed"] = drawn ? Json(flags.wanted.seed) : Json();
  report["problem"] = problem_of(flags, problem, source, target);
  report["options"] = options_of(flags);
  report["value"] = result.report.dual_value;
  // Under another reference the plan's entropy and penalties are those of the equivalent problem.
  report["terms"] = referenced ? Json{{"linear", terms.linear}}
                               : Json{{"linear", terms.linear},
                                      {"entropy", terms.entropy},
                                      {"penalty_source", terms.penalty_a},
                                      {"penalty_target", terms.penalty_b}};
  report.update(to_json(result.report));
  if (directory)
    write_results(*directory, plan, result, {source.shape(), target.shape(), source.dim()},
                  flags.wanted, report, exec);
  line.reset();

  print(flags.json ? to_text(report)
                   : summary_of(flags, problem, source.dim(), result.report, terms));
  return result.report.converged ? kOk : kNotConverged;
}

template <class T>
int run(const SolveFlags& flags, Files files, std::optional<io::ResultDirectory>& directory) {
  const ProblemOptions options{flags.mass, mass_tolerance(files, flags.grid)};
  const Device device = parse_device(flags.device);
  const Cloud<T> source(std::move(files.source), device, flags.grid),
      target(std::move(files.target), device, flags.grid);
  return run<T>(flags, source, target, options, directory);
}
}  // namespace

void add_solve(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("solve", "Transport one cloud, or masses on a grid, onto another");
  auto flags = std::make_shared<SolveFlags>();
  add_clouds(*command, *flags);
  add_flags(*command, *flags);

  auto* mass = number(*command, "--mass", flags->mass,
                      "Total transported mass, at most the weights on both sides");
  for (const char* name :
       {"--rho", "--rho-source", "--rho-target", "--reach", "--tv", "--tv-source", "--tv-target"})
    mass->excludes(command->get_option(name));
  command
      ->add_option("--reference", flags->reference,
                   "The entropy is relative to: product of the weights (default), counting")
      ->check(CLI::IsMember({"product", "counting"}))
      ->option_text("NAME")
      ->group(kProblem);

  command
      ->add_option("--initial", flags->initial,
                   "Start from the potentials f and g of an .npz, as --save writes one")
      ->option_text("FILE")
      ->group(kRun);

  auto* out = command
                  ->add_option("--out", flags->out,
                               "New or empty directory for f, g, marginals, maps and report.json")
                  ->option_text("DIRECTORY")
                  ->group(kResults);
  command->add_flag("--force", flags->force, "Replace the results in --out")
      ->needs(out)
      ->option_text(" ")
      ->group(kResults);
  command
      ->add_option("--save", flags->save,
                   "The solution with its points in one .npz, which monge.load and --initial take")
      ->option_text("FILE")
      ->group(kResults);
  command
      ->add_option("--plan-top-k", flags->wanted.top_k,
                   "With --out: the K largest entries of each row (plan.npz)")
      ->check(CLI::PositiveNumber)
      ->needs(out)
      ->option_text("K")
      ->group(kResults);
  command
      ->add_option("--draw", flags->wanted.draws,
                   "With --out: K pairs of indices drawn from the plan (pairs.npy)")
      ->check(CLI::PositiveNumber)
      ->needs(out)
      ->option_text("K")
      ->group(kResults);
  command->add_option("--seed", flags->wanted.seed, "Of --draw and of a subsample (default 0)")
      ->option_text("NUMBER")
      ->group(kResults);

  command->footer(kSolveExamples);
  command->callback([flags, &exit_code] {
    std::optional<io::ResultDirectory> directory;
    if (flags->out) directory.emplace(*flags->out, flags->force);  // before anything takes long
    Files files = read_files(*flags);
    exit_code = in_float(files, *flags) ? run<float>(*flags, std::move(files), directory)
                                        : run<double>(*flags, std::move(files), directory);
  });
}
}  // namespace monge::cli
