// Problems that move along a direction of all their parameters, for finite differences.
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <variant>
#include <vector>

#include "monge/ot/derivatives.hpp"
#include "support/solved.hpp"

namespace monge::testing {
struct Direction {
  std::vector<double> dx, dy, da, db;
  double depsilon = 0, drho_a = 0, drho_b = 0, dmass = 0;

  Tangent<double> tangent(std::int64_t d) const {
    const auto rows = [&](const std::vector<double>& v, std::int64_t cols) {
      const auto size = static_cast<std::int64_t>(v.size());
      return v.empty() ? MatrixView<const double>()
                       : MatrixView<const double>(v.data(), size / cols, cols);
    };
    Tangent<double> out;
    out.dx = rows(dx, d);
    out.dy = rows(dy, d);
    out.da = rows(da, std::max<std::int64_t>(1, static_cast<std::int64_t>(da.size())));
    out.db = rows(db, std::max<std::int64_t>(1, static_cast<std::int64_t>(db.size())));
    if (depsilon != 0) out.depsilon = {depsilon};
    if (drho_a != 0) out.drho_a = {drho_a};
    if (drho_b != 0) out.drho_b = {drho_b};
    if (dmass != 0) out.dmass = {dmass};
    return out;
  }
};

/// Points and weights t along a direction.
inline Clouds<double> moved(Clouds<double> clouds, double t, const Direction& along) {
  const auto add = [t](std::vector<double>& to, const std::vector<double>& by) {
    for (std::size_t e = 0; e < by.size(); ++e) to[e] += t * by[e];
  };
  add(clouds.x, along.dx);
  add(clouds.y, along.dy);
  add(clouds.a, along.da);
  add(clouds.b, along.db);
  return clouds;
}

struct Moving {
  Clouds<double> clouds;
  Marginal a, b;
  Cost cost = SquaredEuclidean{};
  double epsilon = 0.1;
  ProblemOptions options = {};

  std::int64_t n() const { return clouds.n; }
  std::int64_t m() const { return clouds.m; }
  std::int64_t dim() const { return clouds.d; }
  std::int64_t images() const { return clouds.d; }

  static Marginal stronger(const Marginal& m, double by) {
    if (const auto* kl = std::get_if<KL>(&m)) return KL{kl->rho + by};
    if (const auto* tv = std::get_if<TV>(&m)) return TV{tv->lambda + by};
    return m;
  }
  static bool is_soft(const Marginal& m) { return !std::holds_alternative<Balanced>(m); }
  bool hard() const { return !is_soft(a) && !is_soft(b); }

  /// The problem t along a direction, solved to the last digits.
  Solved<double> at(double t = 0, const Direction& along = {}) const {
    ProblemOptions how = options;
    if (how.total_mass) *how.total_mass += t * along.dmass;
    return {moved(clouds, t, along),
            stronger(a, t * along.drho_a),
            stronger(b, t * along.drho_b),
            tight(epsilon + t * along.depsilon, 1e-15),
            cost,
            how};
  }

  /// One that moves everything: weights of balanced sides move the same mass.
  Direction direction(std::uint64_t seed, bool weights = true, bool strengths = true) const {
    Direction out;
    out.dx = random_vector<double>(clouds.n * clouds.d, seed, 0, -1);
    out.dy = random_vector<double>(clouds.m * clouds.d, seed, 1, -1);
    if (weights) {
      out.da = random_vector<double>(clouds.n, seed, 2, -0.1, 0.1);
      out.db = random_vector<double>(clouds.m, seed, 3, -0.1, 0.1);
      double off = 0;
      for (const double v : out.da) off += v;
      for (const double v : out.db) off -= v;
      if (hard()) out.db[0] += off;
    }
    if (strengths) {
      out.depsilon = 0.05;
      if (options.total_mass) {
        out.dmass = 0.05;
      } else {
        if (is_soft(a)) out.drho_a = 0.2;
        if (is_soft(b)) out.drho_b = -0.1;
      }
    }
    return out;
  }
};

/// Fourth-order central difference of an array at steps of `step`.
template <class Of>
std::vector<double> difference(const Of& of, double step) {
  const auto at = [&](double t) {
    const auto values = of(t);
    return std::vector<double>(values.begin(), values.end());
  };
  const auto p1 = at(step), m1 = at(-step), p2 = at(2 * step), m2 = at(-2 * step);
  std::vector<double> out;
  for (std::size_t e = 0; e < p1.size(); ++e)
    out.push_back((8 * (p1[e] - m1[e]) - (p2[e] - m2[e])) / (12 * step));
  return out;
}
}  // namespace monge::testing
