#include "monge/ot/batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "kernels/entries.hpp"
#include "kernels/fibers.hpp"
#include "kernels/tasks.hpp"
#include "monge/ot/transport.hpp"
#include "ot/arrays.hpp"
#include "ot/sinkhorn_options.hpp"

namespace monge {
namespace {
/// What body() throws, naming the entry.
constexpr auto named = [](std::int64_t entry, const auto& body) {
  const auto message = [&](const Error& error) {
    return fmt::format("[batch] entry {}: {}", entry, error.what());
  };
  try {
    body();
  } catch (const Interrupted&) {
    throw;
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(message(error), error.argument(), entry);
  } catch (const NotAvailable& error) {
    throw NotAvailable(message(error));
  } catch (const DeviceError& error) {
    throw DeviceError(message(error));
  } catch (const OutOfMemory& error) {
    throw OutOfMemory(message(error));
  } catch (const Error& error) {
    throw Error(message(error));
  }
};

/// About how long a sweep over all pairs takes.
template <class T>
double work_of(const Geometry<T>& geometry) {
  const auto* cloud = std::get_if<PointCloud<T>>(&geometry);
  const auto product = [](std::int64_t n, std::int64_t m, std::int64_t each) {
    return static_cast<double>(n) * static_cast<double>(m) * static_cast<double>(each);
  };
  constexpr std::int64_t kExponential = 16;
  if (cloud) return product(cloud->x.rows, cloud->y.rows, cloud->x.cols + kExponential);
  if (const auto* lattice = std::get_if<Lattice<T>>(&geometry)) {
    double work = 0;
    for (int k = 0; k < lattice->source.dim; ++k)
      work += product(lattice->source.size(), lattice->target.shape[k], kExponential);
    return work;
  }
  const auto& costs = std::get<CostMatrix<T>>(geometry).values;
  return product(costs.rows, costs.cols, kExponential);
}

/// make(i, exec) for every entry, side by side; attempt(i, call) sees to what it throws.
template <class Result, class Work, class Make, class Attempt>
std::vector<Result> each_entry(std::size_t count, const Work& work, const Make& make,
                               const Attempt& attempt, Exec& exec) {
  std::vector<double> works(count);
  for (std::size_t i = 0; i < count; ++i) works[i] = work(i);
  std::vector<std::optional<Result>> results(count);
  kernels::tasks(
      works,
      [&](std::int64_t i, Exec& own) {
        attempt(i, [&] { results[i].emplace(make(static_cast<std::size_t>(i), own)); });
      },
      exec);
  std::vector<Result> out;
  out.reserve(count);
  for (auto& result : results)
    if (result) out.push_back(std::move(*result));
  return out;
}

/// Options whose callback is asked one at a time, with the caller's stack to itself.
template <class Options>
Options in_turn(Options options, std::mutex& turn) {
  if (options.on_check)
    options.on_check = [ask = std::move(options.on_check), &turn](const SinkhornReport& report) {
      const std::lock_guard lock(turn);
      bool go_on = false;
      kernels::on_callers_stack([&] { go_on = ask(report); });
      return go_on;
    };
  return options;
}

template <class T>
void validated(std::span<const BatchEntry<T>> entries, Exec& exec) {
  for (std::size_t i = 0; i < entries.size(); ++i)
    named(static_cast<std::int64_t>(i),
          [&] { validate(*entries[i].problem, entries[i].options, entries[i].start, exec); });
}

template <class Result, class T, class Solve>
std::vector<Result> solved(std::span<const BatchEntry<T>> entries, const Solve& solve, Exec& exec) {
  std::mutex turn;
  return each_entry<Result>(
      entries.size(), [&](std::size_t i) { return work_of(entries[i].problem->geometry()); },
      [&](std::size_t i, Exec& own) { return solve(i, in_turn(entries[i].options, turn), own); },
      named, exec);
}
}  // namespace

template <class T>
std::vector<Problem<T>> problems(std::span<const ProblemArgs<T>> args, Exec& exec) {
  // Every one is tried: the first that is malformed is then the same whatever the threads are.
  std::mutex guard;
  std::int64_t first = 0;
  std::exception_ptr error;
  auto out = each_entry<Problem<T>>(
      args.size(), [&](std::size_t i) { return work_of(args[i].geometry); },
      [&](std::size_t i, Exec&) {
        const auto& [geometry, a, b, marginal_a, marginal_b, options] = args[i];
        return Problem<T>(geometry, a, b, marginal_a, marginal_b, options);
      },
      [&](std::int64_t i, const auto& make) {
        try {
          named(i, make);
        } catch (...) {
          const std::lock_guard lock(guard);
          if (error && first < i) return;
          first = i;
          error = std::current_exception();
        }
      },
      exec);
  if (error) std::rethrow_exception(error);
  return out;
}

template <class T>
std::vector<SinkhornResult<T>> sinkhorn(std::span<const BatchEntry<T>> entries, Exec& exec) {
  validated(entries, exec);
  return solved<SinkhornResult<T>, T>(
      entries,
      [&](std::size_t i, const SinkhornOptions& options, Exec& own) {
        return sinkhorn(*entries[i].problem, options, own, entries[i].start);
      },
      exec);
}

std::vector<SinkhornResult<double>> sinkhorn(std::span<const BatchEntry<double>> entries,
                                             std::span<const SinkhornResult<float>* const> begun,
                                             Exec& exec) {
  if (begun.size() != entries.size())
    throw InvalidArgument(
        fmt::format("[batch] {} results to go on from, wanted {}", begun.size(), entries.size()),
        "begun");
  return solved<SinkhornResult<double>, double>(
      entries,
      [&](std::size_t i, const SinkhornOptions& options, Exec& own) {
        return sinkhorn(*entries[i].problem, options, own, *begun[i]);
      },
      exec);
}

template <class T>
std::vector<Divergence<T>> divergence(std::span<const DivergenceEntry<T>> entries, Exec& exec) {
  std::mutex turn;
  return each_entry<Divergence<T>>(
      entries.size(),
      [&](std::size_t i) {
        return work_of<T>(PointCloud<T>{entries[i].source.points, entries[i].target.points});
      },
      [&](std::size_t i, Exec& own) {
        const auto& [source, target, options] = entries[i];
        return divergence(source, target, in_turn(options, turn), own);
      },
      named, exec);
}

template <class T>
std::vector<Transport<T>> transport(std::span<const BatchEntry<T>> entries, Wrt wrt, Exec& exec) {
  validated(entries, exec);
  return solved<Transport<T>, T>(
      entries,
      [&](std::size_t i, const SinkhornOptions& options, Exec& own) {
        return transport(*entries[i].problem, options, wrt, own, entries[i].start);
      },
      exec);
}

template <class T>
Buffer<T> stacked(std::span<const Buffer<T>* const> parts, Exec& exec) {
  const std::int64_t size = parts.empty() ? 0 : parts.front()->size();
  Buffer<T> out(std::ssize(parts) * size, exec.device);
  std::vector<const T*> from;
  from.reserve(parts.size());
  for (const Buffer<T>* part : parts) {
    if (part->size() != size)
      throw InvalidArgument(
          fmt::format("[batch] parts of {} and {} values cannot be stacked", size, part->size()),
          "parts", std::ssize(from));
    from.push_back(part->data());
  }
  if (!exec.device.is_cuda()) {
    for (std::size_t i = 0; i < from.size(); ++i)
      std::copy_n(from[i], size, out.data() + static_cast<std::int64_t>(i) * size);
    return out;
  }
  const auto table = placed(from, exec);  // one launch, where copies would be one each
  kernels::each(kernels::StackArgs<T>{table.data(), size, out.data()}, out.size(), exec);
  return out;
}
template Buffer<float> stacked(std::span<const Buffer<float>* const>, Exec&);
template Buffer<double> stacked(std::span<const Buffer<double>* const>, Exec&);

template std::vector<Problem<float>> problems(std::span<const ProblemArgs<float>>, Exec&);
template std::vector<Problem<double>> problems(std::span<const ProblemArgs<double>>, Exec&);
template std::vector<SinkhornResult<float>> sinkhorn(std::span<const BatchEntry<float>>, Exec&);
template std::vector<SinkhornResult<double>> sinkhorn(std::span<const BatchEntry<double>>, Exec&);
template std::vector<Transport<float>> transport(std::span<const BatchEntry<float>>, Wrt, Exec&);
template std::vector<Transport<double>> transport(std::span<const BatchEntry<double>>, Wrt, Exec&);
template std::vector<Divergence<float>> divergence(std::span<const DivergenceEntry<float>>, Exec&);
template std::vector<Divergence<double>> divergence(std::span<const DivergenceEntry<double>>,
                                                    Exec&);
}  // namespace monge
