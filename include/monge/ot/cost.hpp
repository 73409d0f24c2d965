// The ground costs c(x, y) between points of R^d.
#pragma once
#include <string>
#include <variant>

namespace monge {
struct SquaredEuclidean {};      ///< |x - y|^2, the default
struct HalfSquaredEuclidean {};  ///< |x - y|^2 / 2, GeomLoss's p = 2
struct Euclidean {};             ///< |x - y|
struct Power {                   ///< |x - y|^p, p >= 1
  double p = 2;
};
struct Cosine {};  ///< 1 - x.y / (|x| |y|); zero vectors are refused
struct Dot {};     ///< -x.y

/// Where the derivative at x = y is not unique it is 0.
using Cost = std::variant<SquaredEuclidean, HalfSquaredEuclidean, Euclidean, Power, Cosine, Dot>;

/// "sqeuclidean", "half_sqeuclidean", "euclidean", "power", "cosine", "dot".
std::string cost_name(const Cost& cost);
/// The inverse; `p` is used by "power" alone. Throws InvalidArgument naming the known costs.
Cost parse_cost(const std::string& name, double p = 2);
/// The order in which a length enters (2 squared, 1 Euclidean, p Power), so that
/// epsilon = blur^order; 0 for Cosine and Dot, which have none.
double cost_order(const Cost& cost);
}  // namespace monge
