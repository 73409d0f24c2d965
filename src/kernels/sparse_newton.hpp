// What truncated Newton asks of a support (ot/newton_cg.hpp), each in one call, which on a GPU is
// one launch that the host does not wait for.
#pragma once
#include "kernels/cg.hpp"
#include "kernels/support.hpp"
#include "kernels/update.hpp"

namespace monge::kernels {
/// A step: its diagonal and right-hand side, and CG, whose A p is columns(rows(p)).
struct SparseStepArgs {
  SparseApplyArgs squares;  // to step.diagonal; power 2
  SparseApplyArgs rows;     // of step.cg.p; power 1
  SparseApplyArgs columns;  // of rows.out to step.cg.w; power 1
  StepArgs step;
};

/// A response: a half-step of the rows, then the totals of the columns and what they say.
struct SparseResponseArgs {
  BiasArgs<double> bias;  // of the columns
  SparseSoftminArgs rows;
  RestrictedRowsArgs from_rows;
  SparseSoftminArgs columns;
  RestrictedColumnsArgs from_columns;
  ResponseArgs response;
};

namespace cpu {
void sparse_step(const SparseStepArgs&, Exec&);
void sparse_respond(const SparseResponseArgs&, Exec&);
}  // namespace cpu
namespace cuda {
void sparse_step(const SparseStepArgs&, Exec&);
void sparse_respond(const SparseResponseArgs&, Exec&);
}  // namespace cuda

inline void sparse_step(const SparseStepArgs& args, Exec& exec) {
  MONGE_ON(exec.device, sparse_step(args, exec));
}
inline void sparse_respond(const SparseResponseArgs& args, Exec& exec) {
  MONGE_ON(exec.device, sparse_respond(args, exec));
}
}  // namespace monge::kernels
