#include "kernels/gram.hpp"

#include <algorithm>
#include <vector>

#include "cpu/chunks.hpp"

namespace monge::kernels::cpu {
template <class T>
void gram(const WeightedGramArgs<T>& args, Exec& exec) {
  const std::int64_t k = args.k;
  std::vector<double> parts(monge::cpu::chunk_count(args.n) * k * k, 0.0);
  monge::cpu::chunks(args.n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t chunk) {
    double* const part = parts.data() + chunk * k * k;
    for (std::int64_t i = begin; i < end; ++i) {
      const T* const row = args.values + i * k;
      for (std::int64_t c = 0; c < k; ++c) {
        const double scaled = args.weight[i] * row[c];
        if (scaled == 0) continue;  // a basis of cells is mostly 0
        for (std::int64_t e = 0; e <= c; ++e) part[c * k + e] += scaled * row[e];
      }
    }
  });
  std::fill_n(args.out, k * k, 0.0);
  for (std::size_t at = 0; at < parts.size(); ++at) args.out[at % (k * k)] += parts[at];
  for (std::int64_t c = 0; c < k; ++c)
    for (std::int64_t e = 0; e < c; ++e) args.out[e * k + c] = args.out[c * k + e];
}
template void gram(const WeightedGramArgs<float>&, Exec&);
template void gram(const WeightedGramArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
