// A plain body, to be replaced by the vectorised one.
#include "kernels/draw.hpp"

#include <algorithm>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/plain.hpp"
#include "monge/core/random.hpp"

namespace monge::kernels::cpu {
template <class T>
void draw(const DrawArgs<T>& a, Exec& exec) {
  monge::cpu::parallel_for(a.requests, exec, [&](std::int64_t r, int) {
    std::vector<double> cumulative;
    std::vector<std::int64_t> columns;
    double total = 0;
    for_each_pair(a.pairs, a.h, a.shift, a.eps, a.rows[r], [&](std::int64_t j, double, double w) {
      if (!(w > 0)) return;
      cumulative.push_back(total += w);
      columns.push_back(j);
    });
    for (std::int64_t t = 0; t < a.counts[r]; ++t) {
      const double u = philox_uniform(a.seed, a.rows[r], t) * total;
      const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), u);
      a.out[a.offsets[r] + t] =
          columns.empty() ? -1 : columns[std::min<std::size_t>(at - cumulative.begin(), columns.size() - 1)];
    }
  });
}
template void draw<float>(const DrawArgs<float>&, Exec&);
template void draw<double>(const DrawArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
