#include "kernels/update.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "cpu/chunks.hpp"
#include "cpu/vectors.hpp"

namespace monge::kernels::cpu {
using monge::cpu::chunk_count;
using monge::cpu::chunks;

namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// log(p / a): a row without partner (s = +inf) has p = 0 whatever f is.
double log_ratio(double f, double s, double eps, double log_scale) {
  return s == kInfinity ? -kInfinity : (f - s) / eps + log_scale;
}

template <class Args>
Penalty penalty_of(const Args& a) {
  Penalty penalty = a.penalty;
  if (a.level) penalty.level = *a.level;
  return penalty;
}

constexpr std::int64_t kAtOnce = 256;  // points

/// Of a balanced side that is not far from its marginal, which is what nearly all checks see; none
/// where 1 - |p / a - 1| is no way to p.
template <class T>
std::optional<Measures> measured_near(const MeasureArgs<T>& a, double level, Exec& exec) {
  constexpr double kLeast = 1e-4;  // of the weights: sums of p have lost no more digits
  constexpr double kMost = 1e200;  // that p / a is known to
  const std::int64_t n = a.weight.size;
  std::vector<monge::cpu::BalancedSums> parts(chunk_count(n));
  const auto sum = monge::cpu::vector_functions().balanced;
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
    double weight[kAtOnce];
    for (std::int64_t first = begin; first < end; first += kAtOnce) {
      const int count = static_cast<int>(std::min(kAtOnce, end - first));
      for (int t = 0; t < count; ++t) weight[t] = a.weight[first + t];
      sum(a.f + first, a.s + first, weight, count, a.eps, a.log_scale, &parts[c]);
    }
  });
  monge::cpu::BalancedSums all;
  for (const auto& part : parts) {
    all.weight += part.weight;
    all.mass += part.mass;
    all.dual += part.dual;
    all.residual += part.residual;
    all.apart = std::max(all.apart, part.apart);
  }
  if (!(all.mass > kLeast * all.weight && all.apart < kMost && std::isfinite(all.dual))) return {};
  return Measures{.log_mass = std::log(all.mass),
                  .dual = all.dual,
                  .residual = all.residual,
                  .gap = all.apart > a.slack ? kInfinity : 0,
                  .level = level};
}

template <class T>
Measures measured(const MeasureArgs<T>& a, Exec& exec) {
  const std::int64_t n = a.weight.size;
  const Penalty penalty = penalty_of(a);
  if (a.s && a.optimality && penalty.kind == Penalty::Kind::balanced)
    if (const auto near = measured_near(a, penalty.level, exec)) return *near;
  // The largest exponent first: a small plan must not underflow to mass 0.
  std::vector<double> tops(chunk_count(n), -kInfinity);
  if (a.s)
    chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
      double top = -kInfinity;
      for (std::int64_t i = begin; i < end; ++i)
        if (a.weight[i] > 0)
          top = std::max(top,
                         reference_of(a.weight[i], log_ratio(a.f[i], a.s[i], a.eps, a.log_scale)));
      tops[c] = top;
    });
  const double top = *std::max_element(tops.begin(), tops.end());

  std::vector<Measures> parts(chunk_count(n));
  const auto vectors = monge::cpu::vector_functions();
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
    Measures sum{0, 0, 0, 0, 0};  // log_mass holds the mass over exp(top) for now
    double ratio[kAtOnce], apart[kAtOnce], off[kAtOnce], target[kAtOnce];
    for (std::int64_t first = begin; first < end; first += kAtOnce) {
      const int count = static_cast<int>(std::min(kAtOnce, end - first));
      for (int t = 0; a.s && t < count; ++t) {
        const double f = a.f[first + t], z = log_ratio(f, a.s[first + t], a.eps, a.log_scale);
        target[t] = penalty.log_target(f);
        ratio[t] = z - top;
        off[t] = apart[t] = z - target[t];
      }
      if (a.s) vectors.exp(ratio, count);
      if (a.s && a.optimality) {
        vectors.expm1(off, count);
        if (penalty.kind == Penalty::Kind::kl) vectors.exp(target, count);
      }
      for (int t = 0; t < count; ++t) {
        const double f = a.f[first + t], weight = a.weight[first + t];
        if (!(weight > 0)) continue;
        sum.dual += weight * penalty.conjugate(f);
        if (!a.s) continue;
        if (top > -kInfinity) sum.log_mass += weight * ratio[t];
        if (!a.optimality || f == kInfinity) continue;  // +inf: no partner, p = target = 0
        const auto [residual, gap] =
            penalty.optimality(weight, f, apart[t], off[t], target[t], a.slack);
        sum.residual += residual;
        sum.gap += gap;
      }
    }
    parts[c] = sum;
  });
  Measures out{0, 0, 0, 0, penalty.level};
  for (const Measures& part : parts) {
    out.log_mass += part.log_mass;
    out.residual += part.residual;
    out.dual += part.dual;
    out.gap += part.gap;
  }
  out.log_mass = top == -kInfinity ? -kInfinity : top + std::log(out.log_mass);
  return out;
}

// log sum_i a_i exp(-f_i / rho)
template <class T>
double log_sum(const MovedSide<T>& side, Exec& exec) {
  const std::int64_t n = side.weight.size;
  const double rho = side.penalty.strength;
  std::vector<double> tops(chunk_count(n), -kInfinity), sums(chunk_count(n), 0.0);
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
    double top = -kInfinity, sum = 0;
    for (std::int64_t i = begin; i < end; ++i)
      if (side.weight[i] > 0) top = std::max(top, reference_of(side.weight[i], -side.f[i] / rho));
    if (top > -kInfinity)
      for (std::int64_t i = begin; i < end; ++i)
        if (side.weight[i] > 0) sum += side.weight[i] * std::exp(-side.f[i] / rho - top);
    tops[c] = top;
    sums[c] = sum;
  });
  const double top = *std::max_element(tops.begin(), tops.end());
  if (top == -kInfinity) return -kInfinity;
  double sum = 0;
  for (std::size_t c = 0; c < tops.size(); ++c) sum += sums[c] * std::exp(tops[c] - top);
  return top + std::log(sum);
}

// softmin(g + c) = softmin(g) - c
template <class T>
void move(const MovedSide<T>& lead, const MovedSide<T>& follow, double lead_by, double follow_by,
          Exec& exec) {
  shift(lead.f, lead.weight.size, lead_by, exec);
  shift(follow.f, follow.weight.size, follow_by, exec);
  shift(lead.s, lead.weight.size, -follow_by, exec);
  shift(follow.s, follow.weight.size, -lead_by, exec);
}
}  // namespace

namespace {
template <class T>
void step(const HalfStepArgs<T>& a, Exec& exec) {
  const std::int64_t n = a.weight.size;
  const Penalty penalty = penalty_of(a);
  const auto plain = [&] {
    chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
      for (std::int64_t i = begin; i < end; ++i) a.f[i] = penalty.prox(a.s[i], a.eps);
    });
  };
  if (a.omega == 1) return plain();
  const auto dual = [&] {
    const Measures m = measured<T>({.f = a.f,
                                    .s = a.s,
                                    .weight = a.weight,
                                    .penalty = penalty,
                                    .level = nullptr,
                                    .eps = a.eps},
                                   exec);
    return m.dual - a.eps * std::exp(m.log_mass);
  };
  const double before = a.omega > 1 ? dual() : 0;
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double target = penalty.prox(a.s[i], a.eps), f = a.f[i];
      const double relaxed = penalty.feasible(f + a.omega * (target - f));
      a.f[i] = std::isfinite(relaxed) ? relaxed : target;
    }
  });
  if (!(a.omega > 1)) return;
  const double rounding = 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) *
                          (std::abs(before) + a.eps * a.mass);
  if (!(dual() >= before - rounding)) plain();
}
}  // namespace

template <class T>
void half_step(const HalfStepArgs<T>& a, Exec& exec) {
  step(a, exec);
  if (a.h) bias<double>({a.f, a.log_weight, a.weight.size, a.eps, a.h}, exec);
}

template <class T>
void measure(std::span<const MeasureArgs<T>> sides, Measures* out, Exec& exec) {
  for (const MeasureArgs<T>& side : sides) *out++ = measured(side, exec);
}

template <class T>
void translate(const TranslateArgs<T>& a, Exec& exec) {
  using Kind = Penalty::Kind;
  const auto log_target = [&](const MovedSide<T>& side) {
    return side.penalty.kind == Kind::kl ? log_sum(side, exec) : std::log(side.mass);
  };
  const double rho_a = a.lead.penalty.strength, rho_b = a.follow.penalty.strength;
  const double rate = a.lead.penalty.kind == Kind::balanced     ? rho_b
                      : a.follow.penalty.kind == Kind::balanced ? rho_a
                                                                : rho_a * rho_b / (rho_a + rho_b);
  const double by = rate * (log_target(a.lead) - log_target(a.follow));
  if (std::isfinite(by)) move(a.lead, a.follow, by, -by, exec);
}

template <class T>
void match_mass(const MatchMassArgs<T>& a, Exec& exec) {
  const MovedSide<T>& side = a.follow;
  const Measures m = measured<T>({.f = side.f,
                                  .s = side.s,
                                  .weight = side.weight,
                                  .penalty = side.penalty,
                                  .level = a.level,
                                  .eps = a.eps},
                                 exec);
  const double by = a.eps / 2 * (std::log(a.total_mass) - m.log_mass);
  if (!std::isfinite(by)) return;
  move(a.lead, a.follow, by, by, exec);
  *a.level += by;
}

#define MONGE_INSTANTIATE(T)                                                   \
  template void half_step<T>(const HalfStepArgs<T>&, Exec&);                   \
  template void measure<T>(std::span<const MeasureArgs<T>>, Measures*, Exec&); \
  template void translate<T>(const TranslateArgs<T>&, Exec&);                  \
  template void match_mass<T>(const MatchMassArgs<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cpu
