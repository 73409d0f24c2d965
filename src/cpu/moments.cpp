// A plain body, to be replaced by the vectorised one.
#include "kernels/moments.hpp"

#include <algorithm>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/plain.hpp"

namespace monge::kernels::cpu {
template <class T>
void moments(const MomentsArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const int dim = a.values.dim;
  monge::cpu::parallel_for((p.n + kRowBlock - 1) / kRowBlock, exec, [&](std::int64_t block, int) {
    std::vector<double> u(dim), first(dim), second(dim * dim);
    for (std::int64_t i = block * kRowBlock; i < std::min<std::int64_t>(p.n, (block + 1) * kRowBlock); ++i) {
      double mass = 0;
      std::fill(first.begin(), first.end(), 0);
      std::fill(second.begin(), second.end(), 0);
      for_each_pair(p, a.h, a.shift, a.eps, i, [&](std::int64_t j, double, double w) {
        mass += w;
        for (int k = 0; k < dim; ++k)
          u[k] = static_cast<double>(coordinate(a.values, j, k)) - a.center[i * dim + k];
        for (int k = 0; k < dim; ++k) {
          first[k] += w * u[k];
          for (int l = 0; l < dim; ++l) second[k * dim + l] += w * u[k] * u[l];
        }
      });
      a.mass[i] = static_cast<T>(mass);
      std::copy(first.begin(), first.end(), a.first + i * dim);
      std::copy(second.begin(), second.end(), a.second + i * dim * dim);
    }
  });
}
template void moments<float>(const MomentsArgs<float>&, Exec&);
template void moments<double>(const MomentsArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
