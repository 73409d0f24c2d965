// The end of softmin: parts combine in ascending order, in double. A block of rows in which a sum
// left its range sweeps those rows again with a running maximum, eight at a time; a block in which
// none did only adds a few numbers, so the test costs nothing. The step that follows comes last.
#include "cuda/coordinate.cuh"
#include "cuda/launch.cuh"
#include "cuda/softmin_finish.cuh"
#include "cuda/softmin_sweep.cuh"
#include "kernels/math.hpp"

namespace monge::cuda {
namespace {
constexpr int kThreads = 256, kRedo = 8;  // rows swept at once: loads of columns are shared

// Costs of column j for the kRedo rows.
template <class T>
__device__ void costs_of(const Pairs<T>& p, const std::int64_t (&rows)[kRedo], std::int64_t j,
                         T (&cost)[kRedo]) {
  if (p.form == Form::matrix) {
#pragma unroll
    for (int r = 0; r < kRedo; ++r) cost[r] = p.matrix[rows[r] * p.row_stride + j * p.col_stride];
    return;
  }
  const bool product = p.form == Form::dot || (p.form == Form::squared && p.rows.norms);
  T sum[kRedo] = {};
  if (product && !(p.rows.data && p.cols.data)) {
    for (int k = 0; k < p.rows.dim; ++k) {
      const T yk = coordinate(p.cols, j, k);
#pragma unroll
      for (int r = 0; r < kRedo; ++r) sum[r] = fma(coordinate(p.rows, rows[r], k), yk, sum[r]);
    }
  } else {
    const T* const y = coordinates(p.cols, j);
    const T* x[kRedo];
#pragma unroll
    for (int r = 0; r < kRedo; ++r) x[r] = coordinates(p.rows, rows[r]);
    for (int k = 0; k < p.rows.dim; ++k) {
      const T yk = y[k * kPanel];
#pragma unroll
      for (int r = 0; r < kRedo; ++r) {
        const T xk = x[r][k * kPanel], difference = xk - yk;
        sum[r] = product ? fma(xk, yk, sum[r]) : fma(difference, difference, sum[r]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRedo; ++r) {
    if (p.form == Form::dot)
      cost[r] = -p.scale * sum[r];
    else if (product)
      cost[r] = p.scale * fma(T(-2), sum[r], p.rows.norms[rows[r]] + p.cols.norms[j]);
    else
      cost[r] = kernels::cost_of_squared(p.form, p.scale, p.power, sum[r]);
  }
}

// 2^((other - top) per_cost) sum, where both may be those of no column.
__device__ double rescaled(double other, double sum, double top, double per_cost) {
  if (other == top) return sum;  // also where both are infinite
  return sum > 0 ? sum * exp2((other - top) * per_cost) : 0;
}

template <class T>
__device__ void redo(const Sweep<T>& sweep, const BlockList& list, std::int64_t row_block,
                     const std::int64_t (&rows)[kRedo]) {
  __shared__ double tops[kThreads], sums[kThreads];
  const auto& p = sweep.args.pairs;
  const T infinity = static_cast<T>(INFINITY);
  const T per_cost = static_cast<T>(sweep.per_cost);
  T top[kRedo];
  double sum[kRedo];
#pragma unroll
  for (int r = 0; r < kRedo; ++r) {
    top[r] = -infinity;
    sum[r] = 0;
  }
  const Parts all{sweep.parts.column_blocks, sweep.parts.column_blocks, 1};
  for (ColumnWalk walk(p, list, row_block, all, 0); walk.count() > 0; walk.advance()) {
    const std::int64_t j = threadIdx.x < walk.count() ? walk.column(threadIdx.x) : p.m;
    if (j >= p.m) continue;
    T cost[kRedo];
    costs_of(p, rows, j, cost);
#pragma unroll
    for (int r = 0; r < kRedo; ++r) {
      const T score = static_cast<T>(sweep.args.h[j]) - cost[r];
      if (score > top[r]) {
        sum[r] = sum[r] * static_cast<double>(exp2_fast((top[r] - score) * per_cost)) + 1;
        top[r] = score;
      } else if (score > -infinity) {
        sum[r] +=
            score == top[r] ? 1.0 : static_cast<double>(exp2_fast((score - top[r]) * per_cost));
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRedo; ++r) {
    __syncthreads();
    tops[threadIdx.x] = top[r];
    sums[threadIdx.x] = sum[r];
    for (int half = kThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (threadIdx.x < half) {
        const double a = tops[threadIdx.x], b = tops[threadIdx.x + half], best = fmax(a, b);
        sums[threadIdx.x] = rescaled(a, sums[threadIdx.x], best, sweep.per_cost) +
                            rescaled(b, sums[threadIdx.x + half], best, sweep.per_cost);
        tops[threadIdx.x] = best;
      }
    }
    if (threadIdx.x == 0)
      sweep.args.out[rows[r]] =
          isinf(tops[0]) ? -tops[0] : -(tops[0] + log2(sums[0]) / sweep.per_cost);
  }
}

template <class T>
struct Finish {
  static constexpr int kThreads = cuda::kThreads;
  Sweep<T> sweep;
  BlockList list;

  __device__ void operator()(Block at) const {
    __shared__ unsigned bad_rows[2];
    await_previous();
    allow_next();
    const auto& p = sweep.args.pairs;
    const std::int64_t i0 = static_cast<std::int64_t>(at.x) * kRowBlock;
    if (threadIdx.x < kRowBlock) {
      const std::int64_t i = i0 + threadIdx.x;
      bool good = true;
      if (i < p.n) {
        double sum = 0;
        for (int part = 0; part < sweep.parts.count; ++part) sum += sweep.partial[part * p.n + i];
        good = end_row(sweep, i, sum);
      }
      const unsigned bad = __ballot_sync(0xffffffffu, !good);
      if (threadIdx.x % 32 == 0) bad_rows[threadIdx.x / 32] = bad;
    }
    __syncthreads();
    unsigned long long bad = bad_rows[0] | static_cast<unsigned long long>(bad_rows[1]) << 32;
    if (bad && sweep.redone && threadIdx.x == 0)
      atomicAdd(reinterpret_cast<unsigned long long*>(sweep.redone),
                static_cast<unsigned long long>(__popcll(bad)));
    while (bad) {
      std::int64_t rows[kRedo];
#pragma unroll
      for (int r = 0; r < kRedo; ++r) {  // a group that is not full repeats its last row
        const int next = __ffsll(static_cast<long long>(bad)) - 1;
        rows[r] = next >= 0 ? i0 + next : rows[r > 0 ? r - 1 : 0];
        bad &= bad - 1;
      }
      redo(sweep, list, at.x, rows);
    }
    __syncthreads();
    step_rows(sweep, i0);
  }
};

template <class T>
struct FinishLargest {
  static constexpr int kThreads = 128;
  Sweep<T> sweep;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t n = sweep.args.pairs.n;
    const std::int64_t i = static_cast<std::int64_t>(at.x) * kThreads + threadIdx.x;
    if (i >= n) return;
    double top = -INFINITY;
    for (int part = 0; part < sweep.parts.count; ++part)
      top = fmax(top, sweep.partial[part * n + i]);
    sweep.args.out[i] = -top;
  }
};
}  // namespace

template <class T>
void finish_sums(const Sweep<T>& sweep, Exec& exec) {
  const auto& p = sweep.args.pairs;
  launch(Finish<T>{sweep, p.list ? *p.list : BlockList{}}, (p.n + kRowBlock - 1) / kRowBlock, exec);
}
template <class T>
void finish_largest(const Sweep<T>& sweep, Exec& exec) {
  constexpr int kEach = FinishLargest<T>::kThreads;
  launch(FinishLargest<T>{sweep}, (sweep.args.pairs.n + kEach - 1) / kEach, exec);
}
template void finish_sums(const Sweep<float>&, Exec&);
template void finish_sums(const Sweep<double>&, Exec&);
template void finish_largest(const Sweep<float>&, Exec&);
template void finish_largest(const Sweep<double>&, Exec&);
}  // namespace monge::cuda
