#include "monge/ot/marginal.hpp"

#include <fmt/format.h>

#include "ot/overloaded.hpp"

namespace monge {
std::string to_string(const Marginal& marginal) {
  return std::visit(Overloaded{[](Balanced) { return std::string("balanced"); },
                               [](KL kl) { return fmt::format("KL({:g})", kl.rho); },
                               [](TV tv) { return fmt::format("TV({:g})", tv.lambda); }},
                    marginal);
}
}  // namespace monge
