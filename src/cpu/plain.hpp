// Costs and weights one pair at a time, in double: the plain bodies of the verbs.
#pragma once
#include <algorithm>
#include <cmath>

#include "kernels/pairs.hpp"

namespace monge::kernels::cpu {
template <class T>
T coordinate(const Panels<T>& points, std::int64_t i, int k) {
  return points.data[(i / kPanel * points.dim + k) * kPanel + i % kPanel];
}

template <class T>
double squared_distance(const Pairs<T>& p, std::int64_t i, std::int64_t j) {
  double sum = 0;
  for (int k = 0; k < p.rows.dim; ++k) {
    const double u = static_cast<double>(coordinate(p.rows, i, k)) - coordinate(p.cols, j, k);
    sum += u * u;
  }
  return sum;
}

template <class T>
double cost(const Pairs<T>& p, std::int64_t i, std::int64_t j) {
  const double scale = p.scale;
  switch (p.form) {
    case Form::squared: return scale * squared_distance(p, i, j);
    case Form::distance: return scale * std::sqrt(squared_distance(p, i, j));
    case Form::power: return scale * std::pow(squared_distance(p, i, j), p.power / 2.0);
    case Form::matrix: return p.matrix[i * p.row_stride + j * p.col_stride];
    case Form::dot: break;
  }
  double product = 0;
  for (int k = 0; k < p.rows.dim; ++k)
    product += static_cast<double>(coordinate(p.rows, i, k)) * coordinate(p.cols, j, k);
  return -scale * product;
}

/// body(j, cost, weight) for the columns that row i sweeps, ascending; none where its shift is
/// not finite.
template <class T, class Body>
void for_each_pair(const Pairs<T>& p, const T* h, const T* shift, double eps, std::int64_t i,
                   const Body& body) {
  if (!std::isfinite(shift[i])) return;
  const std::int64_t all = (p.m + kColumnBlock - 1) / kColumnBlock, r = i / kRowBlock;
  const std::int64_t first = p.list ? p.list->offsets[r] : 0;
  const std::int64_t last = p.list ? p.list->offsets[r + 1] : all;
  for (std::int64_t entry = first; entry < last; ++entry) {
    const std::int64_t begin = (p.list ? p.list->blocks[entry] : entry) * kColumnBlock;
    for (std::int64_t j = begin; j < std::min(p.m, begin + kColumnBlock); ++j) {
      if (!(h[j] > -INFINITY)) continue;
      const double c = cost(p, i, j);
      body(j, c, std::exp((h[j] + static_cast<double>(shift[i]) - c) / eps));
    }
  }
}
}  // namespace monge::kernels::cpu
