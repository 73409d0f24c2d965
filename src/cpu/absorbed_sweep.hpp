// The parts of an absorbed softmin that exist once per target. The driver is absorbed.cpp.
#pragma once
#include <cstdint>

namespace monge::cpu {
inline constexpr int kStrip = 512;  // columns of K whose sums stay in L1 while its rows pass by

/// A kernel in T. `count`, `columns` are multiples of kPanel.
template <class T>
struct AbsorbedSweep {
  /// to = from, rounded once, 0 below the smallest normal number. Returns the largest.
  double (*round)(const double* from, int count, T* to);
  T (*keep)(const T* from, int count, T* to);  // the same of what is in T already
  /// v_j = exp((h_j - g_j) / eps), 0 where h_j = -inf. Returns their sum, +inf where a finite h_j
  /// meets g_j = -inf.
  double (*weights)(const double* h, const double* g, double eps, std::int64_t count, T* v);
  /// sums[i] = sum_j K_ij v_j
  void (*rows)(const T* kernel, std::int64_t stride, int rows, std::int64_t columns, const T* v,
               double* sums);
  /// sums[j] = sum_i K_ij v_i for at most kStrip columns.
  void (*columns)(const T* kernel, std::int64_t stride, std::int64_t rows, int columns, const T* v,
                  double* sums);
  /// sums[c stride + j] += (K^T K v_c)_j of these rows, v_c = v[c stride ...], c < count.
  void (*normal)(const T* kernel, std::int64_t stride, std::int64_t rows, const T* v, int count,
                 T* sums);
};

/// For the current target.
template <class T>
AbsorbedSweep<T> absorbed_sweep();
}  // namespace monge::cpu
