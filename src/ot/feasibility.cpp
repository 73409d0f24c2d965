#include "ot/feasibility.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "monge/core/error.hpp"

namespace monge {
namespace {
// Disjoint sets with path halving; the smaller index is the root, so the result does not depend
// on the order of the unions.
class Components {
 public:
  explicit Components(std::int64_t size) : parent_(size) {
    std::iota(parent_.begin(), parent_.end(), std::int64_t{0});
  }
  std::int64_t find(std::int64_t node) {
    while (parent_[node] != node) node = parent_[node] = parent_[parent_[node]];
    return node;
  }
  void unite(std::int64_t p, std::int64_t q) {
    const auto [low, high] = std::minmax({find(p), find(q)});
    parent_[high] = low;
  }

 private:
  std::vector<std::int64_t> parent_;
};

[[noreturn]] void refuse_isolated(const char* argument, std::int64_t index, const char* line) {
  throw InvalidArgument(
      fmt::format("[problem] {}[{}] is positive on a balanced side but its {} of the cost allows "
                  "no partner of positive weight: allow a pair, set the weight to 0, or soften "
                  "the side with KL or TV",
                  argument, index, line),
      argument, index);
}
}  // namespace

template <class T>
void check_allowed_pairs(MatrixView<const T> cost, VectorView<const T> a, VectorView<const T> b,
                         const HardMass& hard) {
  const std::int64_t n = cost.rows, m = cost.cols;
  Components components(n + m);
  const bool by_rows = cost.col_stride == 1;  // memory order
  for (std::int64_t s = 0; s < (by_rows ? n : m); ++s)
    for (std::int64_t t = 0; t < (by_rows ? m : n); ++t) {
      const std::int64_t i = by_rows ? s : t, j = by_rows ? t : s;
      if (a[i] > 0 && b[j] > 0 && std::isfinite(cost(i, j))) components.unite(i, n + j);
    }

  std::vector<double> mass_a(n + m, 0.0), mass_b(n + m, 0.0);
  for (std::int64_t i = 0; i < n; ++i) mass_a[components.find(i)] += static_cast<double>(a[i]);
  for (std::int64_t j = 0; j < m; ++j) mass_b[components.find(n + j)] += static_cast<double>(b[j]);

  if (hard.balanced_a)
    for (std::int64_t i = 0; i < n; ++i)
      if (a[i] > 0 && mass_b[components.find(i)] == 0) refuse_isolated("a", i, "row");
  if (hard.balanced_b)
    for (std::int64_t j = 0; j < m; ++j)
      if (b[j] > 0 && mass_a[components.find(n + j)] == 0) refuse_isolated("b", j, "column");

  if (hard.balanced_a && hard.balanced_b)
    for (std::int64_t r = 0; r < n + m; ++r)
      if (std::abs(mass_a[r] - mass_b[r]) > hard.tolerance * std::max(mass_a[r], mass_b[r]))
        throw InvalidArgument(
            fmt::format("[problem] forbidden pairs cut off a component (with source {}) whose "
                        "balanced masses disagree: {:.15g} in a, {:.15g} in b. Make them agree, "
                        "allow more pairs, or soften a side with KL or TV",
                        r, mass_a[r], mass_b[r]),
            "C", r);
  if (hard.total_mass) {
    double most = 0;
    for (std::int64_t r = 0; r < n + m; ++r) most += std::min(mass_a[r], mass_b[r]);
    if (most < *hard.total_mass * (1 - hard.tolerance))
      throw InvalidArgument(
          fmt::format("[problem] total mass is {:.15g} but the allowed pairs can carry {:.15g} at "
                      "most",
                      *hard.total_mass, most),
          "total_mass");
  }
}

template void check_allowed_pairs(MatrixView<const float>, VectorView<const float>,
                                  VectorView<const float>, const HardMass&);
template void check_allowed_pairs(MatrixView<const double>, VectorView<const double>,
                                  VectorView<const double>, const HardMass&);
}  // namespace monge
