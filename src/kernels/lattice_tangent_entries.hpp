// Bodies of each() of a tangent of points that stand still, put together from averages of its
// parts. Names as in tangent.hpp; sums over j are those of w.
#pragma once
#include <cstdint>

#include "kernels/each.hpp"

namespace monge::kernels {
/// out_ir = row_ir sum_i + col_ir + cost_r costs_i + p_ir.of_pair_i
template <class T>
struct LatticeTangentArgs {
  const T *row, *sums;    // [n, count] or null, [n]
  const T* col;           // [n, count] sum_j w (col + q.displacement), null: 0
  const T *cost, *costs;  // [count] or null, [n]
  const T *p, *of_pair;   // [n, count, width] or null, [n, width] sum_j w displacement
  std::int64_t count, width;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t i = e / count;
    double value = 0;
    if (row) value += static_cast<double>(row[e]) * sums[i];
    if (col) value += col[e];
    if (cost) value += static_cast<double>(cost[e % count]) * costs[i];
    for (std::int64_t k = 0; p && k < width; ++k)
      value += static_cast<double>(p[e * width + k]) * of_pair[i * width + k];
    out[e] = static_cast<T>(value);
  }
};

/// out_irk = row_ir of_pair_ik + of_col_irk + cost_r costly_ik
template <class T>
struct LatticeMeanArgs {
  const T *row, *of_pair;  // [n, count] or null, [n, width] sum_j w displacement
  const T* of_col;         // [n, count, width] sum_j w col displacement, null: 0
  const T *cost, *costly;  // [count] or null, [n, width] sum_j w c displacement
  std::int64_t count, width;
  T* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t e) const {
    const std::int64_t ir = e / width, at = ir / count * width + e % width;
    double value = 0;
    if (row) value += static_cast<double>(row[ir]) * of_pair[at];
    if (of_col) value += of_col[e];
    if (cost) value += static_cast<double>(cost[ir % count]) * costly[at];
    out[e] = static_cast<T>(value);
  }
};
}  // namespace monge::kernels

#define MONGE_LATTICE_TANGENT_EACH_BODIES(X) \
  X(LatticeTangentArgs<float>)               \
  X(LatticeTangentArgs<double>) X(LatticeMeanArgs<float>) X(LatticeMeanArgs<double>)
