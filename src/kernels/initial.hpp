// The bodies of the starts of a solve (ot/initial.hpp).
#pragma once
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/penalty.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
/// out [k, cols] = rows `index` of a matrix.
template <class T>
struct PickRowsArgs {
  MatrixView<const T> from;
  const std::int64_t* index;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    out[e] = from(index[e / from.cols], e % from.cols);
  }
};

/// g = prox(s)
template <class T>
struct ProxArgs {
  const double* s;
  Penalty penalty;
  double eps;
  T* g;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    g[j] = static_cast<T>(penalty.prox(s[j], eps));
  }
};
}  // namespace monge::kernels

#define MONGE_INITIAL_EACH_BODIES_OF(X, T) X(PickRowsArgs<T>) X(ProxArgs<T>)
#define MONGE_INITIAL_EACH_BODIES(X) \
  MONGE_INITIAL_EACH_BODIES_OF(X, float) MONGE_INITIAL_EACH_BODIES_OF(X, double)
