// softmin of an explicit cost matrix: memory-bound, so what matters is that neighbouring lanes read
// neighbouring entries in either layout.
#include "cuda/launch.cuh"
#include "cuda/softmin_sweep.cuh"

namespace monge::cuda {
namespace {
constexpr int kThreads = 256, kWarps = kThreads / 32, kRowsOfWarp = kRowBlock / kWarps;
constexpr int kGroups = kThreads / kRowBlock;  // of columns, where a lane is a row

// Exponentials and sums of blocks are of type V.
template <bool LARGEST, class V, class T>
__device__ void add(V& value, T score, T k, T origin) {
  if constexpr (LARGEST)
    value = max(value, score);
  else
    value += exp2_fast(static_cast<V>(fma(score, k, origin)));
}

// Rows are contiguous: a warp takes 8 rows, a lane every 32nd column.
template <class T, class V, bool LARGEST>
struct MatrixRows {
  static constexpr int kThreads = cuda::kThreads;
  Sweep<T> sweep;
  BlockList list;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const auto& p = sweep.args.pairs;
    const int part = at.y, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const std::int64_t i0 = static_cast<std::int64_t>(at.x) * kRowBlock + warp * kRowsOfWarp;
    T origin[kRowsOfWarp];
    V value[kRowsOfWarp];
    double total[kRowsOfWarp];
    const T* row[kRowsOfWarp];
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      const std::int64_t i = min(i0 + r, p.n - 1);
      origin[r] =
          LARGEST ? T(0) : static_cast<T>(whole_shift<T>(sweep.args.shift, i, sweep.per_cost));
      total[r] = LARGEST ? -INFINITY : 0;
      row[r] = p.matrix + i * p.row_stride;
    }
    BlockWalk walk(list, p.list != nullptr, at.x, part * sweep.parts.part_blocks,
                   min(sweep.parts.column_blocks, (part + 1) * sweep.parts.part_blocks));
    while (!walk.done()) {
      const std::int64_t j0 = walk.next() * std::int64_t{kColumnBlock},
                         end = min(j0 + kColumnBlock, p.m);
#pragma unroll
      for (int r = 0; r < kRowsOfWarp; ++r) value[r] = LARGEST ? static_cast<V>(-INFINITY) : V(0);
      for (std::int64_t j = j0 + lane; j < end; j += 32) {
        const T h = static_cast<T>(sweep.args.h[j]);
#pragma unroll
        for (int r = 0; r < kRowsOfWarp; ++r)
          add<LARGEST>(value[r], h - row[r][j * p.col_stride], sweep.k, origin[r]);
      }
#pragma unroll
      for (int r = 0; r < kRowsOfWarp; ++r) {
        const double block = static_cast<double>(value[r]);
        total[r] = LARGEST ? fmax(total[r], block) : total[r] + block;
      }
    }
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      for (int step = 16; step > 0; step /= 2) {
        const double other = __shfl_xor_sync(0xffffffffu, total[r], step);
        total[r] = LARGEST ? fmax(total[r], other) : total[r] + other;
      }
      if (lane == 0 && i0 + r < p.n) sweep.partial[part * p.n + i0 + r] = total[r];
    }
  }
};

// Columns are contiguous: a thread is a row, four groups of threads share the columns.
template <class T, class V, bool LARGEST>
struct MatrixColumns {
  static constexpr int kThreads = cuda::kThreads;
  Sweep<T> sweep;
  BlockList list;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    __shared__ double totals[kGroups][kRowBlock];
    const auto& p = sweep.args.pairs;
    const int part = at.y, group = threadIdx.x / kRowBlock, r = threadIdx.x % kRowBlock;
    const std::int64_t wanted = static_cast<std::int64_t>(at.x) * kRowBlock + r;
    const std::int64_t i = min(wanted, p.n - 1);
    const T origin =
        LARGEST ? T(0) : static_cast<T>(whole_shift<T>(sweep.args.shift, i, sweep.per_cost));
    double total = LARGEST ? -INFINITY : 0;
    BlockWalk walk(list, p.list != nullptr, at.x, part * sweep.parts.part_blocks,
                   min(sweep.parts.column_blocks, (part + 1) * sweep.parts.part_blocks));
    while (!walk.done()) {
      const std::int64_t j0 = walk.next() * std::int64_t{kColumnBlock},
                         end = min(j0 + kColumnBlock, p.m);
      V value = LARGEST ? static_cast<V>(-INFINITY) : V(0);
#pragma unroll 8
      for (std::int64_t j = j0 + group; j < end; j += kGroups)
        add<LARGEST>(
            value, static_cast<T>(sweep.args.h[j]) - p.matrix[i * p.row_stride + j * p.col_stride],
            sweep.k, origin);
      total =
          LARGEST ? fmax(total, static_cast<double>(value)) : total + static_cast<double>(value);
    }
    totals[group][r] = total;
    __syncthreads();
    if (group != 0 || wanted >= p.n) return;
    for (int g = 1; g < kGroups; ++g)
      total = LARGEST ? fmax(total, totals[g][r]) : total + totals[g][r];
    sweep.partial[part * p.n + i] = total;
  }
};

template <class V, bool LARGEST, class T>
void start(const Sweep<T>& sweep, Exec& exec) {
  const auto& p = sweep.args.pairs;
  const dim3 grid(static_cast<unsigned>((p.n + kRowBlock - 1) / kRowBlock), sweep.parts.count);
  const BlockList list = p.list ? *p.list : BlockList{};
  p.col_stride == 1 ? launch(MatrixRows<T, V, LARGEST>{sweep, list}, grid, exec)
                    : launch(MatrixColumns<T, V, LARGEST>{sweep, list}, grid, exec);
}

template <class T>
void run(const Sweep<T>& sweep, bool largest, Exec& exec) {
  if (largest)
    start<T, true>(sweep, exec);
  else if (sizeof(T) == 8 && sweep.args.precision == kernels::Precision::mixed)
    start<float, false>(sweep, exec);
  else
    start<T, false>(sweep, exec);
}
}  // namespace

template <class T>
SweepPlan<T> matrix_sweep(const SoftminArgs<T>& args) {
  const auto& p = args.pairs;
  return {.run = run<T>,
          .parts = Parts::by_shape(p.n, p.m, kRowBlock, 132 * 4, 2, 0.5),
          .in_units_of_scale = false};
}
template SweepPlan<float> matrix_sweep(const SoftminArgs<float>&);
template SweepPlan<double> matrix_sweep(const SoftminArgs<double>&);
}  // namespace monge::cuda
