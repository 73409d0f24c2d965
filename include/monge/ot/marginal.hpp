// How strictly each side of the plan keeps its weights: F(p) in the objective.
#pragma once
#include <string>
#include <variant>

namespace monge {
struct Balanced {};  ///< p = a
struct KL {          ///< rho KL(p | a), rho > 0 in units of the cost; infinite: Balanced
  double rho = 0;
};
struct TV {           ///< lambda |p - a|_1, lambda > 0 in units of the cost; infinite: Balanced,
  double lambda = 0;  ///< or p <= a together with a total mass
};
using Marginal = std::variant<Balanced, KL, TV>;

/// "balanced", "KL(0.5)", "TV(2)".
std::string to_string(const Marginal& marginal);
}  // namespace monge
