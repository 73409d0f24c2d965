#include "kernels/sparse_newton.hpp"

#include <algorithm>
#include <vector>

#include "cpu/forest.hpp"

namespace monge::kernels::cpu {
namespace {
constexpr int kPatience = 30;    // products of CG by the diagonal: a forest takes about 80
constexpr double kForest = 0.7;  // share of the largest entries: then a forest holds nearly all

/// Share of the plan in the largest entry of each column.
double gathered(const SparseApplyArgs& columns) {
  double largest = 0, all = 0;
  for (std::int64_t j = 0; j < columns.pairs.rows; ++j) {
    double most = 0, sum = 0;
    for (std::int64_t e = columns.pairs.offsets[j]; e < columns.pairs.offsets[j + 1]; ++e) {
      most = std::max(most, columns.shares[e]);
      sum += columns.shares[e];
    }
    largest += columns.scale[j] * most;
    all += columns.scale[j] * sum;
  }
  return largest / all;
}
}  // namespace

void sparse_step(const SparseStepArgs& args, Exec& exec) {
  const StepArgs& step = args.step;
  const auto product = [&] {
    kernels::sparse_apply(args.rows, exec);
    kernels::sparse_apply(args.columns, exec);
  };
  kernels::sparse_apply(args.squares, exec);
  prepare(step, exec);
  CgArgs cg = step.cg;
  std::vector<double> r;
  if (cg.most > kPatience && gathered(args.columns) > kForest) {
    cg.most = kPatience;
    r.assign(cg.r, cg.r + cg.n);
  }
  conjugate_gradients(
      cg, product,
      [&] {
        kernels::each(JacobiArgs{cg.diagonal, cg.r, cg.z}, cg.n, exec);
      },
      exec);
  const Cg& found = *cg.state;
  if (r.empty() || found.boundary || !(found.rz > found.enough)) return;
  Forest forest(args);
  cg.most = step.cg.most - kPatience;
  std::copy(r.begin(), r.end(), cg.r);
  conjugate_gradients(
      cg, product, [&] { forest.solve(cg.r, cg.z); }, exec);
  cg.state->products += kPatience;
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
