#include "ot/bounds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <variant>

#include "ot/arrays.hpp"
#include "ot/single_costs.hpp"

namespace monge {
namespace {
std::vector<BoundEntries::Line> lines_of(const std::vector<BoundEntry>& entries,
                                         std::int64_t BoundEntry::*at) {
  std::vector<BoundEntries::Line> out;
  for (std::size_t e = 0; e < entries.size(); ++e) {
    const auto here = static_cast<std::int64_t>(e);
    if (out.empty() || out.back().at != entries[e].*at) out.push_back({entries[e].*at, here, here});
    ++out.back().last;
  }
  return out;
}

/// One end of every entry.
Places ends(const std::vector<BoundEntry>& entries, std::int64_t BoundEntry::*at, Exec& exec) {
  std::vector<std::int64_t> out;
  out.reserve(entries.size());
  for (const BoundEntry& entry : entries) out.push_back(entry.*at);
  return {std::move(out), exec};
}

/// A hard side has room for its bounds.
template <class T>
void check_room(const char* name, const Marginal& marginal, const Buffer<T>& weight,
                double tolerance, const BoundEntries& entries, Side side) {
  if (!std::holds_alternative<Balanced>(marginal)) return;
  for (const auto& [at, first, last] : entries.lines(side)) {
    double sum = 0;
    for (std::int64_t e = first; e < last; ++e) sum += entries.entries(side)[e].bound;
    if (sum > weight[at] * (1 + tolerance))
      throw InvalidArgument(
          fmt::format("[problem] bounds ask for {:.15g} of {}[{}], which is {:.15g} and balanced: "
                      "lower them, or soften the side (KL or TV)",
                      sum, name, at, weight[at]),
          "bounds", at);
  }
}
}  // namespace

template <class T>
std::shared_ptr<const BoundEntries> checked_bounds(const Problem<T>& problem,
                                                   const LowerBounds& bounds) {
  const auto &rows = bounds.rows, &columns = bounds.columns;
  const auto& values = bounds.values;
  if (rows.size != values.size || columns.size != values.size)
    throw InvalidArgument(fmt::format("[problem] bounds have {} rows, {} columns and {} values, "
                                      "wanted one of each an entry",
                                      rows.size, columns.size, values.size),
                          "bounds");
  if (values.size == 0) return nullptr;
  if (std::holds_alternative<Lattice<T>>(problem.geometry()))
    throw NotAvailable("[problem] lower bounds are not available on a lattice: give its points");
  if (problem.total_mass())
    throw NotAvailable("[problem] lower bounds are not available with a total mass");
  Exec exec = exec_of(problem);
  const SingleCosts<T> costs(problem.geometry(), exec);
  const auto a_here = on_host(problem.a(), exec), b_here = on_host(problem.b(), exec);
  const auto refuse = [&](std::int64_t e, const std::string& why) {
    throw InvalidArgument(fmt::format("[problem] bounds[{}] = {} at ({}, {}): {}", e, values[e],
                                      rows[e], columns[e], why),
                          "bounds", e);
  };
  auto out = std::make_shared<BoundEntries>();
  for (std::int64_t e = 0; e < values.size; ++e) {
    const std::int64_t i = rows[e], j = columns[e];
    if (i < 0 || i >= problem.n() || j < 0 || j >= problem.m())
      refuse(e, fmt::format("wanted a pair of {} x {}", problem.n(), problem.m()));
    if (!(values[e] >= 0 && std::isfinite(values[e]))) refuse(e, "wanted a finite mass >= 0");
    if (values[e] == 0) continue;
    const double a = a_here[i], b = b_here[j], cost = costs(i, j);
    if (!(a > 0 && b > 0)) refuse(e, "a point of weight 0 carries no mass");
    if (std::isinf(cost)) refuse(e, "the pair is forbidden");
    out->by_row.push_back({i, j, values[e], cost, std::log(a) + std::log(b)});
  }
  if (out->by_row.empty()) return nullptr;
  const auto by_row = [](const BoundEntry& p, const BoundEntry& q) {
    return std::tie(p.i, p.j) < std::tie(q.i, q.j);
  };
  std::sort(out->by_row.begin(), out->by_row.end(), by_row);
  const auto twice = std::adjacent_find(
      out->by_row.begin(), out->by_row.end(),
      [](const BoundEntry& p, const BoundEntry& q) { return p.i == q.i && p.j == q.j; });
  if (twice != out->by_row.end())
    throw InvalidArgument(
        fmt::format("[problem] bounds have two entries at ({}, {})", twice->i, twice->j), "bounds");
  out->by_column = out->by_row;
  std::stable_sort(out->by_column.begin(), out->by_column.end(),
                   [](const BoundEntry& p, const BoundEntry& q) { return p.j < q.j; });
  out->rows = lines_of(out->by_row, &BoundEntry::i);
  out->columns = lines_of(out->by_column, &BoundEntry::j);
  const double tolerance = problem.mass_tolerance();
  check_room("a", problem.marginal_a(), a_here, tolerance, *out, Side::source);
  check_room("b", problem.marginal_b(), b_here, tolerance, *out, Side::target);
  return out;
}

std::vector<ActiveBound> active_bounds(const BoundEntries* entries, const double* f,
                                       const double* g, double eps, Exec& exec) {
  std::vector<ActiveBound> out;
  if (!entries) return out;
  const auto& all = entries->by_row;
  const auto at_rows = ends(all, &BoundEntry::i, exec).read(f, exec),
             at_columns = ends(all, &BoundEntry::j, exec).read(g, exec);
  for (std::size_t k = 0; k < all.size(); ++k) {
    const BoundEntry& e = all[k];
    const double log_free = e.log_free(at_rows[k], at_columns[k], eps), free = std::exp(log_free);
    if (free < e.bound)
      out.push_back({e.i, e.j, e.bound, free, e.cost, e.bound * (std::log(e.bound) - log_free)});
  }
  return out;
}

double dual_gain(const std::vector<ActiveBound>& active) {
  double out = 0;
  for (const ActiveBound& e : active) out += e.gain;
  return out;
}

template <class T>
BoundedSide<T>::BoundedSide(const BoundEntries* entries, Side side, VectorView<const T> weight,
                            const kernels::Penalty& penalty, Exec& exec)
    : entries_(entries), side_(side), penalty_(penalty) {
  if (!entries_) return;
  const auto here = on_host(weight, exec);
  std::vector<std::int64_t> at;
  for (const auto& line : entries_->lines(side_)) {
    at.push_back(line.at);
    weight_.push_back(here[line.at]);
  }
  lines_ = Places(std::move(at), exec);
  opposite_ =
      ends(entries_->entries(side_), side_ == Side::source ? &BoundEntry::j : &BoundEntry::i, exec);
}

template <class T>
std::vector<typename BoundedSide<T>::Term> BoundedSide<T>::terms(const BoundEntries::Line& line,
                                                                 const std::vector<double>& against,
                                                                 double eps) const {
  std::vector<Term> out;
  for (std::int64_t e = line.first; e < line.last; ++e) {
    const BoundEntry& entry = entries_->entries(side_)[e];
    out.push_back({entry.bound, entry.log_free(0, against[e], eps)});
  }
  return out;
}

template <class T>
void BoundedSide<T>::swept(const double* softmin, Exec& exec) {
  if (entries_) raw_ = lines_.read(softmin, exec);
}

// With F(f) = a exp((f - s) / eps) + sum (L - P0(f))+ the mass of the line, F = a (Balanced, TV
// between its bounds) or F = a exp(-f / rho) (KL): log F less log of what it is to be rises with f,
// from below 0 to at least 0 at the step without bounds. Newton's steps, halving where one leaves
// the bracket.
template <class T>
void BoundedSide<T>::step(double* own, const double* other, double eps, Exec& exec) const {
  if (!entries_) return;
  const auto against = opposite_.read(other, exec);
  std::vector<double> best(raw_.size());
  using Kind = kernels::Penalty::Kind;
  const bool kl = penalty_.kind == Kind::kl;
  const auto& lines = entries_->lines(side_);
  for (std::size_t l = 0; l < lines.size(); ++l) {
    const double a = weight_[l], s = raw_[l];
    const auto bounds = terms(lines[l], against, eps);
    double slope = 0;
    const auto excess = [&](double f) {  // log F - log target
      double bound_mass = 0, free_mass = 0;
      for (const Term& term : bounds) {
        const double free = std::exp(term.log_unit + f / eps);
        if (free >= term.bound) continue;
        bound_mass += term.bound - free;
        free_mass += free;
      }
      const double z = (f - s) / eps, ratio = std::exp(z) + bound_mass / a;
      slope = std::max(0.0, std::exp(z) - free_mass / a) / (ratio * eps) +
              (kl ? 1 / penalty_.strength : 0);
      const double log_ratio =
          z > -1 ? std::log1p(std::expm1(z) + bound_mass / a) : std::log(ratio);
      return log_ratio + (kl ? f / penalty_.strength : 0);
    };
    double high = kl ? penalty_.prox(s, eps) : s;
    double f = high;
    if (double off = excess(high); off > 0) {
      // Where bounds take all of a hard line nothing else is left to balance: the rest of its mass
      // is then below rounding.
      double low = high, width = eps;
      const double least = kl ? -std::numeric_limits<double>::infinity() : s - 60 * eps;
      do {
        low = std::max(least, low - width);
        width *= 2;
      } while (excess(low) > 0 && low > least);
      off = excess(f);
      for (int it = 0; it < 200 && off != 0; ++it) {
        (off > 0 ? high : low) = f;
        const double newton = slope > 0 ? f - off / slope : low;
        const double next = newton > low && newton < high ? newton : low + (high - low) / 2;
        if (std::abs(next - f) <= 2e-16 * (std::abs(f) + eps)) break;
        f = next;
        off = excess(f);
      }
    }
    best[l] = penalty_.feasible(f);
  }
  lines_.write(best, own, exec);
}

template <class T>
void BoundedSide<T>::cover(const double* own, const double* other, double eps, double* softmin,
                           Exec& exec) const {
  if (!entries_) return;
  const auto& lines = entries_->lines(side_);
  const auto at = lines_.read(own, exec), against = opposite_.read(other, exec);
  auto covered = raw_;
  for (std::size_t l = 0; l < lines.size(); ++l) {
    double excess = 0;
    for (const Term& term : terms(lines[l], against, eps))
      excess += std::max(0.0, term.bound - std::exp(term.log_unit + at[l] / eps));
    if (excess > 0)
      covered[l] = at[l] - eps * std::log(std::exp((at[l] - raw_[l]) / eps) + excess / weight_[l]);
  }
  lines_.write(covered, softmin, exec);
}

template <class T>
HeldBounds lower_bounds(const Problem<T>& problem) {
  if (!problem.bounds()) return {};
  const auto& entries = problem.bounds()->by_row;
  const auto count = static_cast<std::int64_t>(entries.size());
  HeldBounds out{Buffer<std::int64_t>(count), Buffer<std::int64_t>(count), Buffer<double>(count)};
  for (std::int64_t e = 0; e < count; ++e) {
    out.rows[e] = entries[e].i;
    out.columns[e] = entries[e].j;
    out.values[e] = entries[e].bound;
  }
  return out;
}

#define MONGE_INSTANTIATE(T)                                                       \
  template std::shared_ptr<const BoundEntries> checked_bounds(const Problem<T>&,   \
                                                              const LowerBounds&); \
  template HeldBounds lower_bounds(const Problem<T>&);                             \
  template class BoundedSide<T>;
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
