// monge divergence: the debiased Sinkhorn divergence of two clouds.
#include "monge/ot/divergence.hpp"

#include <fmt/format.h>

#include <memory>

#include "cli/clouds.hpp"
#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/report.hpp"

namespace monge::cli {
namespace {
constexpr const char* kDivergenceExamples =
    "Examples:\n"
    "  monge divergence examples/data/source.csv examples/data/target.csv --blur 0.1 --reach 0.5\n"
    "  monge divergence examples/data/source.csv examples/data/source.csv --epsilon 0.01 --json";

template <class T>
Json report_of(const Flags& flags, const Json& grid, const DivergenceOptions& options,
               const Divergence<T>& result) {
  Json report = header("divergence");
  report["problem"] = {{"source", flags.source},
                       {"target", flags.target},
                       {"grid", grid},
                       {"cost", to_json(options.cost)},
                       {"epsilon", options.epsilon},
                       {"marginals", {to_json(options.marginal_a), to_json(options.marginal_b)}},
                       {"points", {result.potential_a.size(), result.potential_b.size()}},
                       {"type", sizeof(T) == 4 ? "float32" : "float64"}};
  report["options"] = options_of(flags);
  report["value"] = result.value;
  report["converged"] = result.converged();
  report["source_target"] = to_json(result.ab.report);
  report["source_source"] = to_json(result.aa.report);
  report["target_target"] = to_json(result.bb.report);
  return report;
}

template <class T>
int run(const Flags& flags, Files files) {
  DivergenceOptions options;
  flags.fill(options);
  options.cost = flags.ground_cost();
  options.marginal_a = flags.marginal_source();
  options.marginal_b = flags.marginal_target();
  options.mass_tolerance = mass_tolerance(files, flags.grid);
  const Device device = parse_device(flags.device);
  const Cloud<T> source(std::move(files.source), device, flags.grid),
      target(std::move(files.target), device, flags.grid);

  const auto result = [&] {
    ProgressLine line(flags);
    line.stage("divergence");
    Exec exec = line.exec(flags);
    defer_signals();
    return flags.grid ? divergence(lattice_of(flags, source, target), source.weights(),
                                   target.weights(), options, exec)
                      : divergence(source.measure(), target.measure(), options, exec);
  }();

  if (flags.json)
    print(to_text(report_of(flags, to_json(flags, source, target), options, result)));
  else
    print(
        fmt::format("divergence       {:.9g}\n"
                    "source, target   {}\n"
                    "source, source   {}\n"
                    "target, target   {}\n",
                    result.value, summary(result.ab.report), summary(result.aa.report),
                    summary(result.bb.report)));
  return result.converged() ? kOk : kNotConverged;
}
}  // namespace

void add_divergence(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("divergence", "The debiased Sinkhorn divergence of two clouds or grids");
  auto flags = std::make_shared<Flags>();
  add_clouds(*command, *flags);
  add_flags(*command, *flags);
  command->footer(kDivergenceExamples);
  command->callback([flags, &exit_code] {
    Files files = read_files(*flags);
    exit_code = in_float(files, *flags) ? run<float>(*flags, std::move(files))
                                        : run<double>(*flags, std::move(files));
  });
}
}  // namespace monge::cli
