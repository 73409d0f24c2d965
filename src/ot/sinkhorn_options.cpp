#include "ot/sinkhorn_options.hpp"

#include <fmt/format.h>

#include <cmath>
#include <variant>

#include "kernels/absorbed.hpp"
#include "kernels/inspect.hpp"
#include "ot/arrays.hpp"

namespace monge {
template <class T>
void validate(const Problem<T>& problem, const SinkhornOptions& o, const Start<T>& start,
              Exec& exec) {
  const auto positive = [](double v) { return v > 0 && std::isfinite(v); };
  if (!positive(o.epsilon))
    throw InvalidArgument(
        fmt::format("[sinkhorn] epsilon is {}, wanted a finite number > 0", o.epsilon), "epsilon");
  if (!positive(o.tolerance))
    throw InvalidArgument(
        fmt::format("[sinkhorn] tolerance is {}, wanted a finite number > 0", o.tolerance),
        "tolerance");
  if (o.max_iterations < 1)
    throw InvalidArgument(
        fmt::format(
            "[sinkhorn] max_iterations is {}, wanted >= 1: an un-iterated plan is never a result",
            o.max_iterations),
        "max_iterations");
  if (o.check_every < 1)
    throw InvalidArgument(fmt::format("[sinkhorn] check_every is {}, wanted >= 1", o.check_every),
                          "check_every");
  if (o.criterion == Criterion::gap && std::holds_alternative<Balanced>(problem.marginal_a()) &&
      std::holds_alternative<Balanced>(problem.marginal_b()))
    throw InvalidArgument(
        "[sinkhorn] criterion gap with two Balanced sides: the gap is infinite until both "
        "marginals are exact; wanted criterion residual",
        "criterion");
  if (sizeof(T) == 4 && (o.precision == Precision::double_ || o.precision == Precision::mixed))
    throw InvalidArgument(
        fmt::format(
            "[sinkhorn] precision is {} and the problem is in float32: its potentials would "
            "be rounded; make the problem from float64 arrays",
            to_string(o.precision)),
        "precision");
  if (o.schedule == Schedule::staged && o.precision != Precision::automatic &&
      o.precision != Precision::accurate)
    throw InvalidArgument(
        fmt::format("[sinkhorn] schedule is staged and precision is {}, wanted automatic or "
                    "accurate, which finishes what fast began",
                    to_string(o.precision)),
        "schedule");
  if (o.kernel_cache < kAutomaticCache)
    throw InvalidArgument(
        fmt::format("[sinkhorn] kernel_cache is {}, wanted bytes >= 0, or {} for automatic",
                    o.kernel_cache, kAutomaticCache),
        "kernel_cache");
  if (problem.bounds() && o.acceleration != Acceleration::automatic &&
      o.acceleration != Acceleration::none)
    throw NotAvailable(
        "[sinkhorn] a problem with lower bounds is solved by plain iterations: wanted acceleration "
        "automatic or none");
  check_device("sinkhorn", "the problem", problem.device(), exec);
  const auto check = [&](VectorView<const T> v, std::int64_t size, const char* name) {
    if (!v.size) return;
    if (v.size != size)
      throw InvalidArgument(
          fmt::format("[sinkhorn] start {} has {} values, wanted {}", name, v.size, size), "start");
    if (v.device != exec.device)
      throw InvalidArgument(fmt::format("[sinkhorn] start {} is on {} but the problem is on {}",
                                        name, to_string(v.device), to_string(exec.device)),
                            "start");
    const MatrixView<const T> column(v.data, v.size, 1, v.stride, 1, v.device);
    const auto bad = kernels::inspect<T>({.points = column, .weight = {}}, exec).bad;
    if (bad >= 0)
      throw InvalidArgument(fmt::format("[sinkhorn] start {}[{}] is {}, wanted finite potentials",
                                        name, bad, entry(column, bad, exec)),
                            "start", bad);
  };
  check(start.f, problem.n(), "f");
  check(start.g, problem.m(), "g");
}

std::int64_t cache_bytes(const SinkhornOptions& options, Device device) {
  if (options.kernel_cache != kAutomaticCache) return options.kernel_cache;
  return kernels::absorbed_bytes(device);
}

template void validate(const Problem<float>&, const SinkhornOptions&, const Start<float>&, Exec&);
template void validate(const Problem<double>&, const SinkhornOptions&, const Start<double>&, Exec&);
}  // namespace monge
