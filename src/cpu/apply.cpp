// A plain body, to be replaced by the vectorised one.
#include "kernels/apply.hpp"

#include <algorithm>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/plain.hpp"

namespace monge::kernels::cpu {
template <class T>
void apply(const ApplyArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  monge::cpu::parallel_for((p.n + kRowBlock - 1) / kRowBlock, exec, [&](std::int64_t block, int) {
    std::vector<double> sum(a.k);
    for (std::int64_t i = block * kRowBlock; i < std::min<std::int64_t>(p.n, (block + 1) * kRowBlock); ++i) {
      std::fill(sum.begin(), sum.end(), 0);
      for_each_pair(p, a.h, a.shift, a.eps, i, [&](std::int64_t j, double c, double w) {
        if (w == 0) return;
        if (a.weighting == Weighting::squared) w *= w;
        if (a.weighting == Weighting::cost) w *= c;
        for (int k = 0; k < a.k; ++k) sum[k] += a.v ? w * a.v[j * a.v_row + k * a.v_col] : w;
      });
      for (int k = 0; k < a.k; ++k) a.out[i * a.k + k] = static_cast<T>(sum[k]);
    }
  });
}
template void apply<float>(const ApplyArgs<float>&, Exec&);
template void apply<double>(const ApplyArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
