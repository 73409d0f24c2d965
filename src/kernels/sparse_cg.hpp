// CG of cg.hpp on a support: A p = columns(rows(p)), preconditioned by the diagonal. A GPU runs all
// steps in one launch, which the host does not wait for.
#pragma once
#include "kernels/cg.hpp"
#include "kernels/support.hpp"

namespace monge::kernels {
struct SparseCgArgs {
  SparseApplyArgs rows;     // of cg.p; power 1
  SparseApplyArgs columns;  // of rows.out to cg.w
  CgArgs cg;
};

namespace cpu {
void sparse_cg(const SparseCgArgs&, Exec&);
}
namespace cuda {
void sparse_cg(const SparseCgArgs&, Exec&);
}

inline void sparse_cg(const SparseCgArgs& args, Exec& exec) {
  MONGE_ON(exec.device, sparse_cg(args, exec));
}
}  // namespace monge::kernels
