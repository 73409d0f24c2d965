// hard: the limit eps -> 0 of softmin,
//   out_i = min_j (c_ij - h_j)   and the lowest column that attains it.
// h_j = -inf removes column j; a row with no column left gets +inf and column -1. Values have the
// accuracy of type T, a row's value and column do not depend on threads.
#pragma once
#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
template <class T>
struct HardArgs {
  Pairs<T> pairs;
  const T* h;             // [padded(m)], -inf in the padding
  T* out;                 // [n]
  std::int64_t* columns;  // [n]
};

namespace cpu {
template <class T>
void hard(const HardArgs<T>&, Exec&);
}
namespace cuda {
template <class T>
void hard(const HardArgs<T>&, Exec&);
}

template <class T>
void hard(const HardArgs<T>& args, Exec& exec) {
  MONGE_ON(exec.device, hard(args, exec));
}
}  // namespace monge::kernels
