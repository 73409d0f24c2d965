#include "monge/ot/sinkhorn.hpp"

#include <memory>
#include <utility>

#include "ot/arrays.hpp"
#include "ot/multiscale.hpp"
#include "ot/prepared.hpp"
#include "ot/sinkhorn_options.hpp"
#include "ot/solve.hpp"
#include "ot/split_pair.hpp"

namespace monge {
namespace {
/// Lower bounds are known to plain iterations alone.
template <class T>
SinkhornOptions acting_on(const Problem<T>& problem, SinkhornOptions options) {
  if (problem.bounds()) options.acceleration = Acceleration::none;
  return options;
}
}  // namespace

const char* to_string(Status status) {
  switch (status) {
    case Status::converged:
      return "converged";
    case Status::max_iterations:
      return "max_iterations";
    case Status::precision_floor:
      return "precision_floor";
    case Status::diverged:
      return "diverged";
    case Status::stopped:
      return "stopped";
  }
  return "unknown";
}

template <class T>
SinkhornResult<T> solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                        const Start<T>& start, std::shared_ptr<const Forest<T>> forest) {
  return Solve<T>(problem, options, exec, std::move(forest)).run(start);
}

template <class T>
SinkhornResult<T> sinkhorn(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                           const Start<T>& start) {
  return sinkhorn<T>(problem, options, exec, start, nullptr);
}

template <class T>
SinkhornResult<T> sinkhorn(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                           const Start<T>& start, Prepared<T>* prepared) {
  validate(problem, options, start, exec);
  const auto forest =
      by_tree(problem, options) ? std::make_shared<const Forest<T>>(problem, exec) : nullptr;
  // A callback that has said stop is not asked again: what is still to come stops at its first
  // check.
  SinkhornOptions each = acting_on(problem, options);
  bool stopped = false;
  if (options.on_check)
    each.on_check = [&](const SinkhornReport& report) {
      stopped = stopped || !options.on_check(report);
      return !stopped;
    };
  Multiscale<T> begun;
  Start<T> from = start;
  if (forest && !start.f.size && !start.g.size && options.annealing == Annealing::automatic) {
    begun = multiscale(problem, forest, each, exec);
    from = {begun.f.view(), begun.g.view()};
  }
  Solve<T> solve(problem, each, exec, forest);
  solve.count(begun);
  auto result = solve.run(forest ? from : solve.in_float(from));
  if (prepared) *prepared = solve.hand_over();
  if (options.verify) verify(problem, result, exec);
  return result;
}

bool goes_on(const SinkhornOptions& options, const SinkhornReport& report) {
  return options.precision == Precision::automatic && report.status == Status::precision_floor &&
         report.iterations < options.max_iterations;
}

SinkhornResult<double> sinkhorn(const Problem<double>& problem, const SinkhornOptions& options,
                                Exec& exec, const SinkhornResult<float>& begun) {
  SinkhornOptions mixed = options;
  mixed.precision = Precision::mixed;
  mixed.schedule = Schedule::plain;
  mixed = acting_on(problem, mixed);
  const auto f = joined(begun.f, begun.f_rest, exec), g = joined(begun.g, begun.g_rest, exec);
  const Start<double> start{f.view(), g.view()};
  validate(problem, mixed, start, exec);
  Solve<double> solve(problem, mixed, exec,
                      begun.report.geometry == Sweeps::tree
                          ? std::make_shared<const Forest<double>>(problem, exec)
                          : nullptr);
  solve.count(begun.report);
  return solve.run(start);
}

template SinkhornResult<float> solve(const Problem<float>&, const SinkhornOptions&, Exec&,
                                     const Start<float>&, std::shared_ptr<const Forest<float>>);
template SinkhornResult<double> solve(const Problem<double>&, const SinkhornOptions&, Exec&,
                                      const Start<double>&, std::shared_ptr<const Forest<double>>);
template SinkhornResult<float> sinkhorn(const Problem<float>&, const SinkhornOptions&, Exec&,
                                        const Start<float>&, Prepared<float>*);
template SinkhornResult<double> sinkhorn(const Problem<double>&, const SinkhornOptions&, Exec&,
                                         const Start<double>&, Prepared<double>*);
template SinkhornResult<float> sinkhorn(const Problem<float>&, const SinkhornOptions&, Exec&,
                                        const Start<float>&);
template SinkhornResult<double> sinkhorn(const Problem<double>&, const SinkhornOptions&, Exec&,
                                         const Start<double>&);
}  // namespace monge
