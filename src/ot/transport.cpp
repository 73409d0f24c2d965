#include "monge/ot/transport.hpp"

#include <type_traits>
#include <utility>

#include "ot/in_double.hpp"
#include "ot/plan_parts.hpp"
#include "ot/prepared.hpp"

namespace monge {
namespace {
Gradient<float> rounded_to_float(Gradient<double>&& from, Exec& exec) {
  const auto part = [&](const Buffer<double>& exact) { return rounded<float>(exact, exec); };
  return {part(from.dx), part(from.dy), part(from.da), part(from.db),
          from.depsilon, from.drho_a,   from.drho_b,   part(from.dcost)};
}

template <class T>
Gradient<T> differentiated(const Problem<T>& problem, const SinkhornResult<T>& result,
                           Prepared<T> prepared, Wrt wrt, Exec& exec) {
  if (wrt == Wrt{}) return {};
  return gradient(Plan<T>(problem, result, std::move(prepared)), wrt, exec);
}
}  // namespace

template <class T>
Transport<T> transport(const Problem<T>& problem, const SinkhornOptions& options, Wrt wrt,
                       Exec& exec, const Start<T>& start) {
  Prepared<T> prepared;
  auto result = sinkhorn(problem, options, exec, start, &prepared);
  if constexpr (std::is_same_v<T, float>)
    if (goes_on(options, result.report) && InDouble::knows(problem)) {
      const InDouble wide(problem, exec);
      auto exact = sinkhorn(wide.problem(), options, exec, result);
      auto slopes = differentiated<double>(wide.problem(), exact, nullptr, wrt, exec);
      return {rounded_to_float(std::move(exact), exec), rounded_to_float(std::move(slopes), exec)};
    }
  auto slopes = differentiated(problem, result, std::move(prepared), wrt, exec);
  return {std::move(result), std::move(slopes)};
}

template Transport<float> transport(const Problem<float>&, const SinkhornOptions&, Wrt, Exec&,
                                    const Start<float>&);
template Transport<double> transport(const Problem<double>&, const SinkhornOptions&, Wrt, Exec&,
                                     const Start<double>&);
}  // namespace monge
