// axis: one axis of a sweep over a lattice. Arrays [before, m, after] become [before, n, after]:
//   L_i = eps log sum_j exp((h_j - c_ij) / eps),    A_i = sum over terms of E_i[v_j F_ij],
// E_i the average over j by the weights exp((h_j - c_ij) / eps). A sweep is one pass an axis, the L
// and A of one being the h and v of the next: averages never leave the range of what they average.
//
// h_j = -inf removes column j; a line without any gives L = -inf and A = 0. The maximum of a row's
// scores h_j - c_ij is found first, so no exponent is positive. Blocks of columns are left out of a
// row's sums where max h - min c over the block is so far below that maximum that all of them
// together are below half a unit in the last place of the sum (2^-32 of it in mixed). Sums have
// type T over at most 1024 columns, of which blocks combine in double, ascending; results depend on
// shape alone.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "kernels/softmin.hpp"  // Precision
#include "monge/core/exec.hpp"

namespace monge::kernels {
inline constexpr int kAxisBlock = 32;  // columns that are left out together

constexpr std::int64_t padded_axis(std::int64_t count) {
  return (count + kAxisBlock - 1) / kAxisBlock * kAxisBlock;
}

// With u = y_j - x_i (the shorter way round on a periodic axis): 1, u, u^2, c, c^2, c u and dc/dx;
// of the derivative 0 at x = y, where it may not be unique.
enum class Factor : std::uint8_t { one, offset, square, cost, cost_square, cost_offset, slope };

struct AxisTerm {
  int column;  // of v; -1: ones
  Factor factor;
  int output;  // of averages, to which it is added
};
inline constexpr int kMostOutputs = 16, kMostTerms = 32;

template <class T>
struct AxisArgs {
  Form form = Form::squared;  // or distance or power
  T scale = 1, power = 2;
  T period = 0;  // of x and y; 0: not periodic
  const T* x;    // [n], ascending
  const T* y;    // [padded_axis(m)], ascending, the padding repeats the last
  std::int64_t before = 1, n, m, after = 1;
  const T* h;
  double* softmin = nullptr;  // -L, or
  T* log_sum = nullptr;       // L; one of them is not null
  // Column c of v at lattice index e stands at v[e * v_row + c * v_col], averages alike.
  const T* v = nullptr;
  std::int64_t v_row = 1, v_col = 0;
  std::span<const AxisTerm> terms;  // host; at most kMostTerms, of kMostOutputs outputs
  int columns = 0, outputs = 0;     // of v and averages
  T* averages = nullptr;
  std::int64_t a_row = 1, a_col = 0;
  double eps;
  Precision precision = Precision::accurate;  // of a pass without terms
  bool skips = true;                          // false: no block is left out
};

namespace cpu {
template <class T>
void axis(const AxisArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void axis(const AxisArgs<T>&, Exec&);
}

template <class T>
void axis(const AxisArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, axis(args, exec));
}
}  // namespace monge::kernels
