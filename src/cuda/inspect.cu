// inspect: what is first is found by integer minima, which know no order; sums are taken over
// chunks and these in order.
#include "kernels/inspect.hpp"

#include "cuda/current.cuh"
#include "cuda/reduce.cuh"
#include "kernels/pack.hpp"  // inverse_length

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
using Count = unsigned long long;
constexpr Count kNowhere = ~Count{0};
constexpr int kRowsPerBlock = 1024, kSideThreads = 32, kRowThreads = 8;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::int64_t index_of(Count at) { return at == kNowhere ? -1 : static_cast<std::int64_t>(at); }

__device__ Count min_block(Count value) {
  return reduce_block(value, [](Count a, Count b) { return a < b ? a : b; });
}

/// One thread a point: who counts, who is first, and the factors to directions.
struct Firsts {
  Count bad, undirected, counting, count;
};
template <class T>
__global__ void firsts_kernel(const InspectPointsArgs<T> args, double* factors, Firsts* out) {
  const MatrixView<const T>& points = args.points;
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  Firsts mine{kNowhere, kNowhere, kNowhere, 0};
  if (i < points.rows) {
    for (std::int64_t k = 0; k < points.cols && mine.bad == kNowhere; ++k)
      if (!isfinite(points(i, k))) mine.bad = i * points.cols + k;
    if (!args.weight.data || args.weight[i] > 0) {
      mine.counting = i;
      mine.count = 1;
      if (args.unit_length) {
        factors[i] = inverse_length(points, i);
        if (!has_direction<T>(factors[i])) mine.undirected = i;
      }
    }
  }
  const Firsts all{min_block(mine.bad), min_block(mine.undirected), min_block(mine.counting),
                   reduce_block(mine.count, [](Count a, Count b) { return a + b; })};
  if (threadIdx.x > 0) return;
  atomicMin(&out->bad, all.bad);
  atomicMin(&out->undirected, all.undirected);
  atomicMin(&out->counting, all.counting);
  atomicAdd(&out->count, all.count);
}

/// Of one coordinate: over a chunk of points, then over all.
struct Extent {
  double low = kInfinity, high = -kInfinity, all_low = kInfinity, all_high = -kInfinity;
  double origin = 0, sum = 0;

  __device__ void add(const Extent& other) {
    low = fmin(low, other.low), high = fmax(high, other.high);
    all_low = fmin(all_low, other.all_low), all_high = fmax(all_high, other.all_high);
    origin = other.origin;
    sum += other.sum;
  }
};
template <class T>
__global__ void extents_kernel(const InspectPointsArgs<T> args, const double* factors,
                               const Firsts* firsts, Extent* chunks) {
  __shared__ Extent shared[kRowThreads][kSideThreads];
  const MatrixView<const T>& points = args.points;
  const std::int64_t k = std::int64_t{blockIdx.y} * kSideThreads + threadIdx.x;
  const std::int64_t begin = std::int64_t{blockIdx.x} * kRowsPerBlock;
  const std::int64_t end = min(points.rows, begin + kRowsPerBlock);
  const std::int64_t first = firsts->counting == kNowhere ? -1 : std::int64_t(firsts->counting);
  const auto directed = [&](std::int64_t i) {
    return (args.unit_length ? factors[i] : 1.0) * points(i, k);
  };
  Extent mine;
  if (k < points.cols) {
    if (first >= 0) mine.origin = directed(first);
    for (std::int64_t i = begin + threadIdx.y; i < end; i += kRowThreads) {
      const double value = points(i, k);
      mine.all_low = fmin(mine.all_low, value), mine.all_high = fmax(mine.all_high, value);
      if (args.weight.data && !(args.weight[i] > 0)) continue;
      mine.low = fmin(mine.low, value), mine.high = fmax(mine.high, value);
      mine.sum += directed(i) - mine.origin;
    }
  }
  shared[threadIdx.y][threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.y > 0 || k >= points.cols) return;
  for (int row = 1; row < kRowThreads; ++row) mine.add(shared[row][threadIdx.x]);
  chunks[blockIdx.x * points.cols + k] = mine;
}
__global__ void add_extents_kernel(const Extent* chunks, std::int64_t count, std::int64_t dim,
                                   Extent* out) {
  const std::int64_t k = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (k >= dim) return;
  Extent sum;
  for (std::int64_t c = 0; c < count; ++c) sum.add(chunks[c * dim + k]);
  out[k] = sum;
}

/// A sum and what its rounding lost.
struct Compensated {
  double high = 0, low = 0;
  __device__ void add(double value) {
    const double sum = high + value, back = sum - high;
    low += (high - (sum - back)) + (value - back);
    high = sum;
  }
  __device__ void add(const Compensated& other) {
    add(other.high);
    low += other.low;
  }
};
struct WeightsPart {
  Compensated sum;
  Count bad = kNowhere;
  __device__ void add(const WeightsPart& other) {
    sum.add(other.sum);
    bad = other.bad < bad ? other.bad : bad;
  }
};
/// Parts of the chunks of weights; then, with `parts`, of all parts.
template <class T>
__global__ void weights_kernel(VectorView<const T> weights, const WeightsPart* parts,
                               std::int64_t n, std::int64_t chunk, WeightsPart* out) {
  const std::int64_t begin = blockIdx.x * chunk, end = min(n, begin + chunk);
  WeightsPart mine;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kReduceThreads) {
    if (parts) {
      mine.add(parts[i]);
      continue;
    }
    const double weight = weights[i];
    if (weight >= 0 && isfinite(weight))
      mine.sum.add(weight);
    else if (mine.bad == kNowhere)
      mine.bad = i;
  }
  mine = reduce_block(mine, [](WeightsPart a, const WeightsPart& b) { return a.add(b), a; });
  if (threadIdx.x == 0) out[blockIdx.x] = mine;
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
__global__ void matrix_kernel(const InspectMatrixArgs<T> args, bool by_rows, bool bounds,
                              Count* fast_min, Count* slow_min, MatrixSums* out) {
  const MatrixView<const T>& matrix = args.matrix;
  const std::int64_t fast = by_rows ? matrix.cols : matrix.rows;
  const std::int64_t slow = by_rows ? matrix.rows : matrix.cols;
  const std::int64_t begin = std::int64_t{blockIdx.x} * kSlow, end = min(slow, begin + kSlow);
  const Count none = ordered(kInfinity);
  Count bad = kNowhere, forbids = 0, least = none, most = 0;
  for (std::int64_t t0 = std::int64_t{blockIdx.y} * blockDim.x; t0 < fast;
       t0 += std::int64_t{gridDim.y} * blockDim.x) {
    const std::int64_t t = t0 + threadIdx.x;
    const bool there = t < fast;
    const bool counts = bounds && there && (by_rows ? args.b[t] : args.a[t]) > 0;
    Count column_min = none;
    for (std::int64_t s = begin; s < end; ++s) {
      Count entry = none;
      if (there) {
        const T cost = by_rows ? matrix(s, t) : matrix(t, s);
        if (isfinite(cost)) {
          if (counts && (by_rows ? args.a[s] : args.b[s]) > 0) {
            entry = ordered(cost);
            most = max(most, entry);
          }
        } else if (cost > 0) {
          forbids = 1;
        } else {
          bad = min(bad, static_cast<Count>(s * fast + t));
        }
      }
      if (!bounds) continue;
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
__global__ void needed_kernel(const Count* minima, std::int64_t count, MatrixSums* out) {
  Count largest = 0;
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at < count && minima[at] < ordered(kInfinity)) largest = minima[at];
  largest = reduce_block(largest, [](Count a, Count b) { return a > b ? a : b; });
  if (threadIdx.x == 0) atomicMax(&out->needed, largest);
}
__global__ void start_matrix_kernel(Count* minima, std::int64_t count, MatrixSums* out) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at < count) minima[at] = ordered(kInfinity);
  if (at == 0) *out = {kNowhere, 0, ordered(kInfinity), 0, 0};
}
__global__ void finish_matrix_kernel(const MatrixSums* sums, std::int64_t rows, std::int64_t cols,
                                     bool by_rows, MatrixReport* out) {
  MatrixReport report;
  if (sums->bad != kNowhere) {
    const auto at = static_cast<std::int64_t>(sums->bad);
    report.bad = by_rows ? at : at % rows * cols + at / rows;
  }
  report.forbids = sums->forbids != 0;
  if (sums->most > 0) {
    report.least = unordered(sums->least);
    report.most = unordered(sums->most);
    report.needed = unordered(sums->needed);
  }
  *out = report;
}

unsigned blocks_of(std::int64_t n) {
  return static_cast<unsigned>((n + kReduceThreads - 1) / kReduceThreads);
}
template <class Out>
void fetch(Out* out, const void* from, std::int64_t count, cudaStream_t stream) {
  check(cudaMemcpyAsync(out, from, count * sizeof(Out), cudaMemcpyDeviceToHost, stream), "inspect");
}
}  // namespace

template <class T>
PointsReport inspect(const InspectPointsArgs<T>& args, Exec& exec) {
  const Current current(exec);
  const cudaStream_t stream = stream_of(exec);
  const std::int64_t n = args.points.rows, dim = args.points.cols;
  const std::int64_t chunks = (n + kRowsPerBlock - 1) / kRowsPerBlock;
  const std::int64_t factor_count = args.unit_length ? n : 0;
  const Scratch memory(
      exec, sizeof(Firsts) + (chunks + 1) * dim * sizeof(Extent) + factor_count * sizeof(double));
  auto* const firsts = reinterpret_cast<Firsts*>(memory.data());
  auto* const extents = reinterpret_cast<Extent*>(firsts + 1);
  auto* const parts = extents + dim;
  auto* const factors = reinterpret_cast<double*>(parts + chunks * dim);
  // All ones is kNowhere; the count starts at 0.
  check(cudaMemsetAsync(firsts, 0xff, sizeof(Firsts), stream), "inspect");
  check(cudaMemsetAsync(&firsts->count, 0, sizeof(Count), stream), "inspect");
  if (n > 0) {
    firsts_kernel<<<blocks_of(n), kReduceThreads, 0, stream>>>(args, factors, firsts);
    const dim3 grid(static_cast<unsigned>(chunks),
                    static_cast<unsigned>((dim + kSideThreads - 1) / kSideThreads));
    extents_kernel<<<grid, dim3(kSideThreads, kRowThreads), 0, stream>>>(args, factors, firsts,
                                                                         parts);
  }
  add_extents_kernel<<<blocks_of(dim), kReduceThreads, 0, stream>>>(parts, chunks, dim, extents);
  check_launch("inspect");
  Firsts found;
  std::vector<Extent> all(dim);
  fetch(&found, firsts, 1, stream);
  fetch(all.data(), extents, dim, stream);
  check(cudaStreamSynchronize(stream), "inspect");

  PointsReport out;
  out.bad = index_of(found.bad);
  out.undirected = index_of(found.undirected);
  out.count = static_cast<std::int64_t>(found.count);
  for (const Extent& extent : all) {
    out.low.push_back(extent.low);
    out.high.push_back(extent.high);
    out.all_low.push_back(extent.all_low);
    out.all_high.push_back(extent.all_high);
    out.origin.push_back(extent.origin);
    out.sum.push_back(extent.sum);
  }
  return out;
}

template <class T>
WeightsReport inspect(VectorView<const T> weights, Exec& exec) {
  const Current current(exec);
  const cudaStream_t stream = stream_of(exec);
  const std::int64_t chunks = chunk_count(weights.size);
  const Scratch memory(exec, (chunks + 1) * static_cast<std::int64_t>(sizeof(WeightsPart)));
  auto* const parts = reinterpret_cast<WeightsPart*>(memory.data());
  const WeightsPart* const none = nullptr;
  weights_kernel<<<static_cast<unsigned>(chunks), kReduceThreads, 0, stream>>>(
      weights, none, weights.size, kChunk, parts);
  weights_kernel<<<1, kReduceThreads, 0, stream>>>(weights, parts, chunks, chunks, parts + chunks);
  check_launch("inspect");
  WeightsPart all;
  fetch(&all, parts + chunks, 1, stream);
  check(cudaStreamSynchronize(stream), "inspect");
  return {index_of(all.bad), all.sum.high + all.sum.low};
}

template <class T>
MatrixReport inspect(const InspectMatrixArgs<T>& args, Exec& exec) {
  const Current current(exec);
  const cudaStream_t stream = stream_of(exec);
  const std::int64_t n = args.matrix.rows, m = args.matrix.cols;
  const bool by_rows = args.matrix.col_stride == 1, bounds = args.a.data && args.b.data;
  const std::int64_t fast = by_rows ? m : n, slow = by_rows ? n : m;
  const Scratch memory(exec, sizeof(MatrixSums) + sizeof(MatrixReport) + (n + m) * sizeof(Count));
  auto* const sums = reinterpret_cast<MatrixSums*>(memory.data());
  auto* const report = reinterpret_cast<MatrixReport*>(sums + 1);
  auto* const minima = reinterpret_cast<Count*>(report + 1);
  start_matrix_kernel<<<blocks_of(n + m), kReduceThreads, 0, stream>>>(minima, n + m, sums);
  // The slow axis may be long: the first dimension of a grid has no end, the second 65535.
  const dim3 grid(static_cast<unsigned>((slow + kSlow - 1) / kSlow),
                  std::min(blocks_of(fast), 32768u));
  matrix_kernel<<<grid, kReduceThreads, 0, stream>>>(args, by_rows, bounds, minima, minima + fast,
                                                     sums);
  if (bounds) needed_kernel<<<blocks_of(n + m), kReduceThreads, 0, stream>>>(minima, n + m, sums);
  finish_matrix_kernel<<<1, 1, 0, stream>>>(sums, n, m, by_rows, report);
  check_launch("inspect");
  MatrixReport out;
  fetch(&out, report, 1, stream);
  check(cudaStreamSynchronize(stream), "inspect");
  return out;
}

#define MONGE_INSTANTIATE(T)                                         \
  template PointsReport inspect(const InspectPointsArgs<T>&, Exec&); \
  template WeightsReport inspect(VectorView<const T>, Exec&);        \
  template MatrixReport inspect(const InspectMatrixArgs<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cuda
