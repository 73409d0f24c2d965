// Forms absorbed kernels by the sweep that all verbs share, in double, and multiplies them with
// vectors: bound by memory, so what matters is that loads are wide and many are under way.
#include "kernels/absorbed.hpp"

#include <atomic>
#include <limits>
#include <type_traits>

#include "cuda/current.cuh"
#include "cuda/dispatch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/slices.cuh"
#include "cuda/softmin_sweep.cuh"
#include "cuda/sum_rows.cuh"

namespace monge::cuda {
namespace {
using kernels::AbsorbArgs;
using kernels::Absorbed;
using kernels::padded;

constexpr int kWarps = verbs::kWarps;
using kernels::kLargestEntry;

/// 16 bytes.
template <class T>
struct alignas(16) Vector {
  static constexpr int kSize = 16 / sizeof(T);
  T value[kSize];
};
template <class T>
__device__ Vector<T> load_once(
    const T* from) {  // what is read once a sweep shall not evict the rest
  const float4 bits = __ldcs(reinterpret_cast<const float4*>(from));
  return *reinterpret_cast<const Vector<T>*>(&bits);
}

// A consumer of the shared sweep that writes its weights down.
template <class T>
class Store {
 public:
  using G = verbs::Tile<double>;
  struct Args {
    T* kernel;
    std::int64_t stride;
    unsigned* too_large;
  };
  static constexpr bool kRowFactors = false, kExact = false, kWeightings = false, kSlopes = false;
  static constexpr int kColumnValues = 0, kSharedBytes = 0, kResident = 1;

  __device__ Store(const Args& args, const Pairs<double>& p, std::int64_t i0, const double*,
                   unsigned char*)
      : args_(args), n_(p.n), i0_(i0) {}

  __device__ void stage(std::int64_t, double*) const {}
  __device__ void begin_step(const verbs::Place&) {}
  template <class Score>
  __device__ void add(const Score&, const verbs::Place& place, const double*, const double*,
                      const double (&w)[G::kRows][4]) {
    const std::int64_t j = place.j0 + place.step * G::kWidth + G::column();
    if (j >= args_.stride) return;
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) {
      T rounded[4];
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        largest_ = fmax(largest_, w[r][c]);
        constexpr double kLeast = std::numeric_limits<T>::min();
        rounded[c] = w[r][c] >= kLeast ? static_cast<T>(w[r][c]) : T(0);
      }
      const std::int64_t i = i0_ + G::row(r);
      if (i < n_) verbs::store4(args_.kernel + i * args_.stride + j, rounded);
    }
  }
  __device__ void end_step(const verbs::Place&) {}
  __device__ void end_block(std::int64_t, std::int64_t) {}
  __device__ void finish(int, int, int) {
    if (!(largest_ <= kLargestEntry)) *args_.too_large = 1;
  }

 private:
  const Args& args_;
  std::int64_t n_, i0_;
  double largest_ = 0;
};

// K of a matrix of costs in T, whose layout is either: tiles turn in shared memory.
template <class T, class K>
__global__ void __launch_bounds__(verbs::kThreads)
    absorb_matrix_kernel(const AbsorbArgs<T, K> a, std::int64_t stride, unsigned* too_large) {
  constexpr int kSide = 32;
  __shared__ T tile[kSide][kSide + 1];
  const auto& p = a.pairs;
  const std::int64_t i0 = blockIdx.y * std::int64_t{kSide}, j0 = blockIdx.x * std::int64_t{kSide};
  const int fast = threadIdx.x % kSide, slow = threadIdx.x / kSide;
  const bool turned = p.row_stride == 1 && p.col_stride != 1;
  for (int s = slow; s < kSide; s += verbs::kThreads / kSide) {
    const std::int64_t i = i0 + (turned ? fast : s), j = j0 + (turned ? s : fast);
    const T cost = i < p.n && j < p.m ? p.matrix[i * p.row_stride + j * p.col_stride] : T(0);
    (turned ? tile[fast][s] : tile[s][fast]) = cost;
  }
  __syncthreads();
  const std::int64_t j = j0 + fast;
  for (int s = slow; s < kSide; s += verbs::kThreads / kSide) {
    const std::int64_t i = i0 + s;
    if (i >= p.n || j >= stride) continue;
    const double entry = exp((a.g[j] - static_cast<double>(tile[s][fast]) + a.f[i]) / a.eps);
    constexpr double kLeast = std::numeric_limits<K>::min();
    a.kernel[i * stride + j] = entry >= kLeast ? static_cast<K>(entry) : K(0);
    if (!(entry <= kLargestEntry)) *too_large = 1;
  }
}

// Coordinates in double, and norms of them where there are norms: a thread is a point.
__global__ void widen_kernel(const kernels::Panels<float> from, std::int64_t count, double* data,
                             double* norms) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const std::int64_t at = i / kPanel * kPanel * from.dim + i % kPanel;
  double norm = 0;
  for (int k = 0; k < from.dim; ++k) {
    const double x = from.data[at + k * kPanel];
    data[at + k * kPanel] = x;
    norm = fma(x, x, norm);
  }
  if (norms) norms[i] = norm;
}

/// The points of float panels in double.
class WidePanels {
 public:
  WidePanels(const kernels::Panels<float>& from, Exec& exec)
      : memory_(exec, padded(from.count) * (from.dim + 1) * std::int64_t{sizeof(double)}) {
    const std::int64_t count = padded(from.count);
    auto* const data = reinterpret_cast<double*>(memory_.data());
    double* const norms = from.norms ? data + count * from.dim : nullptr;
    if (count > 0)
      widen_kernel<<<static_cast<unsigned>((count + 127) / 128), 128, 0, stream_of(exec)>>>(
          from, count, data, norms);
    check_launch("points in double");
    panels = {data, norms, from.count, from.dim};
  }
  kernels::Panels<double> panels;

 private:
  Scratch memory_;
};

template <class T, class K>
void absorb_points(const Pairs<double>& p, const AbsorbArgs<T, K>& a, unsigned* too_large,
                   Exec& exec) {
  const verbs::SweepArgs<double> sweep(p, a.g, a.f, a.eps);
  const std::int64_t blocks = (p.n + kRowBlock - 1) / kRowBlock;
  verbs::by_dimension<4>(p, [&]<class Score>(verbs::Type<Score>) {
    const int bytes = verbs::Layout<double, Score, Store<K>>::kBytes;
    verbs::set_shared_bytes<double, Score, Store<K>>(bytes);
    verbs::in_slices(blocks, verbs::work_of(p, 0), exec,
                     [&](std::int64_t first, std::int64_t count) {
                       verbs::SweepArgs<double> slice = sweep;
                       slice.first_block = first;
                       slice.parts = verbs::parts_of(p.n, p.m, 1, 1);
                       const dim3 grid(static_cast<unsigned>(count), slice.parts);
                       verbs::sweep_kernel<double, Score, Store<K>>
                           <<<grid, verbs::kThreads, bytes, stream_of(exec)>>>(
                               slice, {a.kernel, padded(p.m), too_large});
                       check_launch("absorb");
                     });
  });
}

template <class T, class K>
bool absorb(const AbsorbArgs<T, K>& a, Exec& exec) {
  const auto& p = a.pairs;
  if (p.n == 0) return true;
  const cudaStream_t stream = stream_of(exec);
  const Scratch flag(exec, sizeof(unsigned));
  auto* const too_large = reinterpret_cast<unsigned*>(flag.data());
  check(cudaMemsetAsync(too_large, 0, sizeof(unsigned), stream), "absorb");
  if (p.form == Form::matrix) {
    const std::int64_t stride = padded(p.m);
    const dim3 grid(static_cast<unsigned>((stride + 31) / 32),
                    static_cast<unsigned>((p.n + 31) / 32));
    absorb_matrix_kernel<<<grid, verbs::kThreads, 0, stream>>>(a, stride, too_large);
    check_launch("absorb");
  } else if constexpr (std::is_same_v<T, double>) {
    absorb_points(p, a, too_large, exec);
  } else {
    const WidePanels rows(p.rows, exec), cols(p.cols, exec);
    Pairs<double> wide;
    wide.form = p.form;
    wide.scale = p.scale;
    wide.power = p.power;
    wide.n = p.n;
    wide.m = p.m;
    wide.rows = rows.panels;
    wide.cols = cols.panels;
    absorb_points(wide, a, too_large, exec);
  }
  unsigned bad = 0;
  check(cudaMemcpyAsync(&bad, too_large, sizeof bad, cudaMemcpyDeviceToHost, stream), "absorb");
  wait(exec, "absorb");
  return bad == 0;
}

// v_j, and their sum over each chunk.
template <class K>
struct Weights {
  static constexpr int kThreads = kReduceThreads;
  const double *h, *g;
  double per_cost;
  std::int64_t m, width;
  K* v;
  double* totals;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t begin = at.x * std::int64_t{kChunk}, end = min(begin + kChunk, width);
    double total = 0;
    for (std::int64_t j = begin + threadIdx.x; j < end; j += kThreads) {
      const double weight = j < m && h[j] > -INFINITY ? exp2((h[j] - g[j]) * per_cost) : 0;
      v[j] = static_cast<K>(weight);
      total += weight;
    }
    total = sum_block(total);
    if (threadIdx.x == 0) totals[at.x] = total;
  }
};

/// A product of K with v; sums of a thread are of T over kFlush steps.
template <class T>
struct Product {
  const T* kernel;
  std::int64_t stride;
  const T* v;
  std::int64_t n, m;  // of the result, and of the sum
  Parts parts;
  double* partial;
};
constexpr int kFlush = 16;

// A warp takes kRows rows of K, a lane 16 bytes of each at a time.
template <class T>
struct AbsorbedRows : Product<T> {
  static constexpr int kThreads = verbs::kThreads, kRows = 4;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    constexpr int kSize = Vector<T>::kSize, kStep = 32 * kSize;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const std::int64_t n = this->n, i0 = (at.x * std::int64_t{kWarps} + warp) * kRows;
    const std::int64_t length = this->parts.part_blocks * kColumnBlock, begin = at.y * length;
    const std::int64_t end = min(this->stride, begin + length);
    const T* row[kRows];
    double total[kRows] = {};
#pragma unroll
    for (int r = 0; r < kRows; ++r) row[r] = this->kernel + min(i0 + r, n - 1) * this->stride;
    for (std::int64_t j0 = begin + lane * kSize; j0 < end; j0 += kFlush * kStep) {
      T sum[kRows] = {};
      const std::int64_t stop = min(end, j0 + kFlush * kStep);
#pragma unroll 4
      for (std::int64_t j = j0; j < stop; j += kStep) {
        const auto weight = *reinterpret_cast<const Vector<T>*>(this->v + j);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const auto entry = load_once(row[r] + j);
#pragma unroll
          for (int c = 0; c < kSize; ++c) sum[r] = fma(entry.value[c], weight.value[c], sum[r]);
        }
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) total[r] += static_cast<double>(sum[r]);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      for (int step = 16; step > 0; step /= 2)
        total[r] += __shfl_xor_sync(0xffffffffu, total[r], step);
      if (lane == 0 && i0 + r < n) this->partial[at.y * n + i0 + r] = total[r];
    }
  }
};

// Columns of K: a lane takes 16 bytes of them, a warp every eighth row of the part.
template <class T>
struct AbsorbedColumns : Product<T> {
  static constexpr int kThreads = verbs::kThreads, kWidth = 32 * Vector<T>::kSize;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    constexpr int kSize = Vector<T>::kSize;
    __shared__ double sums[kWarps][kWidth];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const std::int64_t first = at.x * std::int64_t{kWidth}, j0 = first + lane * kSize;
    const std::int64_t length = this->parts.part_blocks * kColumnBlock, begin = at.y * length;
    const std::int64_t end = min(this->m, begin + length);
    double total[kSize] = {};
    if (j0 < this->stride)
      for (std::int64_t i0 = begin + warp; i0 < end; i0 += kFlush * kWarps) {
        T sum[kSize] = {};
        const std::int64_t stop = min(end, i0 + kFlush * kWarps);
#pragma unroll 8
        for (std::int64_t i = i0; i < stop; i += kWarps) {
          const T weight = this->v[i];
          const auto entry = load_once(this->kernel + i * this->stride + j0);
#pragma unroll
          for (int c = 0; c < kSize; ++c) sum[c] = fma(entry.value[c], weight, sum[c]);
        }
#pragma unroll
        for (int c = 0; c < kSize; ++c) total[c] += static_cast<double>(sum[c]);
      }
#pragma unroll
    for (int c = 0; c < kSize; ++c) sums[warp][lane * kSize + c] = total[c];
    __syncthreads();
    if (threadIdx.x >= kWidth || first + threadIdx.x >= this->n) return;
    double sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += sums[w][threadIdx.x];
    this->partial[at.y * this->n + first + threadIdx.x] = sum;
  }
};

template <class T, class K>
void softmin(const SoftminArgs<T>& args, const Absorbed<K>& absorbed, Exec& exec) {
  const std::int64_t n = args.pairs.n, m = args.pairs.m, width = padded(m);
  if (n == 0) return;
  kernels::poll(exec, 0);
  const int rows_of_block =
      absorbed.transposed ? AbsorbedColumns<K>::kWidth : kWarps * AbsorbedRows<K>::kRows;
  const Parts parts = Parts::by_shape(n, m, rows_of_block, 132 * 8, 2, 1.0);
  const std::int64_t chunks = chunk_count(width), sums = parts.count * n + chunks;
  const std::int64_t sum_bytes = (sums * std::int64_t{sizeof(double)} + 15) / 16 * 16;
  const Scratch scratch(exec, sum_bytes + width * std::int64_t{sizeof(K)});
  Sweep<T> sweep{.args = args,
                 .parts = parts,
                 .k = 0,
                 .per_cost = kLog2E / args.eps,
                 .partial = reinterpret_cast<double*>(scratch.data())};
  sweep.args.shift = absorbed.f;
  double* const totals = sweep.partial + parts.count * n;
  K* const v = reinterpret_cast<K*>(scratch.data() + sum_bytes);
  sweep.weights = totals;
  sweep.weight_parts = static_cast<int>(chunks);
  sweep.redone = absorbed.redone;
  launch(Weights<K>{args.h, absorbed.g, sweep.per_cost, m, width, v, totals}, chunks, exec);
  const Product<K> product{absorbed.kernel, absorbed.stride, v, n, m, parts, sweep.partial};
  const dim3 grid(static_cast<unsigned>((n + rows_of_block - 1) / rows_of_block), parts.count);
  absorbed.transposed ? launch(AbsorbedColumns<K>{product}, grid, exec)
                      : launch(AbsorbedRows<K>{product}, grid, exec);
  finish_sums(sweep, exec);
}
}  // namespace
}  // namespace monge::cuda

namespace monge::kernels::cuda {
template <class T, class K>
bool absorb(const AbsorbArgs<T, K>& args, Exec& exec) {
  const monge::cuda::Current current(exec);
  return monge::cuda::absorb(args, exec);
}
template <class T, class K>
bool softmin(const SoftminArgs<T>& args, const Absorbed<K>& absorbed, Exec& exec) {
  const monge::cuda::Current current(exec);
  monge::cuda::softmin(args, absorbed, exec);
  return true;
}

// Nanoseconds a pair, of an H100 (docs/benchmarks.md), base + slope d.
template <class T>
AbsorbedCosts absorbed_costs(const Pairs<T>& p, Precision precision, int bytes) {
  constexpr double kRead = 3.9e-4;                     // a byte
  constexpr double kWide = 6e-3, kWideSlope = 3.3e-4;  // of scores in double
  const bool matrix = p.form == Form::matrix;
  const double dim = matrix ? 0 : p.rows.dim, wide = kWide + kWideSlope * dim;
  AbsorbedCosts out{.streamed = sizeof(T) == 4 ? 3e-4 + 1.6e-5 * dim : wide,
                    .absorbed = bytes * kRead,
                    .absorb = wide + bytes * kRead};
  if (matrix && (sizeof(T) == 4 || precision == Precision::mixed))
    out.streamed = sizeof(T) * kRead;
  else if (precision == Precision::mixed)
    out.streamed = 2e-3 + 2.7e-4 * dim;
  return out;
}

std::int64_t absorbed_bytes(Device device) {
  static std::atomic<std::int64_t> known[monge::cuda::kDevices] = {};  // asking takes long
  const monge::cuda::Current current(device);
  auto& bytes = known[device.index];
  if (bytes == 0) {
    std::size_t free = 0, total = 0;
    monge::cuda::check(cudaMemGetInfo(&free, &total), "device");
    bytes = static_cast<std::int64_t>(total / 16);
  }
  return bytes;
}

template AbsorbedCosts absorbed_costs<float>(const Pairs<float>&, Precision, int);
template AbsorbedCosts absorbed_costs<double>(const Pairs<double>&, Precision, int);
#define MONGE_INSTANTIATE(T, K)                         \
  template bool absorb(const AbsorbArgs<T, K>&, Exec&); \
  template bool softmin(const SoftminArgs<T>&, const Absorbed<K>&, Exec&);
MONGE_INSTANTIATE(float, float)
MONGE_INSTANTIATE(double, double)
MONGE_INSTANTIATE(double, float)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cuda
