#include "ot/alternation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

#include "kernels/entries.hpp"
#include "ot/arrays.hpp"
#include "ot/penalty.hpp"

namespace monge {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
}  // namespace

template <class T>
typename Alternation<T>::Half Alternation<T>::make_half(const Problem<T>& problem, Side side,
                                                        Exec& exec) const {
  const bool source = side == Side::source;
  Half half;
  half.side = side;
  half.weight = source ? problem.a() : problem.b();
  half.mass = source ? problem.mass_a() : problem.mass_b();
  half.penalty = penalty_of<T>(source ? problem.marginal_a() : problem.marginal_b());
  half.bounded = {bounds_, side, half.weight, half.penalty, exec};
  const std::int64_t n = half.weight.size, padded = kernels::padded(n);
  half.memory = Buffer<double>(padded + 3 * n, exec.device);
  half.h = half.memory.data();
  half.softmin = half.h + padded;
  half.log_weight = half.softmin + n;
  half.potential = half.log_weight + n;
  kernels::log_weights<T>({half.weight, half.log_weight}, exec);
  kernels::each(kernels::FillArgs<double>{0, half.potential}, n, exec);
  return half;
}

template <class T>
Alternation<T>::Alternation(const Problem<T>& problem, Operator<T>& op, bool translate, Exec& exec)
    : op_(op), bounds_(problem.bounds()), translate_(translate) {
  // A Balanced side beside a soft one leads, so that its marginal is exact in every checked pair:
  // otherwise the duality gap would be infinite there.
  const bool swap = std::holds_alternative<Balanced>(problem.marginal_b()) &&
                    !std::holds_alternative<Balanced>(problem.marginal_a());
  lead_ = make_half(problem, swap ? Side::target : Side::source, exec);
  follow_ = make_half(problem, other(lead_.side), exec);
  using Kind = kernels::Penalty::Kind;
  if (lead_.penalty.kind == Kind::capped && follow_.penalty.kind == Kind::capped)
    level_ = filled(1, 0.0, exec);
  total_mass_ = problem.total_mass().value_or(0);
  mass_ = std::min(lead_.mass, follow_.mass);
}

template <class T>
void Alternation<T>::start(const Start<T>& start, Exec& exec) {
  cold_ = !start.f.size && !start.g.size;
  const bool source_follows = follow_.side == Side::source;
  leads_alone_ = !cold_ && !(source_follows ? start.f : start.g).size;
  double level = 0;
  if (level_.size() && !cold_) {
    // Some potential is at the level, or every capacity is spent. Taken on the host: once a solve,
    // and of a start for partial transport alone.
    level = -kInfinity;
    for (const auto& v : {start.f, start.g})
      for (const T u : on_host(v, exec)) level = std::max<double>(level, u);
    if (!std::isfinite(level)) level = 0;
    level_ = filled(1, level, exec);
  }
  const auto take = [&](Half& half, VectorView<const T> from) {
    kernels::Penalty penalty = half.penalty;
    penalty.level = level;
    kernels::each(kernels::FeasibleArgs<T>{from, penalty, half.potential}, from.size, exec);
    if (!from.size || penalty.kind != kernels::Penalty::Kind::balanced) return;
    copy(half.softmin, exec.device, half.potential, exec.device,
         from.size * std::int64_t{sizeof(double)}, exec.stream);
    half.has_shift = true;
  };
  take(lead_, lead_.side == Side::source ? start.f : start.g);
  take(follow_, follow_.side == Side::source ? start.f : start.g);
  if (start.f.size && start.g.size && translates())
    kernels::translate<T>({lead_.moved(), follow_.moved()}, exec);
}

// Both sweeps that a check knows its pair from may lose mass: the leading one by the mask that was
// there before.
template <class T>
void Alternation<T>::mask(const Half& half, Exec& exec) {
  const bool source_leads = lead_.side == Side::source;
  const auto [before, now] =
      op_.truncate((source_leads ? lead_ : follow_).potential,
                   (source_leads ? follow_ : lead_).potential, eps_, share_ * mass_, exec);
  if (&half == &follow_) lost_ = std::max(before, now);
}

template <class T>
void Alternation<T>::need_bias(Half& half, Exec& exec) {
  if (!half.has_bias)
    kernels::bias<double>({half.potential, half.log_weight, half.weight.size, eps_, half.h}, exec);
  half.has_bias = true;
}

template <class T>
void Alternation<T>::sweep(Half& half, Half& from, Exec& exec,
                           const kernels::HalfStepArgs<T>* step) {
  if (op_.planted()) mask(half, exec);
  need_bias(from, exec);
  const bool expected = half.has_softmin || half.has_shift;
  half.absorbed = op_.softmin(half.side, from.h, expected ? half.softmin : nullptr, half.softmin,
                              eps_, exec, step);
  absorbed_ += half.absorbed;
  half.has_softmin = true;
  half.bounded.swept(half.softmin, exec);
  swept(exec);
}

// What has no softmin yet is swept for it first: weights are those relative to it.
template <class T>
void Alternation<T>::sweep(Half& half, Half& from, int k, TopLists& lists, Exec& exec) {
  if (!half.has_softmin) sweep(half, from, exec);
  if (op_.planted()) mask(half, exec);
  need_bias(from, exec);
  const std::int64_t n = half.weight.size;
  if (lists.k != k) {
    lists.k = k;
    lists.columns = Buffer<std::int64_t>(n * k, exec.device);
    lists.weights = Buffer<T>(n * k, exec.device);
    lists.h = padded_buffer<T>(from.weight.size, exec);
    lists.shift = Buffer<T>(n, exec.device);
  }
  kernels::each(kernels::RoundArgs<T>{from.h, lists.h.data()}, lists.h.size(), exec);
  kernels::each(kernels::RoundArgs<T>{half.softmin, lists.shift.data()}, n, exec);
  op_.top_k(half.side, lists.h.data(), lists.shift.data(), k, lists.columns.data(),
            lists.weights.data(), half.softmin, eps_, exec);
  half.absorbed = false;
  swept(exec);
}

template <class T>
void Alternation<T>::visit(int k, TopLists& lead, TopLists& follow, Exec& exec) {
  sweep(lead_, follow_, k, lead, exec);
  update(lead_, 1, false, exec);
  sweep(follow_, lead_, k, follow, exec);
}

template <class T>
void Alternation<T>::set_following(const double* g, const double* lead_softmin,
                                   const double* follow_softmin, Exec& exec) {
  const auto take = [&](const double* from, double* to, std::int64_t n) {
    copy(to, exec.device, from, exec.device, n * std::int64_t{sizeof(double)}, exec.stream);
  };
  take(g, moved(), follow_.weight.size);
  take(lead_softmin, lead_.softmin, lead_.weight.size);
  take(follow_softmin, follow_.softmin, follow_.weight.size);
  lead_.has_softmin = follow_.has_softmin = true;
  update(lead_, 1, false, exec);  // a mask is chosen by both
}

// The bias comes with the step, unless the potential still `moves`.
template <class T>
kernels::HalfStepArgs<T> Alternation<T>::step_of(const Half& half, double omega, bool moves) const {
  return {.s = half.softmin,
          .f = half.potential,
          .weight = half.weight,
          .mass = half.mass,
          .penalty = half.penalty,
          .level = level_.data(),
          .eps = eps_,
          .omega = omega,
          .log_weight = half.log_weight,
          .h = moves ? nullptr : half.h};
}

template <class T>
void Alternation<T>::update(Half& half, double omega, bool moves, Exec& exec) {
  kernels::half_step<T>(step_of(half, omega, moves), exec);
  half.has_bias = !moves;
}

template <class T>
void Alternation<T>::lead(double omega, Exec& exec) {
  if (std::exchange(leads_alone_, false)) {
    sweep_following(exec);
    follow(1, exec);
  }
  if (bounds_) {
    sweep(lead_, follow_, exec);
    update(lead_, omega, /*moves=*/true, exec);
  } else {
    const auto step = step_of(lead_, omega, false);
    sweep(lead_, follow_, exec, &step);
    lead_.has_bias = true;
  }
  lead_.bounded.step(lead_.potential, follow_.potential, eps_, exec);
  lead_.bounded.cover(lead_.potential, follow_.potential, eps_, lead_.softmin, exec);
}

template <class T>
void Alternation<T>::sweep_following(Exec& exec, double* image) {
  const auto step = step_into(image);
  sweep(follow_, lead_, exec, image ? &step : nullptr);
  follow_.bounded.cover(follow_.potential, lead_.potential, eps_, follow_.softmin, exec);
}

// A kernel that no sweep could use says that the next would be no better, until one is wanted at
// any price.
template <class T>
void Alternation<T>::absorb(double passes, std::int64_t budget, bool rough, Exec& exec) {
  const bool at_any_price = !std::isfinite(passes), better = op_.is_narrow() && at_any_price;
  if (follow_.absorbed && !better && op_.kernel_serves(exec)) return;
  const bool expected = lead_.has_softmin || lead_.has_shift;
  if (!(expected || cold_)) return;
  if (absorbed_ == absorbed_before_ && !at_any_price) return op_.forget();
  if (op_.absorb(lead_.side, expected ? lead_.softmin : nullptr, follow_.potential, eps_, passes,
                 budget, exec, rough))
    absorbed_before_ = absorbed_;
}

// The mass step, or the translation: of two KL sides, or one beside a Balanced side. A TV side
// would need a piecewise linear search; two Balanced sides have none.
template <class T>
void Alternation<T>::follow(double omega, Exec& exec) {
  update(follow_, omega, level_.size() || translates() || bounds_, exec);
  follow_.bounded.step(follow_.potential, lead_.potential, eps_, exec);
  if (level_.size())
    kernels::match_mass<T>({lead_.moved(), follow_.moved(), eps_, total_mass_, level_.data()},
                           exec);
  else if (translates())
    kernels::translate<T>({lead_.moved(), follow_.moved()}, exec);
}

template <class T>
kernels::HalfStepArgs<T> Alternation<T>::step_into(double* image) const {
  return {.s = follow_.softmin,
          .f = image,
          .weight = follow_.weight,
          .mass = follow_.mass,
          .penalty = follow_.penalty,
          .eps = eps_,
          .omega = 1};
}

template <class T>
void Alternation<T>::follow_into(double* image, Exec& exec) {
  kernels::half_step<T>(step_into(image), exec);
}

template <class T>
bool Alternation<T>::translates() const {
  using Kind = kernels::Penalty::Kind;
  const auto is = [&](Kind lead, Kind follow) {
    return lead_.penalty.kind == lead && follow_.penalty.kind == follow;
  };
  return translate_ &&
         (is(Kind::kl, Kind::kl) || is(Kind::kl, Kind::balanced) || is(Kind::balanced, Kind::kl));
}

template <class T>
kernels::MeasureArgs<T> Alternation<T>::measured(const Half& half) const {
  return {.f = half.potential,
          .s = half.softmin,
          .weight = half.weight,
          .penalty = half.penalty,
          .level = level_.data(),
          .eps = eps_,
          .slack = 64 * static_cast<double>(std::numeric_limits<T>::epsilon()),
          .optimality = true};
}

// Waits for the device once; with a free level twice, as the first mass scales the second measures.
template <class T>
typename Alternation<T>::Check Alternation<T>::check(Exec& exec) {
  Check out{};
  kernels::MeasureArgs<T> sides[] = {measured(lead_), measured(follow_)};
  kernels::Measures measures[2];
  kernels::measure<T>(sides, measures, exec);
  double log_mass = measures[1].log_mass, mass_terms = 0;
  if (level_.size()) {
    const double log_scale = std::log(total_mass_) - log_mass;
    sides[0].log_scale = sides[1].log_scale = log_scale;
    kernels::measure<T>(sides, measures, exec);
    log_mass = std::log(total_mass_);
    out.mass_shift = eps_ / 2 * log_scale;
    out.level = measures[0].level + out.mass_shift;
    mass_terms = 2 * out.level * total_mass_;
  }
  const auto& [lead, follow] = measures;
  out.mass = std::exp(log_mass);
  const bool source_leads = lead_.side == Side::source;
  out.residual_a = source_leads ? lead.residual : follow.residual;
  out.residual_b = source_leads ? follow.residual : lead.residual;
  out.dual_a = source_leads ? lead.dual : follow.dual;
  out.dual_b = source_leads ? follow.dual : lead.dual;
  const double residual = lead.residual + follow.residual;
  out.marginal_error = residual == 0 ? 0 : residual / out.mass;
  out.dual = lead.dual + follow.dual + mass_terms + eps_ * (lead_.mass * follow_.mass - out.mass);
  if (bounds_) out.dual += eps_ * bound_gain(exec);
  out.gap = lead.gap + follow.gap;
  out.truncation = lost_ == 0 ? 0 : lost_ / out.mass;
  if (out.mass > 0 && std::isfinite(out.mass)) mass_ = out.mass;
  out.absorbed = lead_.absorbed && follow_.absorbed && !op_.is_narrow();
  out.finite = std::isfinite(residual) && std::isfinite(out.dual) && std::isfinite(out.mass);
  return out;
}

template <class T>
double Alternation<T>::bound_gain(Exec& exec) const {
  const Half &source = lead_.side == Side::source ? lead_ : follow_,
             &target = lead_.side == Side::source ? follow_ : lead_;
  return dual_gain(active_bounds(bounds_, source.potential, target.potential, eps_, exec));
}

template <class T>
void Alternation<T>::copy_pair(const Check& check, SplitPair<T>& to, Exec& exec) const {
  for (const Half* half : {&lead_, &follow_})
    to.take(half->side, half->potential, half->weight.size, check.mass_shift, exec);
}

template <class T>
typename Alternation<T>::InType Alternation<T>::in_type(const Half& half, Exec& exec) const {
  if constexpr (std::is_same_v<T, double>) {
    return {{}, half.h, half.potential};
  } else {
    const std::int64_t n = half.weight.size, padded = kernels::padded(n);
    InType out{Buffer<T>(padded + n, exec.device), nullptr, nullptr};
    T *const h = out.owned.data(), *const potential = h + padded;
    kernels::each(kernels::RoundArgs<T>{half.h, h}, padded, exec);
    kernels::each(kernels::RoundArgs<T>{half.potential, potential}, n, exec);
    out.h = h;
    out.potential = potential;
    return out;
  }
}

template class Alternation<float>;
template class Alternation<double>;
}  // namespace monge
