#include "cpu/forest.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace monge::kernels::cpu {
namespace {
// Share of its diagonal by which a node is held at least: a tree may have nothing else.
constexpr double kLeastSlack = 1e-13;

struct Edge {
  double weight;
  std::int32_t row, column;
};

/// Entries of the plan, the heaviest first.
std::vector<Edge> edges_of(const SparseApplyArgs& columns) {
  std::vector<Edge> edges;
  edges.reserve(columns.pairs.entries);
  for (std::int64_t j = 0; j < columns.pairs.rows; ++j)
    for (std::int64_t e = columns.pairs.offsets[j]; e < columns.pairs.offsets[j + 1]; ++e) {
      const double weight = columns.scale[j] * columns.shares[e];
      if (weight > 0 && std::isfinite(weight))
        edges.push_back({weight, columns.pairs.columns[e], static_cast<std::int32_t>(j)});
    }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
    return a.weight != b.weight ? a.weight > b.weight
                                : std::pair(a.row, a.column) < std::pair(b.row, b.column);
  });
  return edges;
}

std::int64_t root_of(std::vector<std::int64_t>& up, std::int64_t i) {
  while (up[i] != i) i = up[i] = up[up[i]];
  return i;
}
}  // namespace

Forest::Forest(const SparseStepArgs& args)
    : rows_(args.rows.pairs.rows),
      columns_(args.step.cg.n),
      curvature_(args.step.cg.curvature),
      nodes_(rows_ + columns_) {
  const std::int64_t count = rows_ + columns_;
  const double* const inverse = args.squares.v;
  std::vector<double> diagonal(count, 0);
  for (std::int64_t i = 0; i < rows_; ++i)
    if (inverse[i] > 0) diagonal[i] = 1 / inverse[i];
  for (std::int64_t j = 0; j < columns_; ++j) diagonal[rows_ + j] = std::max(curvature_[j], 0.0);

  // Kruskal's forest, as lists of neighbours.
  std::vector<std::int64_t> up(count), degree(count + 1, 0);
  std::iota(up.begin(), up.end(), 0);
  std::vector<double> sums(count, 0);
  std::vector<Edge> kept;
  kept.reserve(count);
  for (const Edge& edge : edges_of(args.columns)) {
    const std::int64_t i = edge.row, j = rows_ + edge.column;
    if (!(diagonal[i] > 0 && diagonal[j] > 0)) continue;
    sums[i] += edge.weight;
    sums[j] += edge.weight;
    const std::int64_t a = root_of(up, i), b = root_of(up, j);
    if (a == b) continue;
    up[a] = b;
    kept.push_back(edge);
    ++degree[i + 1];
    ++degree[j + 1];
  }
  std::partial_sum(degree.begin(), degree.end(), degree.begin());
  std::vector<std::pair<std::int64_t, double>> neighbours(2 * kept.size());
  std::vector<std::int64_t> at(degree.begin(), degree.end() - 1);
  for (const Edge& edge : kept) {
    const std::int64_t i = edge.row, j = rows_ + edge.column;
    neighbours[at[i]++] = {j, edge.weight};
    neighbours[at[j]++] = {i, edge.weight};
  }

  // Parents first, then what each leaves to its own. Where w is the edge to the parent,
  // 1 / (1 / w + 1 / rest) is what it adds to that: nothing is subtracted.
  order_.reserve(count);
  std::vector<char> seen(count, 0);
  for (std::int64_t root = 0; root < count; ++root) {
    if (seen[root] || !(diagonal[root] > 0)) continue;
    seen[root] = 1;
    order_.push_back(root);
    for (auto next = static_cast<std::int64_t>(order_.size()) - 1;
         next < static_cast<std::int64_t>(order_.size()); ++next) {
      const std::int64_t i = order_[next];
      for (std::int64_t e = degree[i]; e < degree[i + 1]; ++e) {
        const auto [j, weight] = neighbours[e];
        if (seen[j]) continue;
        seen[j] = 1;
        nodes_[j].parent = i;
        nodes_[j].weight = weight;
        order_.push_back(j);
      }
    }
  }
  for (const std::int64_t i : order_)
    nodes_[i].rest = std::max(diagonal[i] - sums[i], kLeastSlack * diagonal[i]);
  std::for_each(order_.rbegin(), order_.rend(), [&](std::int64_t i) {
    const Node& node = nodes_[i];
    if (node.parent >= 0)
      nodes_[node.parent].rest += node.weight * (node.rest / (node.weight + node.rest));
  });
}

void Forest::solve(const double* r, double* z) {
  for (const std::int64_t i : order_) nodes_[i].value = i < rows_ ? 0 : r[i - rows_];
  std::for_each(order_.rbegin(), order_.rend(), [&](std::int64_t i) {
    const Node& node = nodes_[i];
    if (node.parent >= 0)
      nodes_[node.parent].value += node.value * (node.weight / (node.weight + node.rest));
  });
  for (const std::int64_t i : order_) {
    Node& node = nodes_[i];
    node.value = node.parent < 0 ? node.value / node.rest
                                 : (node.value + node.weight * nodes_[node.parent].value) /
                                       (node.weight + node.rest);
  }
  for (std::int64_t j = 0; j < columns_; ++j)
    z[j] = curvature_[j] > 0 ? nodes_[rows_ + j].value : 0;
}
}  // namespace monge::kernels::cpu
