// The plan written out: its largest entries, those above a threshold, or all of them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "monge/ot/plan.hpp"
#include "ot/row_thresholds.hpp"

namespace monge {
namespace {
constexpr std::int64_t kDenseChunk = std::int64_t{1} << 20;  // entries listed at a time

template <class T>
struct Entry {
  std::int64_t column;
  T weight;
};

// Moves row i's entries of weight >= keep down to offsets[i], scaled by a_i; `first` and `counts`
// say where they are. Entries keep their order, unless they were swept in that of a tree and
// `before` says which of two comes first. On the host: entries are few beside the sweep that found
// them.
template <class T, class First, class Count, class Before>
SparsePlan<T> compacted(const Plan<T>& plan, Buffer<std::int64_t> columns, Buffer<T> weights,
                        T least, const First& first, const Count& count, const Before& before,
                        Exec& exec) {
  const auto a = on_host(plan.problem().a(), exec);
  columns = std::move(columns).to(Device{}, exec.stream);
  weights = std::move(weights).to(Device{}, exec.stream);
  Buffer<std::int64_t> offsets(plan.n() + 1);
  std::int64_t kept = 0;
  offsets[0] = 0;
  std::vector<Entry<T>> row;
  const auto sort = [&](std::int64_t begin, std::int64_t entries) {
    row.clear();
    for (std::int64_t e = begin; e < begin + entries; ++e) row.push_back({columns[e], weights[e]});
    std::sort(row.begin(), row.end(), before);
    for (const auto& [column, weight] : row) {
      columns[begin] = column;
      weights[begin++] = weight;
    }
  };
  for (std::int64_t i = 0; i < plan.n(); ++i) {
    if (plan.op().planted()) sort(first(i), count(i));
    for (std::int64_t e = first(i); e < first(i) + count(i); ++e) {
      const T value = a[i] > 0 && columns[e] >= 0 ? a[i] * weights[e] : T(0);
      if (!(value > 0 && value >= least)) continue;
      columns[kept] = columns[e];
      weights[kept++] = value;
    }
    offsets[i + 1] = kept;
  }
  const auto cut = [&]<class U>(Buffer<U>& from) {
    if (kept == from.size()) return std::move(from).to(exec.device, exec.stream);
    Buffer<U> to(kept, exec.device);
    copy(to.data(), exec.device, from.data(), Device{}, kept * static_cast<std::int64_t>(sizeof(U)),
         exec.stream);
    return to;
  };
  return {plan.n(), plan.m(), std::move(offsets).to(exec.device, exec.stream), cut(columns),
          cut(weights)};
}
/// `from` with lower bounds put in: of each row the entries of at least `least`, ascending, or the
/// `most` largest, falling. None of these is missing in `from` but those that bounds raise.
template <class T>
SparsePlan<T> with_bounds(const Plan<T>& plan, SparsePlan<T> from, T least, std::int64_t most,
                          Exec& exec) {
  const BoundEntries* const bounds = plan.problem().bounds();
  if (!bounds) return from;
  const auto here = [&](auto& buffer) { buffer = std::move(buffer).to(Device{}, exec.stream); };
  here(from.offsets);
  here(from.columns);
  here(from.values);
  struct Entry {
    std::int64_t column;
    T value;
  };
  std::vector<std::int64_t> columns;
  std::vector<T> values;
  Buffer<std::int64_t> offsets(plan.n() + 1);
  offsets[0] = 0;
  auto line = bounds->rows.begin();
  for (std::int64_t i = 0; i < plan.n(); ++i) {
    std::vector<Entry> row;
    for (std::int64_t e = from.offsets[i]; e < from.offsets[i + 1]; ++e)
      row.push_back({from.columns[e], from.values[e]});
    if (line != bounds->rows.end() && line->at == i) {
      for (std::int64_t e = line->first; e < line->last; ++e) {
        const BoundEntry& bound = bounds->by_row[e];
        const auto there = std::find_if(
            row.begin(), row.end(), [&](const Entry& entry) { return entry.column == bound.j; });
        if (there != row.end())
          there->value = std::max(there->value, static_cast<T>(bound.bound));
        else if (bound.bound >= least)
          row.push_back({bound.j, static_cast<T>(bound.bound)});
      }
      ++line;
      std::sort(row.begin(), row.end(), [&](const Entry& x, const Entry& y) {
        if (most > 0 && x.value != y.value) return x.value > y.value;
        return x.column < y.column;
      });
    }
    if (most > 0 && static_cast<std::int64_t>(row.size()) > most) row.resize(most);
    for (const Entry& entry : row) {
      columns.push_back(entry.column);
      values.push_back(entry.value);
    }
    offsets[i + 1] = static_cast<std::int64_t>(columns.size());
  }
  return {plan.n(), plan.m(), std::move(offsets).to(exec.device, exec.stream),
          placed(columns, exec), placed(values, exec)};
}
}  // namespace

template <class T>
SparsePlan<T> Plan<T>::top_k(int k, Exec& exec) const {
  if (k < 1 || k > m())
    throw InvalidArgument(
        fmt::format("[plan] k is {}, wanted 1 to {}, the entries of a row", k, m()), "k");
  const auto h = column_bias(*this, Side::source, exec);
  Buffer<std::int64_t> columns(n() * k, exec.device);
  Buffer<T> weights(n() * k, exec.device);
  op_->top_k(Side::source, h.data(), f_.data(), k, columns.data(), weights.data(), nullptr,
             epsilon_, exec);
  auto found = compacted(
      *this, std::move(columns), std::move(weights), T(0), [&](std::int64_t i) { return i * k; },
      [&](std::int64_t) { return k; },
      [](const Entry<T>& a, const Entry<T>& b) {
        return a.weight != b.weight ? a.weight > b.weight : a.column < b.column;
      },
      exec);
  return with_bounds(*this, std::move(found), T(0), k, exec);
}

template <class T>
SparsePlan<T> Plan<T>::sparse(double threshold, Exec& exec, std::int64_t limit) const {
  if (!(threshold > 0 && std::isfinite(threshold)))
    throw InvalidArgument(
        fmt::format("[plan] threshold is {}, wanted a finite number > 0", threshold), "threshold");
  const auto h = column_bias(*this, Side::source, exec);
  const auto least = row_thresholds(*this, threshold, exec);
  Buffer<std::int64_t> row_counts(n(), exec.device);
  op_->select(Side::source, h.data(), f_.data(), least.data(), row_counts.data(), nullptr, nullptr,
              nullptr, epsilon_, exec);
  const auto counts = row_counts.to(Device{}, exec.stream);
  Buffer<std::int64_t> offsets(n());
  std::int64_t entries = 0;
  for (std::int64_t i = 0; i < n(); ++i) {
    offsets[i] = entries;
    entries += counts[i];
  }
  if (entries > limit)
    throw InvalidArgument(
        fmt::format("[plan] {} entries of the {} x {} plan are >= {}, the limit is {}: raise the "
                    "threshold or the limit",
                    entries, n(), m(), threshold, limit),
        "threshold");
  const auto row_offsets = offsets.to(exec.device, exec.stream);
  Buffer<std::int64_t> columns(entries, exec.device);
  Buffer<T> weights(entries, exec.device);
  if (entries > 0)
    op_->select(Side::source, h.data(), f_.data(), least.data(), row_counts.data(),
                row_offsets.data(), columns.data(), weights.data(), epsilon_, exec);
  auto found = compacted(
      *this, std::move(columns), std::move(weights), static_cast<T>(threshold),
      [&](std::int64_t i) { return offsets[i]; }, [&](std::int64_t i) { return counts[i]; },
      [](const Entry<T>& a, const Entry<T>& b) { return a.column < b.column; }, exec);
  return with_bounds(*this, std::move(found), static_cast<T>(threshold), 0, exec);
}

// Row blocks of the non-zero entries, so that only the result has size n x m. All of them, in the
// order of the points: a tree would save little of a plan that is written out.
template <class T>
Buffer<T> Plan<T>::dense(Exec& exec, std::int64_t limit) const {
  if (static_cast<double>(n()) * static_cast<double>(m()) > static_cast<double>(limit))
    throw InvalidArgument(
        fmt::format("[plan] dense: {} x {} = {:.6g} entries are over the limit of {}: use the "
                    "operator, top_k or sparse, or raise the limit",
                    n(), m(), static_cast<double>(n()) * static_cast<double>(m()), limit),
        "limit");
  const auto h = column_bias(*this, Side::source, exec);
  const auto a = problem_->a();
  if (op_->has_images()) {  // a lattice, which has no bounds either
    Buffer<T> out(n() * m(), exec.device);
    op_->dense(h.data(), f_.data(), a, out.data(), epsilon_, exec);
    return out;
  }
  const Operator<T> op = op_->planted() ? Operator<T>(*problem_) : *op_;
  auto out = filled(n() * m(), T(0), exec);
  constexpr std::int64_t kBlock = kernels::kRowBlock;
  const std::int64_t rows =
      std::min(n(), std::max<std::int64_t>(1, kDenseChunk / m() / kBlock) * kBlock);
  std::vector<std::int64_t> starts(rows);
  for (std::int64_t i = 0; i < rows; ++i) starts[i] = i * m();
  const auto offsets = placed(starts, exec);
  const auto least = filled(rows, std::numeric_limits<T>::denorm_min(), exec);
  Buffer<T> weights(rows * m(), exec.device);
  Buffer<std::int64_t> counts(rows, exec.device), columns(rows * m(), exec.device);
  for (std::int64_t begin = 0; begin < n(); begin += rows) {
    kernels::SelectArgs<T> args{.pairs = op.pairs(Side::source, exec),
                                .h = h.data(),
                                .shift = f_.data() + begin,
                                .threshold = least.data(),
                                .counts = counts.data(),
                                .offsets = offsets.data(),
                                .columns = nullptr,
                                .weights = weights.data(),
                                .eps = epsilon_};
    auto& pairs = args.pairs;
    pairs.n = std::min(rows, n() - begin);
    if (pairs.matrix) {
      pairs.matrix += begin * pairs.row_stride;
    } else {
      pairs.rows.data += begin * pairs.rows.dim;  // whole panels: rows is a multiple of kPanel
      if (pairs.rows.norms) pairs.rows.norms += begin;
      pairs.rows.count = pairs.n;
    }
    kernels::select<T>(args, exec);
    args.columns = columns.data();
    kernels::select<T>(args, exec);
    const VectorView<const T> weight(&a[begin], pairs.n, a.stride, a.device);
    kernels::each(kernels::DenseArgs<T>{weight, counts.data(), columns.data(), weights.data(), m(),
                                        out.data() + begin * m()},
                  pairs.n * m(), exec);
  }
  if (problem_->bounds())
    edit_on_host(
        out,
        [&](T* entries) {
          for (const BoundEntry& e : problem_->bounds()->by_row) {
            T& entry = entries[e.i * m() + e.j];
            entry = std::max(entry, static_cast<T>(e.bound));
          }
        },
        exec);
  return out;
}

#define MONGE_INSTANTIATE(T)                                                 \
  template SparsePlan<T> Plan<T>::top_k(int, Exec&) const;                   \
  template SparsePlan<T> Plan<T>::sparse(double, Exec&, std::int64_t) const; \
  template Buffer<T> Plan<T>::dense(Exec&, std::int64_t) const;
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
