// A plain body, to be replaced by the vectorised one.
#include "kernels/softmin.hpp"

#include <cmath>
#include <limits>

#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
template <class T>
void softmin(const SoftminArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const std::int64_t blocks = (p.n + kRowBlock - 1) / kRowBlock;
  monge::cpu::parallel_for(blocks, exec, [&](std::int64_t block, int) {
    for (std::int64_t i = block * kRowBlock; i < std::min<std::int64_t>(p.n, (block + 1) * kRowBlock); ++i) {
      double top = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::int64_t j = 0; j < p.m; ++j) {
        double c = 0;
        if (p.form == Form::matrix) {
          c = p.matrix[i * p.row_stride + j * p.col_stride];
        } else {
          for (int k = 0; k < p.rows.dim; ++k) {
            const double x = p.rows.data[(i / kPanel * p.rows.dim + k) * kPanel + i % kPanel];
            const double y = p.cols.data[(j / kPanel * p.rows.dim + k) * kPanel + j % kPanel];
            c += p.form == Form::dot ? -x * y : (x - y) * (x - y);
          }
          if (p.form == Form::distance) c = std::sqrt(c);
          if (p.form == Form::power) c = std::pow(c, p.power / 2);
          c *= p.scale;
        }
        const double z = (a.h[j] - c) / a.eps;
        if (z == -std::numeric_limits<double>::infinity()) continue;
        if (z > top) {
          sum = sum * std::exp(top - z) + 1;
          top = z;
        } else {
          sum += std::exp(z - top);
        }
      }
      a.out[i] = -a.eps * (top + std::log(sum));
    }
  });
}
template void softmin<float>(const SoftminArgs<float>&, Exec&);
template void softmin<double>(const SoftminArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
