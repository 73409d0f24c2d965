// The subcommands. Each declares itself on the application and, when parsed, runs and sets the
// exit code; errors leave as exceptions.
#pragma once
#include <CLI/CLI.hpp>

namespace monge::cli {
/// Exit codes; 2 to 6 follow the order of monge's errors.
enum ExitCode {
  kOk = 0,
  kNotConverged = 1,
  kInvalidArgument = 2,
  kNotAvailable = 3,
  kDeviceError = 4,
  kIoError = 5,
  kOutOfMemory = 6
};

void add_solve(CLI::App& app, int& exit_code);
void add_divergence(CLI::App& app, int& exit_code);
void add_gradient(CLI::App& app, int& exit_code);
void add_hvp(CLI::App& app, int& exit_code);
void add_batch(CLI::App& app, int& exit_code);
void add_info(CLI::App& app, int& exit_code);
}  // namespace monge::cli
