#include "kernels/update.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kChunk = 8192;  // entries per partial sum: fixed, so sums depend on n alone

// body(begin, end, chunk) over all chunks; threads only where there is more than one chunk.
template <class Body>
void chunks(std::int64_t n, Exec& exec, const Body& body) {
  if (n <= kChunk) return body(0, n, 0);
  monge::cpu::parallel_for((n + kChunk - 1) / kChunk, exec, [&](std::int64_t c, int) {
    body(c * kChunk, std::min(n, (c + 1) * kChunk), c);
  });
}
std::int64_t chunk_count(std::int64_t n) {
  return std::max<std::int64_t>(1, (n + kChunk - 1) / kChunk);
}

// log(p / a): a row without partner (s = +inf) has p = 0 whatever f is.
double log_ratio(double f, double s, double eps, double log_scale) {
  return s == kInfinity ? -kInfinity : (f - s) / eps + log_scale;
}
}  // namespace

template <class T>
void bias(const BiasArgs<T>& a, Exec& exec) {
  const T none = -std::numeric_limits<T>::infinity();
  chunks(a.n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
    for (std::int64_t j = begin; j < end; ++j) {
      const double h = a.potential[j] + a.eps * a.log_weight[j];
      a.h[j] = a.potential[j] == std::numeric_limits<T>::infinity() ? none : static_cast<T>(h);
    }
  });
  std::fill(a.h + a.n, a.h + padded(a.n), none);
}

template <class T>
void half_step(const HalfStepArgs<T>& a, Exec& exec) {
  chunks(a.n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
    if (a.omega == 1) {
      for (std::int64_t i = begin; i < end; ++i)
        a.f[i] = static_cast<T>(a.penalty.prox(a.s[i], a.eps));
      return;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const double target = a.penalty.prox(a.s[i], a.eps), f = a.f[i];
      const double relaxed = a.penalty.feasible(f + a.omega * (target - f));
      a.f[i] = static_cast<T>(std::isfinite(relaxed) ? relaxed : target);
    }
  });
}

template <class T>
Measures measure(const MeasureArgs<T>& a, Exec& exec) {
  const std::int64_t n = a.weight.size;
  // The largest exponent first: a small plan must not underflow to mass 0.
  std::vector<double> tops(chunk_count(n), -kInfinity);
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
    double top = -kInfinity;
    for (std::int64_t i = begin; i < end; ++i)
      if (a.weight[i] > 0) top = std::max(top, log_ratio(a.f[i], a.s[i], a.eps, a.log_scale));
    tops[c] = top;
  });
  const double top = *std::max_element(tops.begin(), tops.end());

  std::vector<Measures> parts(chunk_count(n));
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
    Measures sum{0, 0, 0, 0};  // log_mass holds the mass over exp(top) for now
    for (std::int64_t i = begin; i < end; ++i) {
      const double f = a.f[i], weight = a.weight[i];
      if (!(weight > 0)) continue;
      const double z = log_ratio(f, a.s[i], a.eps, a.log_scale);
      if (top > -kInfinity) sum.log_mass += weight * std::exp(z - top);
      sum.dual += weight * a.penalty.conjugate(f);
      if (!a.optimality || f == kInfinity) continue;  // +inf: no partner, p = target = 0
      const auto [residual, gap] = a.penalty.optimality(f, z, a.slack);
      sum.residual += weight * residual;
      sum.gap += weight * gap;
    }
    parts[c] = sum;
  });
  Measures out{0, 0, 0, 0};
  for (const Measures& part : parts) {
    out.log_mass += part.log_mass;
    out.residual += part.residual;
    out.dual += part.dual;
    out.gap += part.gap;
  }
  out.log_mass = top == -kInfinity ? -kInfinity : top + std::log(out.log_mass);
  return out;
}

template <class T>
double log_sum(const LogSumArgs<T>& a, Exec& exec) {
  const std::int64_t n = a.weight.size;
  std::vector<double> tops(chunk_count(n), -kInfinity), sums(chunk_count(n), 0.0);
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t c) {
    double top = -kInfinity, sum = 0;
    for (std::int64_t i = begin; i < end; ++i)
      if (a.weight[i] > 0) top = std::max(top, -a.f[i] / a.rho);
    if (top > -kInfinity)
      for (std::int64_t i = begin; i < end; ++i)
        if (a.weight[i] > 0) sum += a.weight[i] * std::exp(-a.f[i] / a.rho - top);
    tops[c] = top;
    sums[c] = sum;
  });
  const double top = *std::max_element(tops.begin(), tops.end());
  if (top == -kInfinity) return -kInfinity;
  double sum = 0;
  for (std::size_t c = 0; c < tops.size(); ++c) sum += sums[c] * std::exp(tops[c] - top);
  return top + std::log(sum);
}

template <class T>
void shift(T* f, std::int64_t n, double by, Exec& exec) {
  if (by == 0) return;
  chunks(n, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
    for (std::int64_t i = begin; i < end; ++i) f[i] = static_cast<T>(f[i] + by);
  });
}

#define MONGE_INSTANTIATE(T)                                  \
  template void bias<T>(const BiasArgs<T>&, Exec&);           \
  template void half_step<T>(const HalfStepArgs<T>&, Exec&);  \
  template Measures measure<T>(const MeasureArgs<T>&, Exec&); \
  template double log_sum<T>(const LogSumArgs<T>&, Exec&);    \
  template void shift<T>(T*, std::int64_t, double, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cpu
