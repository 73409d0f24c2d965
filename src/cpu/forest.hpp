// Preconditions Newton's systems on a support (kernels/sparse_newton.hpp) where few entries carry a
// row: of the graph whose edges are the entries of the plan the spanning forest of the heaviest,
// solved exactly in O(n). At the smallest epsilons a plan is a forest but for a little (a vertex of
// the polytope of plans is one), and conjugate gradients by the diagonal alone follow its long
// paths a step at a time. Vaidya's idea (1991), on the bipartite graph of rows and columns.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/sparse_newton.hpp"

namespace monge::kernels::cpu {
class Forest {
 public:
  explicit Forest(const SparseStepArgs& args);

  /// z = M^-1 r, M the Schur complement of the forest in the columns; 0 where nothing is free.
  void solve(const double* r, double* z);

 private:
  struct Node {
    std::int64_t parent = -1;  // -1: a root
    double weight = 0;         // of the edge to it
    double rest = 0;           // what is left of the diagonal once all below is eliminated
    double value = 0;          // of the solve
  };
  std::int64_t rows_, columns_;
  const double* curvature_;
  std::vector<Node> nodes_;          // rows, then columns
  std::vector<std::int64_t> order_;  // parents first
};
}  // namespace monge::kernels::cpu
