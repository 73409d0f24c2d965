#pragma once
#include <type_traits>
#include <vector>

#include "kernels/top_k.hpp"
#include "reference/weights.hpp"

namespace monge::reference {
/// The weights of row i and the absolute error that type T may make in each.
struct Row {
  std::vector<Real> weights, errors;
};

template <class Args>
Row weights_of_row(const Args& a, std::int64_t i) {
  using T = std::remove_cvref_t<decltype(*a.h)>;
  Row out;
  for (std::int64_t j = 0; j < a.pairs.m; ++j) {
    const Pair ij = pair(a, i, j);
    const Real lost = ij.weight == 0 ? 0 : std::numeric_limits<T>::min();  // a subnormal weight
    out.weights.push_back(ij.weight);
    out.errors.push_back(ij.weight * ij.weight_error + lost);
  }
  return out;
}
}  // namespace monge::reference
