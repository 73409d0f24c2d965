#include "monge/ot/sparsify.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "ot/overloaded.hpp"
#include "ot/row_thresholds.hpp"

namespace monge {
namespace {
template <class T>
class Sparsifier {
 public:
  Sparsifier(const Plan<T>& plan, Exec& exec, std::int64_t limit)
      : plan_(plan), exec_(exec), limit_(limit), h_(column_bias(plan, Side::source, exec)) {
    const auto tops = plan.top_k(1, exec).values.to(Device{}, exec.stream);
    for (const T top : tops) {
      most_ = std::max<double>(most_, top);
      least_top_ = std::min<double>(least_top_, top);
    }
    if (!(most_ > 0)) throw InvalidArgument("[plan] sparsify: the plan carries no mass");
  }

  double by_rows() const { return least_top_; }

  // The k-th largest entry of all: thresholds are lowered, then brought together, until those above
  // one are few enough to sort. Passes only count until then.
  double by_count(double wanted) {
    if (wanted > static_cast<double>(limit_))
      throw InvalidArgument(
          fmt::format("[plan] sparsify: {:.6g} of the {} x {} entries are wanted, "
                      "the limit is {}: raise the percentile or the limit",
                      wanted, plan_.n(), plan_.m(), limit_),
          "percentile");
    const auto k = static_cast<std::int64_t>(wanted);
    double high = std::log(most_), low = high, width = std::log(16.0);
    std::int64_t count = 0;
    while ((count = count_at(low)) < k && low > kLeast) {
      high = low;
      low = std::max(kLeast, low - width);
      width *= 2;
    }
    const std::int64_t enough = std::min(limit_, 2 * k + 1024);
    while (count > enough && high - low > 1e-12 * std::abs(low)) {
      const double middle = low + (high - low) / 2;
      const std::int64_t there = count_at(middle);
      (there < k ? high : low) = middle;
      if (there >= k) count = there;
    }
    auto values = values_at(low);
    if (static_cast<std::int64_t>(values.size()) < k) return std::exp(kLeast);  // the others are 0
    std::nth_element(values.begin(), values.begin() + (k - 1), values.end(), std::greater<>());
    return values[k - 1];
  }

  double by_mass(double share) {
    const double wanted = share * plan_.mass(exec_);
    for (double low = std::log(most_), width = std::log(16.0);; width *= 1.5) {
      low = std::max(kLeast, low - width);
      auto values = values_at(low);
      std::sort(values.begin(), values.end(), std::greater<>());
      double sum = 0;
      for (const T value : values)
        if ((sum += value) >= wanted) return value;
      if (low <= kLeast) return std::exp(kLeast);  // all there is, up to rounding of the mass
    }
  }

 private:
  static constexpr double kLeast = sizeof(T) == 4 ? -87 : -708;  // log of the least normal number

  std::int64_t count_at(double log_threshold) {
    const auto least = row_thresholds(plan_, std::exp(log_threshold), exec_);
    Buffer<std::int64_t> counts(plan_.n(), exec_.device);
    plan_.op().select(Side::source, h_.data(), plan_.f().data, least.data(), counts.data(), nullptr,
                      nullptr, nullptr, plan_.epsilon(), exec_);
    std::int64_t sum = 0;
    for (const std::int64_t count : std::move(counts).to(Device{}, exec_.stream)) sum += count;
    return sum;
  }
  std::vector<T> values_at(double log_threshold) {
    const auto values =
        plan_.sparse(std::exp(log_threshold), exec_, limit_).values.to(Device{}, exec_.stream);
    return {values.begin(), values.end()};
  }

  const Plan<T>& plan_;
  Exec& exec_;
  std::int64_t limit_;
  Buffer<T> h_;
  double most_ = 0, least_top_ = std::numeric_limits<double>::infinity();
};
}  // namespace

template <class T>
SparsePart<T> sparsify(const Plan<T>& plan, const Keep& keep, Exec& exec, std::int64_t limit) {
  if (const auto* mass = std::get_if<KeepMass>(&keep))
    if (!(mass->share > 0 && mass->share <= 1))
      throw InvalidArgument(fmt::format("[plan] mass is {}, wanted a share in (0, 1]", mass->share),
                            "mass");
  if (const auto* of = std::get_if<KeepPercentile>(&keep))
    if (!(of->percentile >= 0 && of->percentile < 100))
      throw InvalidArgument(
          fmt::format("[plan] percentile is {}, wanted a number in [0, 100)", of->percentile),
          "percentile");
  Sparsifier<T> by(plan, exec, limit);
  SparsePart<T> out;
  out.threshold = std::visit(
      Overloaded{
          [&](KeepMass mass) { return by.by_mass(mass.share); },
          [&](KeepPercentile of) {
            const double entries = static_cast<double>(plan.n()) * static_cast<double>(plan.m());
            return by.by_count(std::max(1.0, std::ceil((1 - of.percentile / 100) * entries - 0.5)));
          },
          [&](KeepRows) { return by.by_rows(); }},
      keep);
  out.plan = plan.sparse(out.threshold, exec, limit);
  double kept = 0;
  for (const T value : out.plan.values.to(Device{}, exec.stream)) kept += value;
  out.share = kept / plan.mass(exec);
  return out;
}

template SparsePart<float> sparsify(const Plan<float>&, const Keep&, Exec&, std::int64_t);
template SparsePart<double> sparsify(const Plan<double>&, const Keep&, Exec&, std::int64_t);
}  // namespace monge
