// Forms absorbed kernels by the sweep that all verbs share, in double, and multiplies them with
// vectors: bound by memory, so what matters is that loads are wide and many are under way.
#include "kernels/absorbed.hpp"

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

constexpr int kThreads = verbs::kThreads, kWarps = verbs::kWarps;
constexpr double kLargestEntry = 1e12;  // as on the CPU

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
template <class T>
__global__ void __launch_bounds__(kThreads)
    absorb_matrix_kernel(const AbsorbArgs<T> a, std::int64_t stride, unsigned* too_large) {
  constexpr int kSide = 32;
  __shared__ T tile[kSide][kSide + 1];
  const auto& p = a.pairs;
  const std::int64_t i0 = blockIdx.y * std::int64_t{kSide}, j0 = blockIdx.x * std::int64_t{kSide};
  const int fast = threadIdx.x % kSide, slow = threadIdx.x / kSide;
  const bool turned = p.row_stride == 1 && p.col_stride != 1;
  for (int s = slow; s < kSide; s += kThreads / kSide) {
    const std::int64_t i = i0 + (turned ? fast : s), j = j0 + (turned ? s : fast);
    const T cost = i < p.n && j < p.m ? p.matrix[i * p.row_stride + j * p.col_stride] : T(0);
    (turned ? tile[fast][s] : tile[s][fast]) = cost;
  }
  __syncthreads();
  const std::int64_t j = j0 + fast;
  for (int s = slow; s < kSide; s += kThreads / kSide) {
    const std::int64_t i = i0 + s;
    if (i >= p.n || j >= stride) continue;
    const double entry = exp((a.g[j] - static_cast<double>(tile[s][fast]) + a.f[i]) / a.eps);
    constexpr double kLeast = std::numeric_limits<T>::min();
    a.kernel[i * stride + j] = entry >= kLeast ? static_cast<T>(entry) : T(0);
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

template <class T>
void absorb_points(const Pairs<double>& p, const AbsorbArgs<T>& a, unsigned* too_large,
                   Exec& exec) {
  const verbs::SweepArgs<double> sweep(p, a.g, a.f, a.eps);
  const std::int64_t blocks = (p.n + kRowBlock - 1) / kRowBlock;
  verbs::by_dimension<4>(p, [&]<class Score>(verbs::Type<Score>) {
    const int bytes = verbs::Layout<double, Score, Store<T>>::kBytes;
    verbs::set_shared_bytes<double, Score, Store<T>>(bytes);
    verbs::in_slices(
        blocks, verbs::work_of(p, 0), exec, [&](std::int64_t first, std::int64_t count) {
          verbs::SweepArgs<double> slice = sweep;
          slice.first_block = first;
          slice.parts = verbs::parts_of(p.n, p.m, 1, 1);
          const dim3 grid(static_cast<unsigned>(count), slice.parts);
          verbs::sweep_kernel<double, Score, Store<T>><<<grid, kThreads, bytes, stream_of(exec)>>>(
              slice, {a.kernel, padded(p.m), too_large});
          check_launch("absorb");
        });
  });
}

template <class T>
bool absorb(const AbsorbArgs<T>& a, Exec& exec) {
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
    absorb_matrix_kernel<<<grid, kThreads, 0, stream>>>(a, stride, too_large);
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
  check(cudaStreamSynchronize(stream), "absorb");
  return bad == 0;
}

// v_j, and their sum over each chunk.
template <class T>
__global__ void __launch_bounds__(kReduceThreads)
    weights_kernel(const T* h, const double* g, double per_cost, std::int64_t m, std::int64_t width,
                   T* v, double* totals) {
  const std::int64_t begin = blockIdx.x * std::int64_t{kChunk};
  double total = 0;
  for (std::int64_t j = begin + threadIdx.x; j < min(begin + kChunk, width); j += kReduceThreads) {
    const double weight =
        j < m && h[j] > -INFINITY ? exp2((static_cast<double>(h[j]) - g[j]) * per_cost) : 0;
    v[j] = static_cast<T>(weight);
    total += weight;
  }
  total = sum_block(total);
  if (threadIdx.x == 0) totals[blockIdx.x] = total;
}

// A warp takes kRows rows of K, a lane 16 bytes of each at a time. Sums of a thread are of T over
// kFlush steps.
template <class T>
constexpr int kRows = 4;
constexpr int kFlush = 16;

template <class T>
__global__ void __launch_bounds__(kThreads)
    rows_kernel(const T* kernel, std::int64_t stride, const T* v, std::int64_t n, Parts parts,
                double* partial) {
  constexpr int kSize = Vector<T>::kSize;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = blockIdx.y;
  const std::int64_t i0 = (blockIdx.x * std::int64_t{kWarps} + warp) * kRows<T>;
  const std::int64_t begin = std::int64_t{part} * parts.part_blocks * kColumnBlock;
  const std::int64_t end = min(stride, std::int64_t{part + 1} * parts.part_blocks * kColumnBlock);
  const T* row[kRows<T>];
  double total[kRows<T>] = {};
#pragma unroll
  for (int r = 0; r < kRows<T>; ++r) row[r] = kernel + min(i0 + r, n - 1) * stride;
  for (std::int64_t j0 = begin + lane * kSize; j0 < end; j0 += kFlush * 32 * kSize) {
    T sum[kRows<T>] = {};
    const std::int64_t stop = min(end, j0 + kFlush * 32 * kSize);
#pragma unroll 4
    for (std::int64_t j = j0; j < stop; j += 32 * kSize) {
      const auto weight = *reinterpret_cast<const Vector<T>*>(v + j);
#pragma unroll
      for (int r = 0; r < kRows<T>; ++r) {
        const auto entry = load_once(row[r] + j);
#pragma unroll
        for (int c = 0; c < kSize; ++c) sum[r] = fma(entry.value[c], weight.value[c], sum[r]);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows<T>; ++r) total[r] += static_cast<double>(sum[r]);
  }
#pragma unroll
  for (int r = 0; r < kRows<T>; ++r) {
    for (int step = 16; step > 0; step /= 2)
      total[r] += __shfl_xor_sync(0xffffffffu, total[r], step);
    if (lane == 0 && i0 + r < n) partial[part * n + i0 + r] = total[r];
  }
}

// Columns of K: a lane takes 16 bytes of them, a warp every eighth row of the part.
template <class T>
__global__ void __launch_bounds__(kThreads)
    columns_kernel(const T* kernel, std::int64_t stride, const T* v, std::int64_t n, std::int64_t m,
                   Parts parts, double* partial) {
  constexpr int kSize = Vector<T>::kSize, kWidth = 32 * kSize;
  __shared__ double sums[kWarps][kWidth];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = blockIdx.y;
  const std::int64_t j0 = blockIdx.x * std::int64_t{kWidth} + lane * kSize;
  const std::int64_t begin = std::int64_t{part} * parts.part_blocks * kColumnBlock;
  const std::int64_t end = min(m, std::int64_t{part + 1} * parts.part_blocks * kColumnBlock);
  double total[kSize] = {};
  if (j0 < stride)
    for (std::int64_t i0 = begin + warp; i0 < end; i0 += kFlush * kWarps) {
      T sum[kSize] = {};
      const std::int64_t stop = min(end, i0 + kFlush * kWarps);
#pragma unroll 8
      for (std::int64_t i = i0; i < stop; i += kWarps) {
        const T weight = v[i];
        const auto entry = load_once(kernel + i * stride + j0);
#pragma unroll
        for (int c = 0; c < kSize; ++c) sum[c] = fma(entry.value[c], weight, sum[c]);
      }
#pragma unroll
      for (int c = 0; c < kSize; ++c) total[c] += static_cast<double>(sum[c]);
    }
#pragma unroll
  for (int c = 0; c < kSize; ++c) sums[warp][lane * kSize + c] = total[c];
  __syncthreads();
  if (threadIdx.x >= kWidth) return;
  double sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += sums[w][threadIdx.x];
  const std::int64_t j = blockIdx.x * std::int64_t{kWidth} + threadIdx.x;
  if (j < n) partial[part * n + j] = sum;
}

template <class T>
void softmin(const SoftminArgs<T>& args, const Absorbed<T>& absorbed, Exec& exec) {
  const std::int64_t n = args.pairs.n, m = args.pairs.m, width = padded(m);
  if (n == 0) return;
  const cudaStream_t stream = stream_of(exec);
  kernels::poll(exec, 0);
  constexpr int kWidth = 32 * Vector<T>::kSize, kRowsOfBlock = kWarps * kRows<T>;
  const Parts parts =
      Parts::by_shape(n, m, absorbed.transposed ? kWidth : kRowsOfBlock, 132 * 8, 2, 1.0);
  const std::int64_t chunks = chunk_count(width);
  const Scratch scratch(exec, (parts.count * n + chunks) * std::int64_t{sizeof(double)} +
                                  width * std::int64_t{sizeof(T)} + 16);
  Sweep<T> sweep{.args = args,
                 .parts = parts,
                 .k = 0,
                 .per_cost = kLog2E / args.eps,
                 .partial = reinterpret_cast<double*>(scratch.data())};
  sweep.args.shift = absorbed.f;
  double* const totals = sweep.partial + parts.count * n;
  T* const v = reinterpret_cast<T*>(totals + chunks + (parts.count * n + chunks) % 2);
  sweep.weights = totals;
  sweep.weight_parts = static_cast<int>(chunks);
  sweep.redone = absorbed.redone;
  weights_kernel<<<static_cast<unsigned>(chunks), kReduceThreads, 0, stream>>>(
      args.h, absorbed.g, sweep.per_cost, m, width, v, totals);
  check_launch("weights of an absorbed kernel");
  if (absorbed.transposed) {
    const dim3 grid(static_cast<unsigned>((n + kWidth - 1) / kWidth), parts.count);
    columns_kernel<<<grid, kThreads, 0, stream>>>(absorbed.kernel, absorbed.stride, v, n, m, parts,
                                                  sweep.partial);
  } else {
    const dim3 grid(static_cast<unsigned>((n + kRowsOfBlock - 1) / kRowsOfBlock), parts.count);
    rows_kernel<<<grid, kThreads, 0, stream>>>(absorbed.kernel, absorbed.stride, v, n, parts,
                                               sweep.partial);
  }
  check_launch("product with an absorbed kernel");
  finish_sums(sweep, stream);
}
}  // namespace
}  // namespace monge::cuda

namespace monge::kernels::cuda {
template <class T>
bool absorb(const AbsorbArgs<T>& args, Exec& exec) {
  const monge::cuda::Current current(exec);
  return monge::cuda::absorb(args, exec);
}
template <class T>
bool softmin(const SoftminArgs<T>& args, const Absorbed<T>& absorbed, Exec& exec) {
  const monge::cuda::Current current(exec);
  monge::cuda::softmin(args, absorbed, exec);
  return true;
}

// Nanoseconds a pair, of an H100 (docs/benchmarks.md), base + slope d.
template <class T>
AbsorbedCosts absorbed_costs(const Pairs<T>& p, Precision precision) {
  constexpr double kBytes = sizeof(T), kRead = 3.9e-4;  // a byte
  constexpr double kWide = 6e-3, kWideSlope = 3.3e-4;   // of scores in double
  const bool matrix = p.form == Form::matrix;
  const double dim = matrix ? 0 : p.rows.dim;
  AbsorbedCosts out{.streamed = sizeof(T) == 4 ? 3e-4 + 1.6e-5 * dim : kWide + kWideSlope * dim,
                    .absorbed = kBytes * kRead,
                    .absorb = kWide + kWideSlope * dim + kBytes * kRead};
  if (matrix && sizeof(T) == 4) out.streamed = kBytes * kRead;
  if (precision == Precision::mixed) out.streamed = matrix ? kBytes * kRead : 2e-3 + 2.7e-4 * dim;
  return out;
}

std::int64_t absorbed_bytes(Device device) {
  const monge::cuda::Current current(device);
  std::size_t free = 0, total = 0;
  monge::cuda::check(cudaMemGetInfo(&free, &total), "device");
  return static_cast<std::int64_t>(total / 16);
}

template AbsorbedCosts absorbed_costs<float>(const Pairs<float>&, Precision);
template AbsorbedCosts absorbed_costs<double>(const Pairs<double>&, Precision);
template bool absorb<float>(const AbsorbArgs<float>&, Exec&);
template bool absorb<double>(const AbsorbArgs<double>&, Exec&);
template bool softmin<float>(const SoftminArgs<float>&, const Absorbed<float>&, Exec&);
template bool softmin<double>(const SoftminArgs<double>&, const Absorbed<double>&, Exec&);
}  // namespace monge::kernels::cuda
