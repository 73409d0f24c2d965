// In what arithmetic a problem is swept: one list for C++, Python and the command line.
#pragma once
#include <string>

namespace monge {
enum class Precision {
  automatic,  ///< accurate; Python and the command line widen float points where widens() says so
  accurate,   ///< the type of the problem, products as exact as that type
  fast,       ///< one product of half-precision coordinates: an opt-in, see docs/numerics.md
  mixed,      ///< of a Problem<double>: exponentials as exact as float's
  double_     ///< of a Problem<double>; Python and the command line widen float points for both
};

/// "automatic", "accurate", "fast", "mixed", "double".
std::string to_string(Precision precision);
/// The inverse. Throws InvalidArgument naming the known ones.
Precision parse_precision(const std::string& name);

/// Whether a caller who may choose the type should pass float arrays as a copy in double: asked
/// for (mixed, double), or automatic with a tolerance below 1e-7, where rounding of float
/// potentials keeps most residuals from going.
bool widens(Precision precision, double tolerance);
}  // namespace monge
