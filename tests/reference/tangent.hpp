#pragma once
#include <cmath>
#include <vector>

#include "kernels/tangent.hpp"
#include "reference/weights.hpp"

namespace monge::reference {
template <class T>
struct TangentSums {
  std::vector<Bounded> sum, costs, gradient, mean;  // [n, count], ..., as kernels::TangentArgs
};

/// As kernels::tangent, whatever of it is wanted. Magnitudes are those of the terms that t and the
/// derivatives are made of, as the kernel adds them one by one: differences of points, or with
/// `products` each point's own.
template <class T>
TangentSums<T> tangent(const kernels::TangentArgs<T>& a, bool products = false) {
  const auto& p = a.pairs;
  const int dim = p.rows.dim, width = a.width;
  const Real u = std::numeric_limits<T>::epsilon() / 2;
  const bool dot = p.form == Form::dot;
  const Real q = p.form == Form::squared ? 2 : p.form == Form::distance ? 1 : p.power;
  TangentSums<T> out;
  out.sum.resize(p.n * a.count);
  out.costs.resize(p.n * a.count);
  out.gradient.resize(p.n * a.count * dim);
  out.mean.resize(p.n * a.count * width);
  const auto add = [](Bounded& to, Real value, Real magnitude, Real relative) {
    to.value += value;
    to.magnitude += magnitude;
    to.error += magnitude * relative;
  };
  for (std::int64_t i = 0; i < p.n; ++i)
    for (std::int64_t j = 0; j < p.m; ++j) {
      const Pair ij = pair(a, i, j);
      const Real w = ij.weight;
      if (w == 0) continue;
      const Real s = p.form == Form::matrix ? 0 : squared_distance(p, i, j);
      Real slope = p.form == Form::matrix ? 0 : -static_cast<Real>(p.scale), bend = 0;
      Real relative = ij.weight_error + (2 * dim + width + 16) * u;
      if (p.form != Form::dot && p.form != Form::matrix) {
        slope = q == 2   ? 2 * static_cast<Real>(p.scale)
                : s == 0 ? 0
                         : p.scale * q * std::pow(s, q / 2 - 1);
        bend = s > 0 ? (q - 2) / s : 0;
        if (s > 0) relative += u * (dim + 8 + 4 * std::abs((q / 2 - 1) * std::log(s)));
      }
      for (int r = 0; r < a.count; ++r) {
        const std::int64_t ir = i * a.count + r, jr = j * a.count + r;
        Real t = 0, size = 0, along = 0, along_size = 0;
        const auto part = [&](Real value) { t += value, size += std::abs(value); };
        if (a.row) part(a.row[ir]);
        if (a.col) part(a.col[jr]);
        if (a.cost) part(a.cost[r] * ij.cost);
        for (int k = 0; k < dim; ++k) {
          const Real x = coordinate(p.rows, i, k), y = coordinate(p.cols, j, k);
          const Real ak = a.a ? a.a[ir * dim + k] : 0, bk = a.b ? a.b[jr * dim + k] : 0;
          along += dot ? ak * y + x * bk : (x - y) * (ak - bk);
          along_size += dot        ? std::abs(ak * y) + std::abs(x * bk)
                        : products ? (std::abs(x) + std::abs(y)) * (std::abs(ak) + std::abs(bk))
                                   : std::abs((x - y) * (ak - bk));
        }
        t -= a.slope * slope * along;
        size += std::abs(a.slope * slope) * along_size;
        for (int k = 0; a.p && k < width; ++k)
          part(static_cast<Real>(a.p[(a.p_each ? ir : i) * width + k]) *
               a.q[(a.q_each ? jr : j) * width + k]);
        add(out.sum[ir], w * t, w * size, relative);
        add(out.costs[ir], w * t * ij.cost, w * size * std::abs(ij.cost),
            relative + (ij.cost != 0 ? ij.cost_error / std::abs(ij.cost) : Real(0)));
        for (int k = 0; k < dim; ++k) {
          const Real x = coordinate(p.rows, i, k), y = coordinate(p.cols, j, k);
          const Real ak = a.a ? a.a[ir * dim + k] : 0, bk = a.b ? a.b[jr * dim + k] : 0;
          const Real diff = dot ? y : x - y, center = a.center ? a.center[i * dim + k] : 0;
          const Real diff_size = products && !dot ? std::abs(x) + std::abs(y) : std::abs(diff);
          Real value = t * (slope * diff - center),
               magnitude = size * (std::abs(slope) * diff_size + std::abs(center));
          if (a.curved) {
            value += slope * (dot ? bk : ak - bk) + slope * bend * along * diff;
            magnitude += std::abs(slope * bend * diff) * along_size +
                         std::abs(slope) * (dot        ? std::abs(bk)
                                            : products ? std::abs(ak) + std::abs(bk)
                                                       : std::abs(ak - bk));
          }
          add(out.gradient[ir * dim + k], w * value, w * magnitude, relative);
        }
        for (int k = 0; a.q && k < width; ++k) {
          const Real v = a.q[(a.q_each ? jr : j) * width + k];
          add(out.mean[ir * width + k], w * t * v, w * size * std::abs(v), relative);
        }
      }
    }
  return out;
}
}  // namespace monge::reference
