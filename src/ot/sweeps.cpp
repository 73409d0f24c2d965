#include <fmt/format.h>

#include "monge/core/error.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge {
std::string to_string(Sweeps sweeps) {
  switch (sweeps) {
    case Sweeps::automatic:
      return "automatic";
    case Sweeps::dense:
      return "dense";
    case Sweeps::tree:
      return "tree";
  }
  return "unknown";
}

Sweeps parse_sweeps(const std::string& name) {
  for (const auto sweeps : {Sweeps::automatic, Sweeps::dense, Sweeps::tree})
    if (name == to_string(sweeps)) return sweeps;
  throw InvalidArgument(
      fmt::format("[options] geometry is '{}', wanted one of automatic, dense and tree", name),
      "geometry");
}
}  // namespace monge
