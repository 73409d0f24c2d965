// What `solve`, `divergence` and `batch` are asked: clouds, a cost, strengths, and when to stop.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "monge/ot/cost.hpp"
#include "monge/ot/geometry.hpp"
#include "monge/ot/marginal.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge::cli {
// The headings of --help.
inline constexpr const char *kProblem = "Problem", *kRun = "Run", *kResults = "Results";

struct Flags {
  std::string source, target;
  std::optional<std::string> weights_source, weights_target;
  std::string cost = "sqeuclidean";
  std::optional<double> epsilon, blur;
  std::optional<double> rho, rho_source, rho_target, reach, tv, tv_source, tv_target;
  double tolerance = 1e-6;
  int max_iterations = 10000;
  std::string acceleration = "automatic", anneal = "automatic", initializer = "automatic";
  std::string precision = "automatic", geometry = "automatic";
  bool verify = false;
  std::int64_t kernel_cache = kAutomaticCache;
  bool grid = false;
  std::vector<double> spacing, origin, target_spacing, target_origin;  // empty: see --help
  std::vector<int> periodic;
  std::string device = "cpu";
  int threads = 0;
  bool json = false, progress = false;

  // What the flags say, in the library's words. Throw InvalidArgument.
  Cost ground_cost() const;
  double strength_of_entropy() const;
  Marginal marginal_source() const;
  Marginal marginal_target() const;
  void fill(SinkhornOptions& options) const;
  /// Of --grid, for arrays of these shapes.
  Lattice<double> lattice(const std::vector<std::int64_t>& source,
                          const std::vector<std::int64_t>& target) const;
};

/// A number of the problem, without a default.
CLI::Option* number(CLI::App& command, const std::string& name, std::optional<double>& value,
                    const std::string& help);
/// Declares SOURCE, TARGET and their weights on a subcommand; `flags` must outlive it.
void add_clouds(CLI::App& command, Flags& flags);
/// Declares all others; `flags` must outlive it. Exclusions and numbers are checked
/// while parsing, values by the library.
void add_flags(CLI::App& command, Flags& flags);
}  // namespace monge::cli
