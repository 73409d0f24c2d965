// The bodies of each() and sum() that move potentials along more than the last step: Anderson
// mixing (ot/anderson.hpp), whose columns stand `stride` apart, and lines in epsilon.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/penalty.hpp"
#include "kernels/update.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
inline constexpr int kHistory = 20;

/// What a step from g to `image` has moved, in the norm of the weights, into the column `newest` of
/// residuals: sqrt(b_j) (image_j - g_j - drift), 0 for a point that nothing moves; and the products
/// of that column with the first `count`, itself among them.
template <class T>
struct MovedArgs {
  using Result = Sums<kHistory>;
  VectorView<const T> weight;
  const double *g, *image;
  double drift;
  double* residuals;
  std::int64_t stride;
  int newest, count;

  double* column(int c) const { return residuals + c * stride; }
  MONGE_HOST_DEVICE double moved(std::int64_t j) const {
    const double b = weight[j], step = image[j] - g[j] - drift;
    return b > 0 && std::isfinite(step) ? std::sqrt(b) * step : 0;
  }
  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    const double r = residuals[newest * stride + j] = moved(j);
    Result out;
    for (int c = 0; c < count; ++c) out.value[c] = residuals[c * stride + j] * r;
    return out;
  }
};

/// out_j = feasible(sum of coefficient times column) in [0, n); stays where that is no finite
/// number. And the bias of it, in [0, padded(n)).
struct MixArgs {
  const double* columns;
  std::int64_t stride;
  int count;
  double coefficient[kHistory];
  Penalty penalty;
  double* out;
  BiasArgs<double> bias;  // of out

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    if (j < bias.n) {
      double sum = 0;
      for (int c = 0; c < count; ++c) sum += coefficient[c] * columns[c * stride + j];
      if (std::isfinite(sum)) out[j] = penalty.feasible(sum);
    }
    bias(j);
  }
};

/// g moves on along the line from `before` through g, which becomes the next `before`.
struct ExtrapolateArgs {
  double factor;  // of g - before
  Penalty penalty;
  double *before, *g;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const double at = g[j], next = penalty.feasible(at + factor * (at - before[j]));
    before[j] = at;
    if (std::isfinite(next)) g[j] = next;
  }
};
}  // namespace monge::kernels

#define MONGE_MIXING_EACH_BODIES(X) X(MixArgs) X(ExtrapolateArgs)
#define MONGE_MIXING_LATER_BODIES(X) X(MovedArgs<float>) X(MovedArgs<double>)
