// Newton's work on a support, each piece in one cooperative launch. Every block adds up the parts
// of all in the same order and keeps the state of CG in its shared memory.
#include "kernels/sparse_newton.hpp"

#include "cuda/current.cuh"
#include "cuda/grid.cuh"
#include "cuda/sparse_rows.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
constexpr int kLanes = 8;      // of a row: those of 10 000 are all under way at once
constexpr int kRoomWords = 6;  // doubles that a result of CG takes at most

struct Step {
  SparseStepArgs a;  // whose state is of the device

  __device__ void operator()(const Grid& grid) {
    __shared__ Cg state;
    Cg* const out = a.step.cg.state;
    a.step.cg.state = &state;
    const CgArgs& cg = a.step.cg;
    int half = 0;  // of the parts, written next: what others still read stays
    const auto settle = [&](const auto& body, const auto& go_over) {
      typename std::remove_cvref_t<decltype(body)>::Result sum;
      go_over([&](std::int64_t j) { sum += body(j); });
      grid.leave(sum, half);
      grid.sync();
      sum = grid.total<decltype(sum)>(half);
      if (threadIdx.x == 0) {
        __threadfence_block();  // or all threads read ahead what this one is about to write
        body.finish(sum);
      }
      __syncthreads();
      half = kRoomWords - half;
    };
    const auto product = [&](const SparseApplyArgs& p, const auto& body) {
      Grid::rows<kLanes>(
          p.pairs.rows,
          [&](std::int64_t i, bool there) {
            by_length<kLanes>(p.pairs, i, there, [&]<int kEach>(std::int64_t row, bool exists) {
              apply_row<kEach>(p, row, exists);
            });
          },
          body);
    };

    settle(CgStart{cg}, [&](const auto& each) {
      product(a.squares, [&](std::int64_t j) {
        a.step.diagonal(j);
        a.step.right(j);
        each(j);
      });
    });
    for (;;) {
      settle(CgTurn{cg}, [&](const auto& each) {
        Grid::each(cg.n, [&](std::int64_t j) {
          CgMove{cg}(j);
          JacobiArgs{cg.diagonal, cg.r, cg.z}(j);
          each(j);
        });
      });
      if (state.over) break;
      Grid::each(cg.n, CgDirection{cg});
      grid.sync();
      product(a.rows, [](std::int64_t) {});
      grid.sync();
      settle(CgSchur{cg}, [&](const auto& each) { product(a.columns, each); });
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) *out = state;
  }
};

struct Response {
  SparseResponseArgs a;

  __device__ void operator()(const Grid& grid) {
    const ResponseArgs& response = a.response;
    const bool has_along = response.along.sums;
    Grid::each(response.n, [&](std::int64_t j) {
      if (response.trial.out) response.trial(j);
      a.bias(j);
    });
    grid.sync();
    const auto softmin = [&](const SparseSoftminArgs& p, const auto& body) {
      Grid::rows<kLanes>(
          p.pairs.rows,
          [&](std::int64_t i, bool there) {
            by_length<kLanes>(p.pairs, i, there, [&]<int kEach>(std::int64_t row, bool exists) {
              softmin_row<kEach>(p, row, exists);
            });
          },
          body);
    };
    RestrictedRowsArgs::Result rows;
    RestrictedColumnsArgs::Result columns;
    SlopeArgs::Result slope;
    AlongArgs::Result along;
    softmin(a.rows, [&](std::int64_t i) { rows += a.from_rows(i); });
    grid.leave(rows, 0);
    grid.sync();
    softmin(a.columns, [&](std::int64_t j) {
      columns += a.from_columns(j);
      slope += response.slope(j);
      if (has_along) along += response.along(j);
    });
    grid.leave(columns, 2);
    grid.leave(slope, 4);
    grid.leave(along, 9);
    grid.sync();
    if (blockIdx.x != 0) return;
    rows = grid.total<decltype(rows)>(0);
    columns = grid.total<decltype(columns)>(2);
    slope = grid.total<decltype(slope)>(4);
    along = grid.total<decltype(along)>(9);
    if (threadIdx.x != 0) return;
    a.from_rows.finish(rows);
    a.from_columns.finish(columns);
    response.slope.finish(slope);
    if (has_along) response.along.finish(along);
  }
};

/// So many blocks have their parts in a kStepRoom.
constexpr std::int64_t kMostBlocks = (kStepRoom - 2) / (2 * kRoomWords);

std::int64_t threads_of(const Sparse& rows, const Sparse& columns) {
  return std::max(rows.rows, columns.rows) * kLanes;
}
}  // namespace

void sparse_step(const SparseStepArgs& args, Exec& exec) {
  const Current current(exec);
  launch_grid(Step{args}, threads_of(args.rows.pairs, args.columns.pairs), kMostBlocks,
              args.step.room, exec);
}

void sparse_respond(const SparseResponseArgs& args, Exec& exec) {
  const Current current(exec);
  launch_grid(Response{args}, threads_of(args.rows.pairs, args.columns.pairs), kMostBlocks,
              args.response.room, exec);
}
}  // namespace monge::kernels::cuda
