#include "kernels/sparse_cg.hpp"

namespace monge::kernels::cpu {
void sparse_cg(const SparseCgArgs& args, Exec& exec) {
  const CgArgs& a = args.cg;
  conjugate_gradients(
      a,
      [&] {
        kernels::sparse_apply(args.rows, exec);
        kernels::sparse_apply(args.columns, exec);
      },
      [&] {
        kernels::each(JacobiArgs{a.diagonal, a.r, a.z}, a.n, exec);
      },
      exec);
}
}  // namespace monge::kernels::cpu
