#include "ot/sinkhorn_options.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <variant>

#include "kernels/absorbed.hpp"
#include "kernels/inspect.hpp"
#include "ot/arrays.hpp"

namespace monge {
namespace {
template <class Value, std::size_t Count>
struct Names {
  const char* option;
  std::array<std::pair<Value, const char*>, Count> of;

  std::string name(Value value) const {
    for (const auto& [known, name] : of)
      if (known == value) return name;
    return "unknown";
  }
  Value parse(const std::string& name) const {
    std::string all;
    for (const auto& [value, known] : of) {
      if (name == known) return value;
      all += all.empty() ? known : std::string(", ") + known;
    }
    throw InvalidArgument(fmt::format("[options] {} is '{}', wanted one of {}", option, name, all),
                          option);
  }
};
constexpr Names<Acceleration, 6> kAccelerations{
    "acceleration",
    {{{Acceleration::automatic, "automatic"},
      {Acceleration::none, "none"},
      {Acceleration::over_relaxation, "over_relaxation"},
      {Acceleration::anderson, "anderson"},
      {Acceleration::newton, "newton"},
      {Acceleration::support, "support"}}}};
constexpr Names<Initializer, 6> kInitializers{"initializer",
                                              {{{Initializer::automatic, "automatic"},
                                                {Initializer::zero, "zero"},
                                                {Initializer::gaussian, "gaussian"},
                                                {Initializer::sorting, "sorting"},
                                                {Initializer::subsample, "subsample"},
                                                {Initializer::coarse, "coarse"}}}};

/// Both potentials move with a level that is found beside them.
template <class T>
bool has_free_level(const Problem<T>& problem) {
  return std::holds_alternative<TV>(problem.marginal_a()) &&
         std::holds_alternative<TV>(problem.marginal_b()) && problem.total_mass();
}
}  // namespace

std::string to_string(Acceleration acceleration) { return kAccelerations.name(acceleration); }
Acceleration parse_acceleration(const std::string& name) { return kAccelerations.parse(name); }
std::string to_string(Initializer initializer) { return kInitializers.name(initializer); }
Initializer parse_initializer(const std::string& name) { return kInitializers.parse(name); }

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
  if ((o.acceleration == Acceleration::anderson || o.acceleration == Acceleration::newton ||
       o.acceleration == Acceleration::support) &&
      has_free_level(problem))
    throw NotAvailable(fmt::format(
        "[sinkhorn] acceleration is {} and the total mass below both sides', whose level is a "
        "state of its own; wanted automatic, none or over_relaxation",
        to_string(o.acceleration)));
  if (o.acceleration == Acceleration::support && o.kernel_cache == 0)
    throw NotAvailable(
        "[sinkhorn] acceleration is support and kernel_cache is 0: a support is kept in those "
        "bytes; wanted automatic, anderson or newton");
  if (o.initializer != Initializer::automatic && (start.f.size || start.g.size))
    throw InvalidArgument(fmt::format("[sinkhorn] initializer is {} and a start is given, wanted "
                                      "one of them",
                                      to_string(o.initializer)),
                          "initializer");
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

std::int64_t cache_bytes(std::int64_t kernel_cache, Device device) {
  return kernel_cache != kAutomaticCache ? kernel_cache : kernels::absorbed_bytes(device);
}

template void validate(const Problem<float>&, const SinkhornOptions&, const Start<float>&, Exec&);
template void validate(const Problem<double>&, const SinkhornOptions&, const Start<double>&, Exec&);
}  // namespace monge
