#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
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

/// Turns counts[i + 1] into where i starts.
void accumulate(std::span<std::int64_t> counts) {
  std::partial_sum(counts.begin(), counts.end(), counts.begin());
}
}  // namespace

// Nothing is sorted: columns in order write the rows in order, and rows then the columns.
std::int64_t sparse_join(const SparseJoinArgs& a, Exec&) {
  const std::int64_t n = a.of_rows.rows, m = a.of_columns.rows;
  std::vector<std::int64_t> first(m + 1);  // of what rows say of a column
  for (std::int64_t i = 0; i < n; ++i)
    each_of(a.of_rows, i, [&](std::int64_t j, double) { ++first[j + 1]; });
  accumulate(first);
  using Entry = std::pair<std::int32_t, double>;
  std::vector<Entry> said(first[m]);
  {
    std::vector<std::int64_t> next(first.begin(), first.end() - 1);
    for (std::int64_t i = 0; i < n; ++i)
      each_of(a.of_rows, i, [&](std::int64_t j, double cost) {
        said[next[j]++] = {static_cast<std::int32_t>(i), cost};
      });
  }

  std::vector<std::int64_t> last(n);
  const auto each_pair = [&](const auto& pair) {
    std::fill(last.begin(), last.end(), -1);
    for (std::int64_t j = 0; j < m; ++j) {
      const auto add = [&](std::int64_t i, double cost) {
        if (std::exchange(last[i], j) != j) pair(i, j, cost);
      };
      for (std::int64_t e = first[j]; e < first[j + 1]; ++e) add(said[e].first, said[e].second);
      each_of(a.of_columns, j, add);
    }
  };
  const std::span<std::int64_t> rows(a.rows.offsets, n + 1), columns(a.columns.offsets, m + 1);
  std::fill(rows.begin(), rows.end(), 0);
  std::fill(columns.begin(), columns.end(), 0);
  each_pair([&](std::int64_t i, std::int64_t j, double) { ++rows[i + 1], ++columns[j + 1]; });
  accumulate(rows);
  accumulate(columns);
  std::vector<std::int64_t> next(rows.begin(), rows.end() - 1);
  each_pair([&](std::int64_t i, std::int64_t j, double cost) {
    const std::int64_t to = next[i]++;
    a.rows.columns[to] = static_cast<std::int32_t>(j);
    a.rows.costs[to] = cost;
  });
  next.assign(columns.begin(), columns.end() - 1);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t e = rows[i]; e < rows[i + 1]; ++e) {
      const std::int64_t to = next[a.rows.columns[e]]++;
      a.columns.columns[to] = static_cast<std::int32_t>(i);
      a.columns.costs[to] = a.rows.costs[e];
    }
  return rows[n];
}
}  // namespace monge::kernels::cpu
