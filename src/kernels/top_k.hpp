// top_k: the k largest w_ij of each row (w as in apply.hpp), falling, ties to the lower column,
// and the row's softmin from the same pass. select: all w_ij >= threshold_i, ascending columns,
// counted first, then filled.
#pragma once
#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
template <class T>
struct TopKArgs {
  Pairs<T> pairs;
  const T* h;             // [padded(m)]
  const T* shift;         // [n]; a row with a non-finite shift gets columns -1
  int k;                  // >= 1
  std::int64_t* columns;  // [n, k], -1 past the last column of non-zero weight
  T* weights;             // [n, k], 0 there
  double* softmin;        // [n] or null, as softmin.hpp has it; +inf for an empty row
  double eps;
};

template <class T>
struct SelectArgs {
  Pairs<T> pairs;
  const T* h;
  const T* shift;
  const T* threshold;           // [n], > 0; +inf selects nothing
  std::int64_t* counts;         // [n]: filled when columns is null, read otherwise
  const std::int64_t* offsets;  // [n]: where row i writes
  std::int64_t* columns;        // null: count only
  T* weights;
  double eps;
};

namespace cpu {
template <class T>
void top_k(const TopKArgs<T>&, Exec&);
template <class T>
void select(const SelectArgs<T>&, Exec&);
}  // namespace cpu
namespace cuda {
template <class T>
void top_k(const TopKArgs<T>&, Exec&);
template <class T>
void select(const SelectArgs<T>&, Exec&);
}  // namespace cuda

template <class T>
void top_k(const TopKArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, top_k(args, exec));
}
template <class T>
void select(const SelectArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, select(args, exec));
}
}  // namespace monge::kernels
