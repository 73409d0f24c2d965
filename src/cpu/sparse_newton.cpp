#include "kernels/sparse_newton.hpp"

namespace monge::kernels::cpu {
void sparse_step(const SparseStepArgs& args, Exec& exec) {
  const StepArgs& step = args.step;
  kernels::sparse_apply(args.squares, exec);
  prepare(step, exec);
  conjugate_gradients(
      step.cg,
      [&] {
        kernels::sparse_apply(args.rows, exec);
        kernels::sparse_apply(args.columns, exec);
      },
      [&] {
        kernels::each(JacobiArgs{step.cg.diagonal, step.cg.r, step.cg.z}, step.cg.n, exec);
      },
      exec);
}

void sparse_respond(const SparseResponseArgs& args, Exec& exec) {
  const ResponseArgs& response = args.response;
  make_trial(response, exec);
  kernels::each(args.bias, response.n, exec);
  kernels::sparse_softmin(args.rows, exec);
  kernels::settle(args.from_rows, args.rows.pairs.rows, exec);
  kernels::sparse_softmin(args.columns, exec);
  kernels::settle(args.from_columns, response.n, exec);
  settle_slopes(response, exec);
}
}  // namespace monge::kernels::cpu
