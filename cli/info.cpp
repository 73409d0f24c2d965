// monge info: what was built, and what it finds here.
#include "monge/info.hpp"

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/report.hpp"
#include "format.hpp"

namespace monge::cli {
namespace {
void info() {
  const Info info = monge::info();
  const auto has_cuda =
      std::any_of(info.components.begin(), info.components.end(),
                  [](const std::string& part) { return part.starts_with("cuda"); });
  std::string parts = listed(info.components);
  if (has_cuda)
    parts += fmt::format(" for {} (driver: {})", listed(info.cuda_code),
                         info.cuda_driver.empty() ? "none" : "CUDA " + info.cuda_driver);
  else
    parts += parts.empty() ? "cuda: not built" : ", cuda: not built";
  print(
      fmt::format("version          {}\n"
                  "commit           {}\n"
                  "build            {}, {}\n"
                  "instruction set  {} (of {}; MONGE_TARGET chooses)\n"
                  "devices          {}\n"
                  "components       {}\n",
                  info.version, info.commit, MONGE_BUILD_TYPE, info.compiler, info.instruction_set,
                  listed(info.instruction_sets), listed(info.devices), parts));
}
}  // namespace

void add_info(CLI::App& app, int&) {
  auto* command =
      app.add_subcommand("info", "Print version, build, instruction set, devices and components");
  command->footer("Examples:\n  monge info\n  MONGE_TARGET=avx2 monge info");
  command->callback(info);
}
}  // namespace monge::cli
