// monge: entropic optimal transport from the command line. Everything numerical is a call of the
// library.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>

#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "monge/core/error.hpp"
#include "monge/info.hpp"

namespace {
using namespace monge;

int fail(const char* what, int code) {
  std::fprintf(stderr, "monge: %s\n", what);
  return code;
}

// The library speaks of x and y; whoever types a command knows them by other names.
const char* name_of(const std::string& argument) {
  if (argument == "x") return " (x: the points of SOURCE)";
  if (argument == "y") return " (y: the points of TARGET)";
  if (argument == "a") return " (a: the weights of SOURCE)";
  if (argument == "b") return " (b: the weights of TARGET)";
  if (argument == "marginal_a") return " (a: the marginal of SOURCE)";
  if (argument == "marginal_b") return " (b: the marginal of TARGET)";
  return "";
}

int run(int argc, char** argv) {
  CLI::App app("Entropic optimal transport between weighted point clouds", "monge");
  int code = cli::kOk;
  app.require_subcommand(1);
  app.set_version_flag("--version", monge::info().version);
  cli::add_solve(app, code);
  cli::add_divergence(app, code);
  cli::add_gradient(app, code);
  cli::add_hvp(app, code);
  cli::add_batch(app, code);
  cli::add_info(app, code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kOk : cli::kInvalidArgument;
  }
  return code;
}
}  // namespace

int main(int argc, char** argv) {
  cli::watch_signals();
  try {
    return run(argc, argv);
  } catch (const Interrupted& error) {
    return fail(error.what(), cli::interrupted_code());
  } catch (const InvalidArgument& error) {
    return fail((error.what() + std::string(name_of(error.argument()))).c_str(),
                cli::kInvalidArgument);
  } catch (const NotAvailable& error) {
    return fail(error.what(), cli::kNotAvailable);
  } catch (const DeviceError& error) {
    return fail(error.what(), cli::kDeviceError);
  } catch (const IoError& error) {
    return fail(error.what(), cli::kIoError);
  } catch (const OutOfMemory& error) {
    return fail(error.what(), cli::kOutOfMemory);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", cli::kOutOfMemory);
  } catch (const std::exception& error) {  // Error: no pair of potentials that could be returned
    return fail(error.what(), cli::kNotConverged);
  }
}
