// The bodies of each() and sum() that move potentials along more than the last step: Anderson
// mixing (ot/anderson.hpp), whose columns stand `stride` apart, and lines in epsilon.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/each.hpp"
#include "kernels/penalty.hpp"
#include "monge/core/view.hpp"

namespace monge::kernels {
inline constexpr int kHistory = 20;

/// What a step has moved, in the norm of the weights: residual_j = sqrt(b_j) (image_j - g_j -
/// drift), where residual held g; 0 for a point that nothing moves. kept = image.
template <class T>
struct MovedArgs {
  VectorView<const T> weight;
  const double* image;
  double *residual, *kept;
  double drift;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    const double b = weight[j], step = image[j] - residual[j] - drift;
    residual[j] = b > 0 && std::isfinite(step) ? std::sqrt(b) * step : 0;
    kept[j] = image[j];
  }
};

/// Products of x with the first `count` columns.
struct HistoryDotsArgs {
  using Result = Sums<kHistory>;
  const double *columns, *x;
  std::int64_t stride;
  int count;

  MONGE_HOST_DEVICE Result operator()(std::int64_t j) const {
    Result out;
    for (int c = 0; c < count; ++c) out.value[c] = columns[c * stride + j] * x[j];
    return out;
  }
};

/// out = feasible(sum of coefficient times column); stays where that is no finite number.
struct MixArgs {
  const double* columns;
  std::int64_t stride;
  int count;
  double coefficient[kHistory];
  Penalty penalty;
  double* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t j) const {
    double sum = 0;
    for (int c = 0; c < count; ++c) sum += coefficient[c] * columns[c * stride + j];
    if (std::isfinite(sum)) out[j] = penalty.feasible(sum);
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

#define MONGE_MIXING_EACH_BODIES(X) \
  X(MovedArgs<float>) X(MovedArgs<double>) X(MixArgs) X(ExtrapolateArgs)
#define MONGE_MIXING_SUM_BODIES(X) X(HistoryDotsArgs)
