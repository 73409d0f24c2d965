// A plain body, to be replaced by the vectorised one.
#include "kernels/top_k.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/plain.hpp"

namespace monge::kernels::cpu {
template <class T>
void top_k(const TopKArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  monge::cpu::parallel_for((p.n + kRowBlock - 1) / kRowBlock, exec, [&](std::int64_t block, int) {
    std::vector<std::pair<T, std::int64_t>> found;
    for (std::int64_t i = block * kRowBlock; i < std::min<std::int64_t>(p.n, (block + 1) * kRowBlock); ++i) {
      found.clear();
      double sum = 0;
      for_each_pair(p, a.h, a.shift, a.eps, i, [&](std::int64_t j, double, double w) {
        sum += w;
        if (static_cast<T>(w) > 0) found.emplace_back(static_cast<T>(w), j);
      });
      std::stable_sort(found.begin(), found.end(),
                       [](const auto& x, const auto& y) { return x.first > y.first; });
      for (int k = 0; k < a.k; ++k) {
        const bool there = k < static_cast<std::int64_t>(found.size());
        a.weights[i * a.k + k] = there ? found[k].first : 0;
        a.columns[i * a.k + k] = there ? found[k].second : -1;
      }
      if (a.softmin)
        a.softmin[i] = static_cast<T>(sum > 0 ? a.shift[i] - a.eps * std::log(sum) : INFINITY);
    }
  });
}

template <class T>
void select(const SelectArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  monge::cpu::parallel_for((p.n + kRowBlock - 1) / kRowBlock, exec, [&](std::int64_t block, int) {
    for (std::int64_t i = block * kRowBlock; i < std::min<std::int64_t>(p.n, (block + 1) * kRowBlock); ++i) {
      std::int64_t count = 0;
      for_each_pair(p, a.h, a.shift, a.eps, i, [&](std::int64_t j, double, double weight) {
        const T w = static_cast<T>(weight);
        if (!(w >= a.threshold[i]) || (a.columns && count >= a.counts[i])) return;
        if (a.columns) {
          a.columns[a.offsets[i] + count] = j;
          a.weights[a.offsets[i] + count] = w;
        }
        ++count;
      });
      if (!a.columns) a.counts[i] = count;
    }
  });
}
template void top_k<float>(const TopKArgs<float>&, Exec&);
template void top_k<double>(const TopKArgs<double>&, Exec&);
template void select<float>(const SelectArgs<float>&, Exec&);
template void select<double>(const SelectArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
