#include "ot/alternation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#include "ot/penalty.hpp"

namespace monge {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

template <class T>
typename Alternation<T>::Half Alternation<T>::make_half(const Problem<T>& problem,
                                                        Side side) const {
  const bool source = side == Side::source;
  Half half;
  half.side = side;
  half.weight = source ? problem.a() : problem.b();
  half.mass = source ? problem.mass_a() : problem.mass_b();
  half.penalty = penalty_of<T>(source ? problem.marginal_a() : problem.marginal_b());
  const std::int64_t size = half.weight.size;
  half.log_weight = Buffer<double>(size);
  for (std::int64_t i = 0; i < size; ++i)
    half.log_weight[i] =
        half.weight[i] > 0 ? std::log(static_cast<double>(half.weight[i])) : -kInfinity;
  half.potential = Buffer<T>(size, T(0));
  half.softmin = Buffer<double>(size);
  half.h = Buffer<T>(kernels::padded(size));
  return half;
}

template <class T>
Alternation<T>::Alternation(const Problem<T>& problem, const Operator<T>& op, bool translate)
    : op_(op), translate_(translate) {
  // A Balanced side beside a soft one leads, so that its marginal is exact in every checked pair:
  // otherwise the duality gap would be infinite there.
  const bool swap = std::holds_alternative<Balanced>(problem.marginal_b()) &&
                    !std::holds_alternative<Balanced>(problem.marginal_a());
  lead_ = make_half(problem, swap ? Side::target : Side::source);
  follow_ = make_half(problem, other(lead_.side));
  using Kind = kernels::Penalty::Kind;
  free_level_ = lead_.penalty.kind == Kind::capped && follow_.penalty.kind == Kind::capped;
  total_mass_ = problem.total_mass().value_or(0);
}

template <class T>
void Alternation<T>::set_level(double level) {
  level_ = static_cast<T>(level);
  lead_.penalty.level = follow_.penalty.level = level_;
}

template <class T>
void Alternation<T>::start(const Start<T>& start, Exec& exec) {
  const auto take = [](Half& half, VectorView<const T> from) {
    for (std::int64_t i = 0; i < from.size; ++i)
      half.potential[i] = static_cast<T>(half.penalty.feasible(from[i]));
  };
  const bool both = start.f.size && start.g.size;
  if (free_level_) {  // some potential is at the level, or every capacity is spent
    double level = -kInfinity;
    for (const auto& v : {start.f, start.g})
      for (std::int64_t i = 0; i < v.size; ++i) level = std::max<double>(level, v[i]);
    set_level(std::isfinite(level) ? level : 0);
  }
  take(lead_, lead_.side == Side::source ? start.f : start.g);
  take(follow_, follow_.side == Side::source ? start.f : start.g);
  if (both) translate(exec);
}

template <class T>
void Alternation<T>::sweep(Half& half, Half& from, Exec& exec) {
  kernels::bias<T>(
      {from.potential.data(), from.log_weight.data(), from.potential.size(), eps_, from.h.data()},
      exec);
  op_.softmin(half.side, from.h.data(), half.has_softmin ? half.softmin.data() : nullptr,
              half.softmin.data(), eps_, exec);
  half.has_softmin = true;
  exec.state.passes = ++passes_;
}

template <class T>
kernels::Measures Alternation<T>::measure(const Half& half, double log_scale, bool optimality,
                                          Exec& exec) const {
  const double slack = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
  return kernels::measure<T>({half.potential.data(), half.softmin.data(), half.weight, half.penalty,
                              eps_, log_scale, slack, optimality},
                             exec);
}

template <class T>
void Alternation<T>::update(Half& half, double omega, Exec& exec) {
  const auto step = [&](double by) {
    kernels::half_step<T>(
        {half.softmin.data(), half.potential.data(), half.potential.size(), half.penalty, eps_, by},
        exec);
  };
  if (omega == 1) return step(1);
  // The dual as a function of this side alone; its scale bounds the rounding of the comparison.
  const auto dual = [&](const kernels::Measures& m) {
    return m.dual - eps_ * std::exp(m.log_mass);
  };
  const double before = dual(measure(half, 0, false, exec));
  step(omega);
  const double after = dual(measure(half, 0, false, exec));
  const double rounding = 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) *
                          (std::abs(before) + eps_ * half.mass);
  if (!(after >= before - rounding)) step(1);
}

template <class T>
void Alternation<T>::lead(double omega, Exec& exec) {
  sweep(lead_, follow_, exec);
  update(lead_, omega, exec);
}

template <class T>
void Alternation<T>::sweep_following(Exec& exec) {
  sweep(follow_, lead_, exec);
}

template <class T>
void Alternation<T>::follow(double omega, Exec& exec) {
  update(follow_, omega, exec);
  if (free_level_)
    match_mass(exec);
  else
    translate(exec);
}

// Best step along (f + l, g - l), which leaves the plan alone (Sejourne et al. 2022, arXiv
// 2201.00730). A TV side would need a piecewise linear search; two Balanced sides have none.
template <class T>
void Alternation<T>::translate(Exec& exec) {
  using Kind = kernels::Penalty::Kind;
  const auto kind = [](const Half& h) { return h.penalty.kind; };
  const auto soft = [&](const Half& h) { return kind(h) == Kind::kl || kind(h) == Kind::balanced; };
  if (!translate_ || !soft(lead_) || !soft(follow_)) return;
  if (kind(lead_) == Kind::balanced && kind(follow_) == Kind::balanced) return;
  const auto log_target = [&](const Half& h) {
    return kind(h) == Kind::kl
               ? kernels::log_sum<T>({h.potential.data(), h.weight, h.penalty.strength}, exec)
               : std::log(h.mass);
  };
  const double a = lead_.penalty.strength, b = follow_.penalty.strength;
  const double rate = kind(lead_) == Kind::balanced     ? b
                      : kind(follow_) == Kind::balanced ? a
                                                        : a * b / (a + b);
  const double by = rate * (log_target(lead_) - log_target(follow_));
  if (std::isfinite(by)) move(by, -by, exec);
}

// f, g and the level rise together until the plan carries the total mass.
template <class T>
void Alternation<T>::match_mass(Exec& exec) {
  const double log_mass = measure(follow_, 0, false, exec).log_mass;
  const double by = eps_ / 2 * (std::log(total_mass_) - log_mass);
  if (!std::isfinite(by)) return;
  move(by, by, exec);
  set_level(level_ + by);
}

// The softmins follow, so that they stay good shifts: softmin(g + c) = softmin(g) - c.
template <class T>
void Alternation<T>::move(double lead_by, double follow_by, Exec& exec) {
  kernels::shift(lead_.potential.data(), lead_.potential.size(), lead_by, exec);
  kernels::shift(follow_.potential.data(), follow_.potential.size(), follow_by, exec);
  kernels::shift(lead_.softmin.data(), lead_.softmin.size(), -follow_by, exec);
  kernels::shift(follow_.softmin.data(), follow_.softmin.size(), -lead_by, exec);
}

template <class T>
typename Alternation<T>::Check Alternation<T>::check(Exec& exec) const {
  Check out{};
  kernels::Measures lead = measure(lead_, 0, true, exec), follow = measure(follow_, 0, true, exec);
  double log_mass = follow.log_mass, mass_terms = 0;
  if (free_level_) {
    const double log_scale = std::log(total_mass_) - log_mass;
    out.mass_shift = eps_ / 2 * log_scale;
    lead = measure(lead_, log_scale, true, exec);
    follow = measure(follow_, log_scale, true, exec);
    log_mass = std::log(total_mass_);
    mass_terms = 2 * (level_ + out.mass_shift) * total_mass_;
  }
  out.mass = std::exp(log_mass);
  const bool source_leads = lead_.side == Side::source;
  out.residual_a = source_leads ? lead.residual : follow.residual;
  out.residual_b = source_leads ? follow.residual : lead.residual;
  const double residual = lead.residual + follow.residual;
  out.marginal_error = residual == 0 ? 0 : residual / out.mass;
  out.dual = lead.dual + follow.dual + mass_terms + eps_ * (lead_.mass * follow_.mass - out.mass);
  out.gap = lead.gap + follow.gap;
  out.finite = std::isfinite(residual) && std::isfinite(out.dual) && std::isfinite(out.mass);
  return out;
}

template <class T>
void Alternation<T>::copy_pair(const Check& check, Buffer<T>& f, Buffer<T>& g) const {
  const auto copy = [&](const Half& half, Buffer<T>& out) {
    if (!out.size()) out = Buffer<T>(half.potential.size());
    for (std::int64_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<T>(half.potential[i] + check.mass_shift);
  };
  copy(lead_, lead_.side == Side::source ? f : g);
  copy(follow_, lead_.side == Side::source ? g : f);
}

template class Alternation<float>;
template class Alternation<double>;
}  // namespace monge
