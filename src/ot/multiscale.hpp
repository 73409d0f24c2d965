// A start for small epsilon: the same problem on the nodes of the trees, coarse ones where epsilon
// is large, each level beginning where the last ended.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "monge/ot/sinkhorn.hpp"
#include "ot/truncation.hpp"

namespace monge {
/// One solve; by the trees of the problem, truncated, where they are given.
template <class T>
SinkhornResult<T> solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                        const Start<T>& start, std::shared_ptr<const Forest<T>> forest);

template <class T>
struct Multiscale {
  Buffer<T> f, g;           // where the solve of all points begins
  std::int64_t passes = 0;  // over nodes
  std::vector<SinkhornCheck> trace;
};
/// options.epsilon is that of the solve to come. `forest` are the trees of the problem.
template <class T>
Multiscale<T> multiscale(const Problem<T>& problem, std::shared_ptr<const Forest<T>> forest,
                         const SinkhornOptions& options, Exec& exec);
}  // namespace monge
