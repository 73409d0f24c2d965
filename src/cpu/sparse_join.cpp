#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "kernels/support.hpp"

namespace monge::kernels::cpu {
namespace {
/// entry(column, cost) for those of row i.
template <class Entry>
void each_of(const SparseJoinArgs::Listed& listed, std::int64_t i, const Entry& entry) {
  for (std::int64_t e = i * listed.k; e < (i + 1) * listed.k; ++e)
    if (listed.columns[e] >= 0 && std::isfinite(listed.costs[e]))
      entry(listed.columns[e], listed.costs[e]);
}
}  // namespace

std::int64_t sparse_join(const SparseJoinArgs& a, Exec&) {
  const std::int64_t n = a.of_rows.rows, m = a.of_columns.rows;
  std::vector<std::int64_t> first(n + 1);  // of what columns say of a row
  for (std::int64_t j = 0; j < m; ++j)
    each_of(a.of_columns, j, [&](std::int64_t i, double) { ++first[i + 1]; });
  for (std::int64_t i = 0; i < n; ++i) first[i + 1] += first[i];
  using Entry = std::pair<std::int32_t, double>;
  std::vector<Entry> said(first[n]);
  {
    std::vector<std::int64_t> next(first.begin(), first.end() - 1);
    for (std::int64_t j = 0; j < m; ++j)
      each_of(a.of_columns, j, [&](std::int64_t i, double cost) {
        said[next[i]++] = {static_cast<std::int32_t>(j), cost};
      });
  }

  std::vector<std::int64_t> last(m, -1), next(m + 1);
  std::vector<Entry> row;
  std::int64_t entries = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    row.clear();
    const auto add = [&](std::int64_t j, double cost) {
      if (std::exchange(last[j], i) != i) row.emplace_back(static_cast<std::int32_t>(j), cost);
    };
    each_of(a.of_rows, i, add);
    for (std::int64_t e = first[i]; e < first[i + 1]; ++e) add(said[e].first, said[e].second);
    std::sort(row.begin(), row.end());
    a.rows.offsets[i] = entries;
    for (const auto& [j, cost] : row) {
      a.rows.columns[entries] = j;
      a.rows.costs[entries++] = cost;
      ++next[j + 1];
    }
  }
  a.rows.offsets[n] = entries;

  for (std::int64_t j = 0; j < m; ++j) next[j + 1] += next[j];
  std::copy(next.begin(), next.end(), a.columns.offsets);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t e = a.rows.offsets[i]; e < a.rows.offsets[i + 1]; ++e) {
      const std::int64_t to = next[a.rows.columns[e]]++;
      a.columns.columns[to] = static_cast<std::int32_t>(i);
      a.columns.costs[to] = a.rows.costs[e];
    }
  return entries;
}
}  // namespace monge::kernels::cpu
