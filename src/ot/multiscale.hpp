// A start for small epsilon: the same problem on the nodes of the trees, coarse ones where epsilon
// is large, each level beginning where the last ended.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "monge/ot/sinkhorn.hpp"
#include "ot/truncation.hpp"

namespace monge {
inline constexpr double kTruncationShare = 0.1;  // of the tolerance, that masks may lose

/// Whether a solve sweeps by trees. Predicted from the boxes of the clouds alone: a leaf meets what
/// is within the reach of the kernel and the edges of two leaves.
template <class T>
bool by_tree(const Problem<T>& problem, const SinkhornOptions& options);

/// Measures what the certificate bounds. Where it is no bound the library is wrong, not the solve:
/// throws Error.
template <class T>
void verify(const Problem<T>& problem, SinkhornResult<T>& result, Exec& exec);

/// One solve; by the trees of the problem, truncated, where they are given.
template <class T>
SinkhornResult<T> solve(const Problem<T>& problem, const SinkhornOptions& options, Exec& exec,
                        const Start<T>& start, std::shared_ptr<const Forest<T>> forest);

template <class T>
struct Multiscale {
  Buffer<T> f, g;           // where the solve of all points begins
  double epsilon = 0;       // that it is for; 0: there is none
  std::int64_t passes = 0;  // over nodes
  std::vector<SinkhornCheck> trace;
};
/// options.epsilon is that of the solve to come. `forest` are the trees of the problem.
template <class T>
Multiscale<T> multiscale(const Problem<T>& problem, std::shared_ptr<const Forest<T>> forest,
                         const SinkhornOptions& options, Exec& exec);
}  // namespace monge
