#include "kernels/pack.hpp"

#include "cuda/current.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
/// One thread a point: its norm is a sum in the order of coordinates.
template <class T, class From>
struct Pack {
  static constexpr int kThreads = 128;
  PackArgs<T, From> args;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const MatrixView<const From>& points = args.points;
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i >= padded(points.rows)) return;
    T* const to = args.data + i / kPanel * kPanel * points.cols + i % kPanel;
    const bool there = i < points.rows;
    double factor = 1;
    bool directed = true;
    if (there && args.unit_length) {
      factor = inverse_length(points, i);
      directed = has_direction<From>(factor);
      args.inverse_length[i] = directed ? static_cast<T>(factor) : T(0);
    }
    T norm = 0;
    for (std::int64_t k = 0; k < points.cols; ++k) {
      T rounded = 0;
      if (there) {
        double value = directed ? __dmul_rn(factor, points(i, k)) : (k == 0 ? 1.0 : 0.0);
        if (args.center) value = __dadd_rn(value, -args.center[k]);
        rounded = static_cast<T>(value);
      }
      to[k * kPanel] = rounded;
      norm = fma(rounded, rounded, norm);
    }
    if (args.norms) args.norms[i] = norm;
  }
};
}  // namespace

template <class T, class From>
void pack(const PackArgs<T, From>& args, Exec& exec) {
  if (args.points.rows == 0) return;
  const Current current(exec);
  constexpr int kThreads = Pack<T, From>::kThreads;
  launch(Pack<T, From>{args}, (padded(args.points.rows) + kThreads - 1) / kThreads, exec);
}
template void pack(const PackArgs<float>&, Exec&);
template void pack(const PackArgs<double>&, Exec&);
template void pack(const PackArgs<double, float>&, Exec&);
}  // namespace monge::kernels::cuda
