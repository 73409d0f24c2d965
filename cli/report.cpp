#include "cli/report.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "monge/core/error.hpp"
#include "monge/info.hpp"

namespace monge::cli {
namespace {
template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;  // clang 14 deduces none for aggregates

Json fields(const SinkhornCheck& check) {
  return {{"iterations", check.iterations}, {"passes", check.passes},
          {"epsilon", check.epsilon},       {"marginal_error", check.marginal_error},
          {"residual_a", check.residual_a}, {"residual_b", check.residual_b},
          {"dual_value", check.dual_value}, {"transported_mass", check.transported_mass},
          {"truncation", check.truncation}};
}
}  // namespace

Json header(const char* command) {
  const Info info = monge::info();
  return {{"format", kReportFormat},
          {"version", info.version},
          {"commit", info.commit},
          {"instruction_set", info.instruction_set},
          {"command", command}};
}

Json to_json(const Marginal& marginal) {
  return std::visit(Overloaded{[](Balanced) {
                                 return Json{{"kind", "balanced"}};
                               },
                               [](KL kl) {
                                 return Json{{"kind", "kl"}, {"rho", kl.rho}};
                               },
                               [](TV tv) {
                                 return Json{{"kind", "tv"}, {"lambda", tv.lambda}};
                               }},
                    marginal);
}

Json to_json(const Cost& cost) {
  Json out{{"name", cost_name(cost)}};
  if (const auto* power = std::get_if<Power>(&cost)) out["p"] = power->p;
  return out;
}

Json to_json(const SinkhornReport& report) {
  Json out{{"status", to_string(report.status)}, {"converged", report.converged}};
  out.update(fields(report));
  out["predicted_floor"] = report.predicted_floor;
  out["duality_gap"] = report.duality_gap;
  out["weight_error"] = report.weight_error;
  out["fast_passes"] = report.fast_passes;
  out["absorbed"] = report.absorbed;
  out["mass_level"] = report.mass_level;
  out["omega"] = report.omega;
  out["phases"] = Json::array();
  for (const SinkhornPhase& phase : report.phases)
    out["phases"].push_back({{"name", phase.name},
                             {"passes", phase.passes},
                             {"steps", phase.steps},
                             {"why", phase.why}});
  out["geometry"] = to_string(report.geometry);
  out["kept"] = report.kept;
  out["coarse_passes"] = report.coarse_passes;
  if (!std::isnan(report.verified)) out["verified"] = report.verified;
  out["trace"] = Json::array();
  for (const SinkhornCheck& check : report.trace) out["trace"].push_back(fields(check));
  return out;
}

Json options_of(const Flags& flags) {
  return {{"tolerance", flags.tolerance},
          {"max_iterations", flags.max_iterations},
          {"acceleration", flags.acceleration},
          {"anneal", flags.anneal},
          {"initializer", flags.initializer},
          {"precision", flags.precision},
          {"kernel_cache", flags.kernel_cache},
          {"geometry", flags.geometry},
          {"verify", flags.verify},
          {"device", flags.device},
          {"threads", flags.threads}};
}

void print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    throw IoError(fmt::format("[cli] cannot write to standard output: {}", std::strerror(errno)));
}

std::string to_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string summary(const SinkhornReport& report) {
  return fmt::format("{} after {} iterations ({} passes), marginal error {:.2e}",
                     to_string(report.status), report.iterations, report.passes,
                     report.marginal_error);
}
}  // namespace monge::cli
