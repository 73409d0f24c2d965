// The plan written out: its largest entries, those above a threshold, or all of them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "monge/ot/plan.hpp"
#include "ot/plan_parts.hpp"

namespace monge {
namespace {
constexpr std::int64_t kDenseChunk = std::int64_t{1} << 20;  // entries listed at a time

// Moves row i's entries of weight >= keep down to offsets[i], scaled by a_i; `first` and `counts`
// say where they are. Entries keep their order.
template <class T, class First, class Count>
SparsePlan<T> compacted(const Plan<T>& plan, Buffer<std::int64_t> columns, Buffer<T> weights,
                        T least, const First& first, const Count& count) {
  const auto a = plan.problem().a();
  SparsePlan<T> out{plan.n(), plan.m(), Buffer<std::int64_t>(plan.n() + 1), {}, {}};
  std::int64_t kept = 0;
  out.offsets[0] = 0;
  for (std::int64_t i = 0; i < plan.n(); ++i) {
    for (std::int64_t e = first(i); e < first(i) + count(i); ++e) {
      const T value = a[i] > 0 && columns[e] >= 0 ? a[i] * weights[e] : T(0);
      if (!(value > 0 && value >= least)) continue;
      columns[kept] = columns[e];
      weights[kept++] = value;
    }
    out.offsets[i + 1] = kept;
  }
  const auto cut = [&](auto& from, auto& to) {
    if (kept == from.size()) return to = std::move(from), void();
    to = std::remove_reference_t<decltype(to)>(kept);
    std::copy_n(from.begin(), kept, to.begin());
  };
  cut(columns, out.columns);
  cut(weights, out.values);
  return out;
}
}  // namespace

template <class T>
SparsePlan<T> Plan<T>::top_k(int k, Exec& exec) const {
  if (k < 1 || k > m())
    throw InvalidArgument(
        fmt::format("[plan] k is {}, wanted 1 to {}, the entries of a row", k, m()), "k");
  const auto h = column_bias(*this, Side::source, exec);
  Buffer<std::int64_t> columns(n() * k);
  Buffer<T> weights(n() * k);
  op_->top_k(Side::source, h.data(), f_.data(), k, columns.data(), weights.data(), nullptr,
             epsilon_, exec);
  return compacted(
      *this, std::move(columns), std::move(weights), T(0), [&](std::int64_t i) { return i * k; },
      [&](std::int64_t) { return k; });
}

template <class T>
SparsePlan<T> Plan<T>::sparse(double threshold, Exec& exec, std::int64_t limit) const {
  if (!(threshold > 0 && std::isfinite(threshold)))
    throw InvalidArgument(
        fmt::format("[plan] threshold is {}, wanted a finite number > 0", threshold), "threshold");
  const auto a = problem_->a();
  // A few ulps below threshold / a_i, so that the entries themselves decide, after scaling.
  constexpr double kBelow = 1 - 4.0 * std::numeric_limits<T>::epsilon();
  Buffer<T> least(n());
  for (std::int64_t i = 0; i < n(); ++i)
    least[i] = a[i] > 0 ? std::max(static_cast<T>(threshold / a[i] * kBelow),
                                   std::numeric_limits<T>::denorm_min())
                        : std::numeric_limits<T>::infinity();
  const auto h = column_bias(*this, Side::source, exec);
  Buffer<std::int64_t> counts(n()), offsets(n());
  op_->select(Side::source, h.data(), f_.data(), least.data(), counts.data(), nullptr, nullptr,
              nullptr, epsilon_, exec);
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
  Buffer<std::int64_t> columns(entries);
  Buffer<T> weights(entries);
  if (entries > 0)
    op_->select(Side::source, h.data(), f_.data(), least.data(), counts.data(), offsets.data(),
                columns.data(), weights.data(), epsilon_, exec);
  return compacted(
      *this, std::move(columns), std::move(weights), static_cast<T>(threshold),
      [&](std::int64_t i) { return offsets[i]; }, [&](std::int64_t i) { return counts[i]; });
}

// Row blocks of the non-zero entries, so that only the result has size n x m.
template <class T>
Buffer<T> Plan<T>::dense(Exec& exec, std::int64_t limit) const {
  if (static_cast<double>(n()) * static_cast<double>(m()) > static_cast<double>(limit))
    throw InvalidArgument(
        fmt::format("[plan] dense: {} x {} = {:.6g} entries are over the limit of {}: use the "
                    "operator, top_k or sparse, or raise the limit",
                    n(), m(), static_cast<double>(n()) * static_cast<double>(m()), limit),
        "limit");
  Buffer<T> out(n() * m(), T(0));
  const auto h = column_bias(*this, Side::source, exec);
  const auto a = problem_->a();
  constexpr std::int64_t kBlock = kernels::kRowBlock;
  const std::int64_t rows =
      std::min(n(), std::max<std::int64_t>(1, kDenseChunk / m() / kBlock) * kBlock);
  Buffer<T> least(rows, std::numeric_limits<T>::denorm_min()), weights(rows * m());
  Buffer<std::int64_t> counts(rows), offsets(rows), columns(rows * m());
  for (std::int64_t i = 0; i < rows; ++i) offsets[i] = i * m();
  for (std::int64_t begin = 0; begin < n(); begin += rows) {
    kernels::SelectArgs<T> args{.pairs = op_->pairs(Side::source),
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
    for (std::int64_t i = 0; i < pairs.n; ++i) {
      if (!(a[begin + i] > 0)) continue;
      for (std::int64_t e = i * m(); e < i * m() + counts[i]; ++e)
        out[(begin + i) * m() + columns[e]] = a[begin + i] * weights[e];
    }
  }
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
