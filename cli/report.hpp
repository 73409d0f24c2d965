// Reports as JSON. A number that is not finite, or was not computed, is null.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "cli/flags.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge::cli {
using Json = nlohmann::ordered_json;

inline constexpr int kReportFormat = 1;  ///< raised when a field changes its meaning

/// What every report begins with: format, version, commit, instruction set, command.
Json header(const char* command);
Json to_json(const Marginal& marginal);
Json to_json(const Cost& cost);
/// Status, counts, residuals, value and trace of one solve.
Json to_json(const SinkhornReport& report);
/// The options as they acted.
Json options_of(const Flags& flags);

/// Writes to standard output; throws IoError where that fails.
void print(const std::string& text);
/// Indented, ends with a newline; bytes of a path that are no UTF-8 become U+FFFD.
std::string to_text(const Json& json);
/// "converged after 12 iterations (25 passes), marginal error 3e-07".
std::string summary(const SinkhornReport& report);
}  // namespace monge::cli
