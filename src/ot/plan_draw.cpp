// Sampling from the plan. Draw number t of row i always is philox_uniform(seed, i, t), and draw
// number t of a source is number t of a stream that no row has: results depend on seed and plan
// alone, never on tiles, threads or what else was asked. Rows are counted on the host: a draw is
// not part of an iteration, and the counts are few beside the sweep.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "monge/core/random.hpp"
#include "monge/ot/plan.hpp"
#include "ot/plan_parts.hpp"

namespace monge {
namespace {
constexpr std::uint64_t kSourceStream = std::uint64_t{1} << 63;

// Rows, and how many targets each is asked for; the targets of row r start at offsets[r].
struct Requests {
  std::vector<std::int64_t> rows, counts;
};

/// The targets of all requests, `total` of them, on the host.
template <class T>
Buffer<std::int64_t> drawn(const Plan<T>& plan, const Requests& requests, std::int64_t total,
                           const Buffer<T>& h, const Buffer<T>& s, std::uint64_t seed, Exec& exec) {
  Buffer<std::int64_t> targets(total, exec.device);
  if (total > 0)
    plan.op().draw(Side::source, h.data(), s.data(), requests.rows, requests.counts, seed,
                   targets.data(), plan.epsilon(), exec);
  return std::move(targets).to(Device{}, exec.stream);
}

void check_count(std::int64_t k) {
  if (k < 1) throw InvalidArgument(fmt::format("[plan] k is {}, wanted at least 1 draw", k), "k");
}
}  // namespace

template <class T>
Pairs64 Plan<T>::draw_pairs(std::int64_t k, std::uint64_t seed, Exec& exec) const {
  check_count(k);
  without_bounds(*this, "drawing pairs");
  const auto h = column_bias(*this, Side::source, exec);
  const auto s = softmin(*op_, Side::source, h, epsilon_, exec);
  auto cumulative = row_masses(*this, Side::source, s, exec);
  double sum = 0;
  for (double& mass : cumulative) mass = sum += mass;
  if (!(sum > 0 && std::isfinite(sum)))
    throw InvalidArgument(fmt::format("[plan] draw_pairs: the plan carries mass {}", sum));
  // The first row that reaches the whole sum bounds the search: u * sum may round up to it.
  const auto last = std::lower_bound(cumulative.begin(), cumulative.end(), sum);

  Pairs64 out{Buffer<std::int64_t>(k), Buffer<std::int64_t>(k)};
  std::vector<std::int64_t> place(n(), 0);  // draws of a row, then where its next target stands
  for (std::int64_t t = 0; t < k; ++t) {
    const double u = philox_uniform(seed, kSourceStream, t) * sum;
    out.source[t] = std::upper_bound(cumulative.begin(), last, u) - cumulative.begin();
    ++place[out.source[t]];
  }
  Requests requests;
  std::int64_t offset = 0;
  for (std::int64_t i = 0; i < n(); ++i) {
    if (place[i] == 0) continue;
    requests.rows.push_back(i);
    requests.counts.push_back(place[i]);
    offset += std::exchange(place[i], offset);
  }
  const auto targets = drawn(*this, requests, k, h, s, seed, exec);
  for (std::int64_t t = 0; t < k; ++t) out.target[t] = targets[place[out.source[t]]++];
  return {std::move(out.source).to(exec.device, exec.stream),
          std::move(out.target).to(exec.device, exec.stream)};
}

template <class T>
Buffer<std::int64_t> Plan<T>::draw_targets(int k, std::uint64_t seed, Exec& exec) const {
  check_count(k);
  without_bounds(*this, "drawing targets");
  const auto h = column_bias(*this, Side::source, exec);
  const auto s = softmin(*op_, Side::source, h, epsilon_, exec);
  const auto mass = row_masses(*this, Side::source, s, exec);
  Requests requests;
  for (std::int64_t i = 0; i < n(); ++i)
    if (mass[i] > 0) requests.rows.push_back(i);
  const auto live = static_cast<std::int64_t>(requests.rows.size());
  requests.counts.assign(requests.rows.size(), k);
  const auto targets = drawn(*this, requests, live * k, h, s, seed, exec);
  Buffer<std::int64_t> out(n() * k, std::int64_t{-1});
  for (std::int64_t r = 0; r < live; ++r)
    std::copy_n(targets.begin() + r * k, k, out.begin() + requests.rows[r] * k);
  return std::move(out).to(exec.device, exec.stream);
}

#define MONGE_INSTANTIATE(T)                                                      \
  template Pairs64 Plan<T>::draw_pairs(std::int64_t, std::uint64_t, Exec&) const; \
  template Buffer<std::int64_t> Plan<T>::draw_targets(int, std::uint64_t, Exec&) const;
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
