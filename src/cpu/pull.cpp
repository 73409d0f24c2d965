// A plain body, to be replaced by the vectorised one.
#include "kernels/pull.hpp"

#include <algorithm>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/plain.hpp"

namespace monge::kernels::cpu {
template <class T>
void pull(const PullArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const int dim = p.rows.dim;
  const double scale = p.scale, power = p.power;
  monge::cpu::parallel_for((p.n + kRowBlock - 1) / kRowBlock, exec, [&](std::int64_t block, int) {
    std::vector<double> sum(dim);
    for (std::int64_t i = block * kRowBlock; i < std::min<std::int64_t>(p.n, (block + 1) * kRowBlock); ++i) {
      std::fill(sum.begin(), sum.end(), 0);
      for_each_pair(p, a.h, a.shift, a.eps, i, [&](std::int64_t j, double, double w) {
        if (p.form == Form::dot) {
          for (int k = 0; k < dim; ++k) sum[k] -= scale * w * coordinate(p.cols, j, k);
          return;
        }
        const double t = squared_distance(p, i, j);
        if (t == 0) return;
        const double factor = p.form == Form::squared    ? 2
                              : p.form == Form::distance ? 1 / std::sqrt(t)
                                                         : power * std::pow(t, power / 2 - 1);
        for (int k = 0; k < dim; ++k)
          sum[k] += scale * w * factor *
                    (static_cast<double>(coordinate(p.rows, i, k)) - coordinate(p.cols, j, k));
      });
      for (int k = 0; k < dim; ++k) a.out[i * dim + k] = static_cast<T>(sum[k]);
    }
  });
}
template void pull<float>(const PullArgs<float>&, Exec&);
template void pull<double>(const PullArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
