// inspect of a cost matrix: minima and maxima of integers, which know no order.
#include "kernels/inspect.hpp"

#include "cuda/answer.cuh"
#include "cuda/current.cuh"
#include "cuda/reduce.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
using Count = unsigned long long;
constexpr Count kNowhere = ~Count{0};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

__device__ Count min_block(Count value) {
  return reduce_block(value, [](Count a, Count b) { return a < b ? a : b; });
}

/// Bits that order as the numbers do, so that minima and maxima are integer ones.
__device__ Count ordered(double value) {
  const auto bits = static_cast<Count>(__double_as_longlong(value));
  return bits >> 63 ? ~bits : bits | Count{1} << 63;
}
__device__ double unordered(Count bits) {
  return __longlong_as_double(
      static_cast<long long>(bits >> 63 ? bits & ~(Count{1} << 63) : ~bits));
}

struct MatrixSums {
  Count bad, forbids, least, most, needed;  // the last three by ordered()
};
constexpr int kSlow = 64;  // steps of the slow axis that a thread takes
/// Threads along the fast axis of memory, so that reads are adjacent.
template <class T>
struct MatrixMinima {
  static constexpr int kThreads = kReduceThreads;
  InspectMatrixArgs<T> args;
  bool by_rows;
  unsigned height;
  Count *fast_min, *slow_min;
  MatrixSums* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const MatrixView<const T>& matrix = args.matrix;
    const auto weighs = [](const VectorView<const T>& weight, std::int64_t i) {
      return !weight.data || weight[i] > 0;
    };
    const std::int64_t fast = by_rows ? matrix.cols : matrix.rows;
    const std::int64_t slow = by_rows ? matrix.rows : matrix.cols;
    const std::int64_t begin = std::int64_t{at.x} * kSlow, end = min(slow, begin + kSlow);
    const Count none = ordered(kInfinity);
    Count bad = kNowhere, forbids = 0, least = none, most = 0;
    for (std::int64_t t0 = std::int64_t{at.y} * kThreads; t0 < fast;
         t0 += std::int64_t{height} * kThreads) {
      const std::int64_t t = t0 + threadIdx.x;
      const bool there = t < fast;
      const bool counts = there && weighs(by_rows ? args.b : args.a, t);
      Count column_min = none;
      for (std::int64_t s = begin; s < end; ++s) {
        Count entry = none;
        if (there) {
          const T cost = by_rows ? matrix(s, t) : matrix(t, s);
          if (isfinite(cost)) {
            if (counts && weighs(by_rows ? args.a : args.b, s)) {
              entry = ordered(cost);
              most = max(most, entry);
            }
          } else if (cost > 0) {
            forbids = 1;
          } else {
            bad = min(bad, static_cast<Count>(s * fast + t));
          }
        }
        column_min = min(column_min, entry);
        for (int step = 16; step > 0; step /= 2)
          entry = min(entry, __shfl_xor_sync(~0u, entry, step));
        if (threadIdx.x % 32 == 0 && entry < none) atomicMin(slow_min + s, entry);
      }
      if (column_min < none) atomicMin(fast_min + t, column_min);
      least = min(least, column_min);
    }
    least = min_block(least);
    bad = min_block(bad);
    forbids = reduce_block(forbids, [](Count a, Count b) { return a | b; });
    most = reduce_block(most, [](Count a, Count b) { return a > b ? a : b; });
    if (threadIdx.x > 0) return;
    atomicMin(&out->bad, bad);
    atomicOr(&out->forbids, forbids);
    atomicMin(&out->least, least);
    atomicMax(&out->most, most);
  }
};
struct Needed {
  static constexpr int kThreads = kReduceThreads;
  const Count* minima;
  std::int64_t count;
  MatrixSums* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    Count largest = 0;
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i < count && minima[i] < ordered(kInfinity)) largest = minima[i];
    largest = reduce_block(largest, [](Count a, Count b) { return a > b ? a : b; });
    if (threadIdx.x == 0) atomicMax(&out->needed, largest);
  }
};
struct StartMinima {
  static constexpr int kThreads = kReduceThreads;
  Count* minima;
  std::int64_t count;
  MatrixSums* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i < count) minima[i] = ordered(kInfinity);
    if (i == 0) *out = {kNowhere, 0, ordered(kInfinity), 0, 0};
  }
};
struct FinishMatrix {
  static constexpr int kThreads = 1;
  const MatrixSums* sums;
  std::int64_t rows, cols;
  bool by_rows;
  MatrixReport* out;

  __device__ void operator()(Block) const {
    await_previous();
    allow_next();
    MatrixReport report;
    if (sums->bad != kNowhere) {
      const auto bad = static_cast<std::int64_t>(sums->bad);
      report.bad = by_rows ? bad : bad % rows * cols + bad / rows;
    }
    report.forbids = sums->forbids != 0;
    if (sums->most > 0) {
      report.least = unordered(sums->least);
      report.most = unordered(sums->most);
      report.needed = unordered(sums->needed);
    }
    *out = report;
  }
};

unsigned blocks_of(std::int64_t n) {
  return static_cast<unsigned>((n + kReduceThreads - 1) / kReduceThreads);
}
}  // namespace

template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>& args, Exec& exec) {
  const Current current(exec);
  const std::int64_t n = args.matrix.rows, m = args.matrix.cols;
  const bool by_rows = args.matrix.col_stride == 1;
  const std::int64_t fast = by_rows ? m : n, slow = by_rows ? n : m;
  const Scratch memory(exec, sizeof(MatrixSums) + (n + m) * sizeof(Count));
  const Answer answer(sizeof(MatrixReport));
  auto* const sums = reinterpret_cast<MatrixSums*>(memory.data());
  auto* const minima = reinterpret_cast<Count*>(sums + 1);
  launch(StartMinima{minima, n + m, sums}, blocks_of(n + m), exec);
  // The slow axis may be long: the first dimension of a grid has no end, the second 65535.
  const dim3 grid(static_cast<unsigned>((slow + kSlow - 1) / kSlow),
                  std::min(blocks_of(fast), 32768u));
  launch(MatrixMinima<T>{args, by_rows, grid.y, minima, minima + fast, sums}, grid, exec);
  launch(Needed{minima, n + m, sums}, blocks_of(n + m), exec);
  launch(FinishMatrix{sums, n, m, by_rows, answer.as<MatrixReport>()}, 1, exec);
  wait(exec, "inspect");
  return *answer.as<MatrixReport>();
}

template MatrixReport inspect(const InspectMatrixArgs<float>&, Exec&);
template MatrixReport inspect(const InspectMatrixArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
