// What a pair of potentials is worth in double, without the solver: rounding that a solve in float
// cannot see shows here.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "ot/split_pair.hpp"
#include "support/problems.hpp"
#include "support/wide.hpp"

namespace monge::testing {
inline Clouds<double> in_double(const Clouds<float>& from) {
  return {from.n, from.m, from.d, wide(from.x), wide(from.y), wide(from.a), wide(from.b)};
}

/// (|P 1 - a|_1 + |P^T 1 - b|_1) / |P|_1.
template <class Potential>
double marginal_error(const Clouds<double>& in, const Potential& f, const Potential& g,
                      double eps) {
  const auto costs = in.costs();
  std::vector<double> columns(in.m);
  double mass = 0, error = 0;
  for (std::int64_t i = 0; i < in.n; ++i) {
    double row = 0;
    for (std::int64_t j = 0; j < in.m; ++j) {
      const double p = in.a[i] * in.b[j] * std::exp((f[i] + g[j] - costs[i * in.m + j]) / eps);
      row += p, columns[j] += p;
    }
    error += std::abs(row - in.a[i]);
    mass += row;
  }
  for (std::int64_t j = 0; j < in.m; ++j) error += std::abs(columns[j] - in.b[j]);
  return error / mass;
}

/// Of the exact pair of a result, on any device.
inline double marginal_error(const Clouds<double>& in, const SinkhornResult<float>& result,
                             double eps) {
  const auto exact = [](const Buffer<float>& rounded, const Buffer<float>& rest) {
    Exec exec;
    return joined(rounded.to(Device{}), rest.to(Device{}), exec);
  };
  return marginal_error(in, exact(result.f, result.f_rest), exact(result.g, result.g_rest), eps);
}
}  // namespace monge::testing
