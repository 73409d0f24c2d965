// What of fmt can be compiled once: with FMT_HEADER_ONLY in every file that formats, each takes six
// seconds more. fmt's own library would be one more that a wheel carries.
#define FMT_HEADER_ONLY
#include "format.hpp"

#include <fmt/format.h>

namespace monge {
[[gnu::used]] std::string (*const compiled_vformat)(fmt::string_view,
                                                    fmt::format_args) = &fmt::vformat;

std::string listed(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const auto& part : parts) {
    if (&part != &parts.front()) out += separator;
    out += part;
  }
  return out;
}
}  // namespace monge
