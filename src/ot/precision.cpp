#include "monge/ot/precision.hpp"

#include <fmt/format.h>

#include "monge/core/error.hpp"

namespace monge {
namespace {
constexpr double kFloatTolerance = 1e-7;
}  // namespace

std::string to_string(Precision precision) {
  switch (precision) {
    case Precision::automatic:
      return "automatic";
    case Precision::accurate:
      return "accurate";
    case Precision::fast:
      return "fast";
    case Precision::mixed:
      return "mixed";
    case Precision::double_:
      return "double";
  }
  return "unknown";
}

Precision parse_precision(const std::string& name) {
  for (const auto precision : {Precision::automatic, Precision::accurate, Precision::fast,
                               Precision::mixed, Precision::double_})
    if (name == to_string(precision)) return precision;
  throw InvalidArgument(
      fmt::format("[options] precision is '{}', wanted one of automatic, accurate, fast, mixed and "
                  "double",
                  name),
      "precision");
}

bool widens(Precision precision, double tolerance) {
  return precision == Precision::mixed || precision == Precision::double_ ||
         (precision == Precision::automatic && tolerance < kFloatTolerance);
}
}  // namespace monge
