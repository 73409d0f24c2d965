// add_product: C += factor A^T B of dense matrices in double, on the CPU: what factorisations are
// blocked on. Each entry is one sum in the order of l, whatever the tiles and threads are.
#pragma once
#include <cstdint>

#include "monge/core/exec.hpp"

namespace monge::kernels {
struct AddProductArgs {
  const double* a;  // [depth, rows], row stride a_stride
  const double* b;  // [depth, cols]
  double* c;        // [rows, cols]
  std::int64_t rows, cols, depth;
  std::int64_t a_stride, b_stride, c_stride;
  double factor = 1;
  bool upper = false;  // entries below the diagonal are not wanted, and may be left as they are
};

namespace cpu {
void add_product(const AddProductArgs&, Exec&);
}
inline void add_product(const AddProductArgs& args, Exec& exec) { cpu::add_product(args, exec); }
}  // namespace monge::kernels
