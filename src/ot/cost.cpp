#include "monge/ot/cost.hpp"

#include <cmath>

#include <fmt/format.h>

#include "monge/core/error.hpp"
#include "ot/overloaded.hpp"

namespace monge {
std::string cost_name(const Cost& cost) {
  return std::visit(Overloaded{[](SquaredEuclidean) { return "sqeuclidean"; },
                               [](HalfSquaredEuclidean) { return "half_sqeuclidean"; },
                               [](Euclidean) { return "euclidean"; }, [](Power) { return "power"; },
                               [](Cosine) { return "cosine"; }, [](Dot) { return "dot"; }},
                    cost);
}

Cost parse_cost(const std::string& name, double p) {
  if (name == "sqeuclidean") return SquaredEuclidean{};
  if (name == "half_sqeuclidean") return HalfSquaredEuclidean{};
  if (name == "euclidean") return Euclidean{};
  if (name == "cosine") return Cosine{};
  if (name == "dot") return Dot{};
  if (name == "power") {
    if (!(p >= 1 && std::isfinite(p)))
      throw InvalidArgument(fmt::format("[cost] power p is {:g}, wanted a finite p >= 1", p), "p");
    return Power{p};
  }
  throw InvalidArgument(
      fmt::format("[cost] unknown cost '{}'; the costs are sqeuclidean, half_sqeuclidean, "
                  "euclidean, power, cosine and dot",
                  name),
      "cost");
}

double cost_order(const Cost& cost) {
  return std::visit(
      Overloaded{[](SquaredEuclidean) { return 2.0; }, [](HalfSquaredEuclidean) { return 2.0; },
                 [](Euclidean) { return 1.0; }, [](Power power) { return power.p; },
                 [](Cosine) { return 0.0; }, [](Dot) { return 0.0; }},
      cost);
}
}  // namespace monge
