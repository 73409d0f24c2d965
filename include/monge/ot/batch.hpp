// Many problems in one call: ragged, each with its own sizes, marginals, options and start, each
// stopping by itself. Every entry is an ordinary call: its result is bit for bit that of the call
// for it alone, whatever its neighbours, their order and the threads are.
//
// On the CPU entries run side by side, one thread each, the large first; one that outweighs all
// that is left has every thread. The bytes of kernel_cache are those of each entry that is running.
// Callbacks come from any thread, one at a time.
//
// On a GPU a sweep of all entries is one launch and a check of all is one wait; how many take part
// at a time follows from their sizes. Results share memory, which goes with the last of them.
#pragma once
#include <span>
#include <vector>

#include "monge/ot/divergence.hpp"
#include "monge/ot/sinkhorn.hpp"

namespace monge {
/// What a Problem is made from.
template <class T>
struct ProblemArgs {
  Geometry<T> geometry;
  VectorView<const T> a, b;
  Marginal marginal_a = Balanced{}, marginal_b = Balanced{};
  ProblemOptions options{};
};

/// Reads and checks the arrays of all, side by side. Throws as Problem does, for the first entry
/// that is malformed: the message names it, and so does InvalidArgument::index().
template <class T>
std::vector<Problem<T>> problems(std::span<const ProblemArgs<T>> args, Exec& exec);

template <class T>
struct BatchEntry {
  const Problem<T>* problem;
  SinkhornOptions options;
  Start<T> start{};
};

/// One result for each entry. All options and starts are checked before the first solve. Throws as
/// sinkhorn does, the message naming the entry; an exception ends the batch.
template <class T>
std::vector<SinkhornResult<T>> sinkhorn(std::span<const BatchEntry<T>> entries, Exec& exec);
/// Goes on from begun[i], as sinkhorn does from one result in float; starts are not looked at.
std::vector<SinkhornResult<double>> sinkhorn(std::span<const BatchEntry<double>> entries,
                                             std::span<const SinkhornResult<float>* const> begun,
                                             Exec& exec);

template <class T>
struct DivergenceEntry {
  Measure<T> source, target;
  DivergenceOptions options;
};

/// Throws as divergence does, the message naming the entry.
template <class T>
std::vector<Divergence<T>> divergence(std::span<const DivergenceEntry<T>> entries, Exec& exec);

/// Parts of results, all of one size and on exec.device, one after the other.
template <class T>
Buffer<T> stacked(std::span<const Buffer<T>* const> parts, Exec& exec);
}  // namespace monge
