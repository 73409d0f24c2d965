// Costs and weights of one pair in long double, and bounds on what a kernel of type T may lose.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/pairs.hpp"

namespace monge::reference {
using kernels::Form;
using kernels::Pairs;
using kernels::Panels;
using Real = long double;

/// A sum of terms known to `error`; `magnitude` is the sum of their absolute values.
struct Bounded {
  Real value = 0, magnitude = 0, error = 0;
  void add(Real term, Real relative_error) {
    value += term;
    magnitude += std::abs(term);
    error += std::abs(term) * relative_error;
  }
};

template <class T>
Real coordinate(const Panels<T>& points, std::int64_t i, int k) {
  return points
      .data[(i / kernels::kPanel * points.dim + k) * kernels::kPanel + i % kernels::kPanel];
}

template <class T>
Real squared_distance(const Pairs<T>& p, std::int64_t i, std::int64_t j) {
  Real sum = 0;
  for (int k = 0; k < p.rows.dim; ++k) {
    const Real u = coordinate(p.rows, i, k) - coordinate(p.cols, j, k);
    sum += u * u;
  }
  return sum;
}

template <class T>
Real cost(const Pairs<T>& p, std::int64_t i, std::int64_t j) {
  const Real scale = p.scale;
  if (p.form == Form::matrix) return p.matrix[i * p.row_stride + j * p.col_stride];
  if (p.form == Form::squared) return scale * squared_distance(p, i, j);
  if (p.form == Form::distance) return scale * std::sqrt(squared_distance(p, i, j));
  if (p.form == Form::power)
    return scale * std::pow(squared_distance(p, i, j), static_cast<Real>(p.power) / 2);
  Real product = 0;
  for (int k = 0; k < p.rows.dim; ++k)
    product += coordinate(p.rows, i, k) * coordinate(p.cols, j, k);
  return -scale * product;
}

/// Whether row i sweeps column j.
template <class T>
bool swept(const Pairs<T>& p, std::int64_t i, std::int64_t j) {
  if (!p.list) return true;
  const auto* const first = p.list->blocks + p.list->offsets[i / kernels::kRowBlock];
  const auto* const last = p.list->blocks + p.list->offsets[i / kernels::kRowBlock + 1];
  return std::find(first, last, j / p.list->width) != last;
}

/// Bound on the absolute error of a cost c evaluated in T: the number of roundings it goes through
/// times the size of what is rounded. The product form rounds norms, not distances.
template <class T>
Real cost_error(const Pairs<T>& p, std::int64_t i, std::int64_t j, Real c) {
  const Real u = std::numeric_limits<T>::epsilon() / 2,
             scale = std::abs(static_cast<Real>(p.scale));
  const int dim = p.rows.dim;
  if (p.form == Form::matrix || c == 0) return u * std::abs(c);
  if (p.form == Form::dot || p.rows.norms) {
    Real size = 0;  // of the terms that are summed
    for (int k = 0; k < dim; ++k) {
      const Real x = coordinate(p.rows, i, k), y = coordinate(p.cols, j, k);
      size += p.form == Form::dot ? std::abs(x * y) : x * x + y * y + 2 * std::abs(x * y);
    }
    return u * (dim + 4) * scale * size;
  }
  // Differences carry one rounding each, squares two; the sum dim more, the scale one.
  if (p.form != Form::power) return u * (dim + 4) * c;
  // t^(p/2) = 2^(p/2 log2 t): the exponent's rounding is amplified by its size, |log(c / scale)|.
  return u * (p.power / 2 * (dim + 3) + 8 + 4 * std::abs(std::log(c / scale))) * c;
}

/// What the kernels sum over: the cost, the weight exp((h_j + shift_i - c_ij) / eps), which is 0
/// where the row's shift is not finite or j is not swept, and bounds on what T may lose: absolute
/// for the cost, relative for the weight. The latter is that of the exponent's parts, of their
/// three sums and of the division by eps, then 8 roundings for the exponential itself.
struct Pair {
  Real cost = 0, weight = 0, cost_error = 0, weight_error = 0;
};

template <class Args>
Pair pair(const Args& a, std::int64_t i, std::int64_t j) {
  using T = std::remove_cvref_t<decltype(*a.h)>;
  if (!std::isfinite(a.shift[i]) || std::isinf(a.h[j]) || !swept(a.pairs, i, j)) return {};
  const Real u = std::numeric_limits<T>::epsilon() / 2, h = a.h[j], shift = a.shift[i];
  Pair out;
  out.cost = cost(a.pairs, i, j);
  out.weight = std::exp((h + shift - out.cost) / a.eps);
  if (out.weight == 0) return out;
  out.cost_error = cost_error(a.pairs, i, j, out.cost);
  const Real size = std::abs(h) + std::abs(shift) + std::abs(out.cost);
  out.weight_error = (out.cost_error + 4 * u * size) / a.eps + 8 * u;
  return out;
}

/// -eps log sum_j exp((h_j - c_ij) / eps) over the swept columns; +inf for none.
template <class T, class H>
Real softmin_row(const Pairs<T>& p, const H* h, double eps, std::int64_t i) {
  std::vector<Real> scores;
  for (std::int64_t j = 0; j < p.m; ++j)
    if (!std::isinf(h[j]) && swept(p, i, j)) scores.push_back((h[j] - cost(p, i, j)) / eps);
  Real top = -std::numeric_limits<Real>::infinity(), sum = 0;
  for (const Real score : scores) top = std::max(top, score);
  if (std::isinf(top)) return std::numeric_limits<Real>::infinity();
  for (const Real score : scores) sum += std::exp(score - top);
  return -eps * (top + std::log(sum));
}

/// A kernel's sums have type T over at most kColumnBlock columns and double beyond; the result is
/// rounded once more. Values below the smallest normal number may be lost one by one.
template <class T>
Real sum_tolerance(const Bounded& sum, std::int64_t m, Real largest_factor = 1) {
  const Real u = std::numeric_limits<T>::epsilon() / 2;
  const Real chain = std::min<std::int64_t>(m, kernels::kColumnBlock) + 4;
  return sum.error + u * chain * sum.magnitude +
         m * static_cast<Real>(std::numeric_limits<T>::min()) * largest_factor;
}
}  // namespace monge::reference
