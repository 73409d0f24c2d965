#include "cli/flags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "monge/core/error.hpp"

namespace monge::cli {
namespace {
// A length to the order of the cost: epsilon of a blur, rho of a reach.
double from_length(const Cost& cost, double length, const char* name) {
  const double order = cost_order(cost);
  if (order == 0)
    throw InvalidArgument(fmt::format("[cli] --{} is a length, which the cost {} has not; wanted a "
                                      "strength in units of the cost",
                                      name, cost_name(cost)),
                          name);
  if (!(length > 0))
    throw InvalidArgument(fmt::format("[cli] --{} is {}, wanted a length > 0", name, length), name);
  return std::pow(length, order);
}
}  // namespace

Cost Flags::ground_cost() const {
  constexpr std::string_view kPower = "power";
  if (cost == kPower)
    throw InvalidArgument("[cli] the cost power wants its exponent, as power:1.5", "cost");
  if (!cost.starts_with("power:")) return parse_cost(cost);
  const char *begin = cost.data() + kPower.size() + 1, *end = cost.data() + cost.size();
  double p = 0;
  if (const auto parsed = std::from_chars(begin, end, p);
      parsed.ptr != end || parsed.ec != std::errc())
    throw InvalidArgument(fmt::format("[cli] the cost {} has no number after the colon", cost),
                          "cost");
  return parse_cost(std::string(kPower), p);
}

double Flags::strength_of_entropy() const {
  if (!epsilon && !blur)
    throw InvalidArgument("[cli] neither --epsilon nor --blur is given, wanted one", "epsilon");
  return epsilon ? *epsilon : from_length(ground_cost(), *blur, "blur");
}

Marginal Flags::marginal_source() const {
  if (reach) return KL{from_length(ground_cost(), *reach, "reach")};
  if (rho || rho_source) return KL{rho ? *rho : *rho_source};
  if (tv || tv_source) return TV{tv ? *tv : *tv_source};
  return Balanced{};
}

Marginal Flags::marginal_target() const {
  if (reach) return KL{from_length(ground_cost(), *reach, "reach")};
  if (rho || rho_target) return KL{rho ? *rho : *rho_target};
  if (tv || tv_target) return TV{tv ? *tv : *tv_target};
  return Balanced{};
}

void Flags::fill(SinkhornOptions& options) const {
  options.epsilon = strength_of_entropy();
  options.tolerance = tolerance;
  options.max_iterations = max_iterations;
  options.acceleration = parse_acceleration(acceleration);
  options.annealing = anneal == "off" ? Annealing::off : Annealing::automatic;
  options.initializer = parse_initializer(initializer);
  options.precision = parse_precision(precision);
  options.kernel_cache = kernel_cache;
  options.geometry = parse_sweeps(geometry);
  options.verify = verify;
}

namespace {
// An entry for each axis, or one for all; `values` empty: those of `other`.
void set(std::array<double, 3>& out, int dim, const std::vector<double>& values,
         const std::vector<double>& other, const char* name) {
  const std::vector<double>& given = values.empty() ? other : values;
  if (given.empty()) return;
  if (given.size() != 1 && given.size() != static_cast<std::size_t>(dim))
    throw InvalidArgument(
        fmt::format("[cli] --{} has {} entries, wanted one, or one for each of {} "
                    "axes",
                    name, given.size(), dim),
        name);
  for (int k = 0; k < dim; ++k) out[k] = given[given.size() == 1 ? 0 : k];
}

Grid grid_of(const std::vector<std::int64_t>& shape) {
  Grid grid;
  grid.dim = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), grid.shape.begin());
  return grid;
}
}  // namespace

Lattice<double> Flags::lattice(const std::vector<std::int64_t>& from,
                               const std::vector<std::int64_t>& to) const {
  Lattice<double> out{grid_of(from), grid_of(to), ground_cost(), {}, parse_device(device)};
  set(out.source.spacing, out.source.dim, spacing, {}, "spacing");
  set(out.source.origin, out.source.dim, origin, {}, "origin");
  set(out.target.spacing, out.target.dim, target_spacing, spacing, "target-spacing");
  set(out.target.origin, out.target.dim, target_origin, origin, "target-origin");
  for (const int axis : periodic) {
    if (axis < 0 || axis >= out.source.dim)
      throw InvalidArgument(
          fmt::format("[cli] --periodic names axis {}, and there are {}, counted from 0", axis,
                      out.source.dim),
          "periodic");
    out.periodic[axis] = true;
  }
  return out;
}

CLI::Option* number(CLI::App& command, const std::string& name, std::optional<double>& value,
                    const std::string& help) {
  return command.add_option(name, value, help)->option_text("NUMBER")->group(kProblem);
}

void add_clouds(CLI::App& command, Flags& f) {
  command
      .add_option("SOURCE", f.source,
                  "Points: .npy (n, d), .npz (points, weights), .csv (a column weight); see --grid")
      ->required()
      ->option_text(" ");
  command.add_option("TARGET", f.target, "Points (m, d), in any of these formats")
      ->required()
      ->option_text(" ");
  command
      .add_option("--weights-source", f.weights_source,
                  "Weights of SOURCE; without any: uniform, sum 1")
      ->option_text("FILE")
      ->group(kProblem);
  command.add_option("--weights-target", f.weights_target, "Weights of TARGET; never rescaled")
      ->option_text("FILE")
      ->group(kProblem);
}

void add_flags(CLI::App& command, Flags& f) {
  command
      .add_option("--cost", f.cost,
                  "sqeuclidean (default), half_sqeuclidean, euclidean, power:P, cosine, dot")
      ->option_text("NAME")
      ->group(kProblem);

  auto* grid = command
                   .add_flag("--grid", f.grid,
                             "SOURCE and TARGET are .npy arrays of 1 to 3 axes: masses on grids")
                   ->option_text(" ")
                   ->group(kProblem);
  const auto per_axis = [&](const char* name, std::vector<double>& values, const char* help) {
    command.add_option(name, values, help)
        ->delimiter(',')
        ->needs(grid)
        ->option_text("NUMBER[,NUMBER...]")
        ->group(kProblem);
  };
  per_axis("--spacing", f.spacing,
           "Distance between neighbours on the grids, for all axes or each "
           "(default 1)");
  per_axis("--origin", f.origin, "Coordinates of the grids' first point (default 0)");
  per_axis("--target-spacing", f.target_spacing, "The same of TARGET, where its grid is another");
  per_axis("--target-origin", f.target_origin, "The same of TARGET, where its grid is another");
  command
      .add_option("--periodic", f.periodic,
                  "Axes on which the cost is that of the shorter way round, counted from 0")
      ->delimiter(',')
      ->needs(grid)
      ->option_text("AXIS[,AXIS...]")
      ->group(kProblem);
  for (const char* name : {"--weights-source", "--weights-target"})  // a batch has none
    if (auto* const weights = command.get_option_no_throw(name)) grid->excludes(weights);

  auto* epsilon =
      number(command, "--epsilon", f.epsilon, "Strength of the entropy, in units of the cost");
  number(command, "--blur", f.blur, "The same as a length: epsilon = blur^order of the cost")
      ->excludes(epsilon);

  auto* rho =
      number(command, "--rho", f.rho, "KL strength of both marginals; without any: balanced");
  auto* rho_source =
      number(command, "--rho-source", f.rho_source, "KL strength of the source's marginal");
  auto* rho_target =
      number(command, "--rho-target", f.rho_target, "KL strength of the target's marginal");
  auto* reach =
      number(command, "--reach", f.reach, "--rho as a length: rho = reach^order of the cost");
  auto* tv = number(command, "--tv", f.tv, "Total variation strength of both marginals");
  auto* tv_source = number(command, "--tv-source", f.tv_source, "Of the source's marginal");
  auto* tv_target = number(command, "--tv-target", f.tv_target, "Of the target's marginal");
  for (auto* both : {rho, reach, tv})
    for (auto* one : {rho, reach, tv, rho_source, rho_target, tv_source, tv_target})
      if (one != both) both->excludes(one);
  rho_source->excludes(tv_source);
  rho_target->excludes(tv_target);

  command
      .add_option("--tolerance", f.tolerance,
                  "L1 residual of the marginals over the mass (default 1e-6)")
      ->option_text("NUMBER")
      ->group(kRun);
  command
      .add_option("--max-iterations", f.max_iterations,
                  "Each updates both potentials (default 10000)")
      ->option_text("COUNT")
      ->group(kRun);
  command
      .add_option(
          "--acceleration", f.acceleration,
          "automatic (default): what pays; none, over_relaxation, anderson, newton, support")
      ->option_text("NAME")
      ->group(kRun);
  command
      .add_option("--anneal", f.anneal,
                  "automatic (default): epsilon starts at the range of the cost and halves; off")
      ->check(CLI::IsMember({"automatic", "off"}))
      ->option_text("NAME")
      ->group(kRun);
  command
      .add_option("--initializer", f.initializer,
                  "Where a solve begins: automatic (default), zero, gaussian, sorting, subsample, "
                  "coarse (grids)")
      ->option_text("NAME")
      ->group(kRun);
  command
      .add_option(
          "--precision", f.precision,
          "automatic (default): accurate, but double with a tolerance below 1e-7, and a solve of "
          "float32 that ends at its floor goes on in mixed; accurate: the type of the points; "
          "fast: "
          "one product on tensor cores; mixed: float64 with exponentials in float32; double: "
          "float64")
      ->option_text("NAME")
      ->group(kRun);
  command
      .add_option("--geometry", f.geometry,
                  "tree: blocks of pairs are left out of which a bound proves that they carry "
                  "almost nothing (up to 3 dimensions, sqeuclidean and half_sqeuclidean); dense: "
                  "all pairs; automatic (default): tree where it visits less than a quarter")
      ->option_text("NAME")
      ->group(kRun);
  command
      .add_flag("--verify", f.verify,
                "One more pass over all pairs, which measures what that leaves out")
      ->group(kRun);
  command
      .add_option(
          "--kernel-cache", f.kernel_cache,
          "Memory for a kernel of size n x m, where that is faster (default 536870912, on a "
          "GPU a sixteenth of its memory); 0: nothing of that size exists")
      ->option_text("BYTES")
      ->group(kRun)
      ->excludes(grid);
  command
      .add_option("--device", f.device,
                  "cpu (default), cuda or cuda:INDEX, as `monge info` counts them")
      ->option_text("NAME")
      ->group(kRun);
  command.add_option("--threads", f.threads, "0 (default): what the machine grants this process")
      ->check(CLI::Range(0, 4096))
      ->option_text("COUNT")
      ->group(kRun);
  command
      .add_flag("--progress", f.progress,
                "A progress line also where standard error is no terminal")
      ->group(kRun);
  command.add_flag("--json", f.json, "Print the report as JSON")->group(kResults);
}
}  // namespace monge::cli
