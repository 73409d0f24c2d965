#include "monge/ot/composition.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "ot/plan_parts.hpp"

namespace monge {
namespace {
template <class T>
void check_shared(const Plan<T>& first, const Plan<T>& second, std::size_t at, Exec& exec) {
  if (first.m() != second.n())
    throw InvalidArgument(
        fmt::format("[composition] plan {} ends in {} points but plan {} begins with {}", at,
                    first.m(), at + 1, second.n()),
        "plans", static_cast<std::int64_t>(at) + 1);
  check_device("composition", "a plan", second.problem().device(), exec);
  const auto b = on_host(first.problem().b(), exec), a = on_host(second.problem().a(), exec);
  const double tolerance =
      std::max(first.problem().mass_tolerance(), second.problem().mass_tolerance());
  for (std::int64_t k = 0; k < b.size(); ++k)
    if (!(std::abs(b[k] - a[k]) <= tolerance * std::max(a[k], b[k])))
      throw InvalidArgument(
          fmt::format("[composition] plan {} ends in weight {} at point {} and plan {} begins with "
                      "{}: the shared side must be the same measure",
                      at, b[k], k, at + 1, a[k]),
          "plans", static_cast<std::int64_t>(at) + 1);
}
}  // namespace

template <class T>
Composition<T>::Composition(std::vector<const Plan<T>*> plans, Exec& exec)
    : plans_(std::move(plans)) {
  if (plans_.size() < 2)
    throw InvalidArgument(
        fmt::format("[composition] got {} plans, wanted at least two", plans_.size()), "plans");
  check_device("composition", "a plan", plans_[0]->problem().device(), exec);
  for (std::size_t at = 0; at + 1 < plans_.size(); ++at) {
    check_shared(*plans_[at], *plans_[at + 1], at, exec);
    auto share = plans_[at + 1]->marginal(Side::source, exec).to(Device{}, exec.stream);
    for (T& m : share) m = m > 0 && std::isfinite(1 / m) ? 1 / m : T(0);
    shares_.push_back(std::move(share).to(exec.device, exec.stream));
  }
}

template <class T>
Buffer<T> Composition<T>::apply(Side rows, MatrixView<const T> v, Exec& exec) const {
  const bool forward = rows == Side::source;  // P Q V begins with the last plan
  const std::size_t count = plans_.size();
  const auto plan = [&](std::size_t step) { return plans_[forward ? count - 1 - step : step]; };
  auto out = plan(0)->apply(rows, v, exec);
  for (std::size_t step = 1; step < count; ++step) {
    const Buffer<T>& share = shares_[forward ? count - 1 - step : step - 1];
    scale_rows(share.view(), out, exec);
    out = plan(step)->apply(rows, {out.data(), share.size(), v.cols, v.cols, 1, exec.device}, exec);
  }
  return out;
}

template <class T>
Buffer<T> Composition<T>::marginal(Side side, Exec& exec) const {
  const std::int64_t size = side == Side::source ? m() : n();
  const auto ones = filled(size, T(1), exec);
  return apply(side, {ones.data(), size, 1, 1, 1, exec.device}, exec);
}

// Some columns of the identity at a time.
template <class T>
Buffer<T> Composition<T>::dense(Exec& exec, std::int64_t limit) const {
  if (static_cast<double>(n()) * static_cast<double>(m()) > static_cast<double>(limit))
    throw InvalidArgument(
        fmt::format("[composition] dense: {} x {} entries are over the limit of {}: use the "
                    "operator, or raise the limit",
                    n(), m(), limit),
        "limit");
  constexpr std::int64_t kColumns = 64;
  Buffer<T> out(n() * m());
  for (std::int64_t first = 0; first < m(); first += kColumns) {
    const std::int64_t some = std::min(kColumns, m() - first);
    Buffer<T> unit(m() * some, T(0));
    for (std::int64_t c = 0; c < some; ++c) unit[(first + c) * some + c] = 1;
    unit = std::move(unit).to(exec.device, exec.stream);
    const auto columns = apply(Side::source, {unit.data(), m(), some, some, 1, exec.device}, exec)
                             .to(Device{}, exec.stream);
    for (std::int64_t i = 0; i < n(); ++i)
      std::copy_n(columns.begin() + i * some, some, out.begin() + i * m() + first);
  }
  return std::move(out).to(exec.device, exec.stream);
}

template class Composition<float>;
template class Composition<double>;
}  // namespace monge
