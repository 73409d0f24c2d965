#include "kernels/pack.hpp"

#include <algorithm>

#include "cpu/vectors.hpp"

namespace monge::kernels::cpu {
template <class T, class From>
void pack(const PackArgs<T, From>& args, Exec&) {
  const MatrixView<const From>& points = args.points;
  const std::int64_t rows = padded(points.rows);
  std::fill_n(args.data, rows * points.cols, T(0));
  for (std::int64_t i = 0; i < points.rows; ++i) {
    double factor = 1;
    bool directed = true;
    if (args.unit_length) {
      factor = inverse_length(points, i);
      directed = has_direction<From>(factor);
      args.inverse_length[i] = directed ? static_cast<T>(factor) : T(0);
    }
    for (std::int64_t k = 0; k < points.cols; ++k) {
      double value = directed ? factor * points(i, k) : (k == 0 ? 1.0 : 0.0);
      if (args.center) value -= args.center[k];
      args.data[(i / kPanel * points.cols + k) * kPanel + i % kPanel] = static_cast<T>(value);
    }
  }
  if (args.norms)
    monge::cpu::norms(
        {.data = args.data, .count = points.rows, .dim = static_cast<int>(points.cols)},
        args.norms);
}

template void pack(const PackArgs<float>&, Exec&);
template void pack(const PackArgs<double>&, Exec&);
template void pack(const PackArgs<double, float>&, Exec&);
}  // namespace monge::kernels::cpu
