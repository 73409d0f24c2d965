// draw: requested rows are gathered, one sweep leaves the mass of each of their column blocks, and
// a warp then finds the block of a draw and computes its weights again. Weights have the CPU's
// bits, and sums that decide between columns are taken in its order.
#include "kernels/draw.hpp"

#include "cuda/current.cuh"
#include "cuda/dispatch.cuh"
#include "cuda/draw_masses.cuh"
#include "monge/core/random.hpp"

namespace monge::kernels::cuda {
using namespace monge::cuda;         // NOLINT(google-build-using-namespace): the backend's own
using namespace monge::cuda::verbs;  // NOLINT(google-build-using-namespace)

namespace {
/// The rows of some requests, as points that a sweep takes.
template <class T>
struct Gathered {
  T *points, *norms, *shift;
  std::int64_t* rows;
};

template <class T>
__global__ void gather_kernel(const DrawArgs<T> a, std::int64_t first, std::int64_t count,
                              const Gathered<T> out) {
  const std::int64_t r = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (r >= padded(count)) return;
  const int dim = a.pairs.rows.dim;
  const bool there = r < count;
  const std::int64_t i = there ? a.rows[first + r] : 0;
  for (int k = blockIdx.y; k < dim; k += gridDim.y)
    out.points[(r / kPanel * dim + k) * kPanel + r % kPanel] =
        there ? coordinate(a.pairs.rows, i, k) : T(0);
  if (blockIdx.y > 0) return;
  out.norms[r] = there && a.pairs.rows.norms ? a.pairs.rows.norms[i] : T(0);
  out.shift[r] = there ? a.shift[i] : T(0);
  out.rows[r] = i;
}

/// Is `block` among the column blocks of row i?
__device__ bool listed(const BlockList& list, std::int64_t i, std::int64_t block) {
  std::int64_t low = list.offsets[i / kRowBlock], high = list.offsets[i / kRowBlock + 1];
  const std::int64_t end = high;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    list.blocks[middle] < block ? low = middle + 1 : high = middle;
  }
  return low < end && list.blocks[low] == block;
}

/// Masses to cumulative masses, in order; blocks outside the row's list add nothing.
template <class T>
__global__ void cumulate_kernel(const DrawArgs<T> a, const BlockList list, std::int64_t first,
                                std::int64_t count, std::int64_t blocks, double* masses) {
  const std::int64_t r = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  const int lane = threadIdx.x % 32;
  if (r >= count) return;
  double* const row = masses + r * blocks;
  double sum = 0;
  for (std::int64_t b0 = 0; b0 < blocks; b0 += 32) {
    const std::int64_t b = b0 + lane;
    double mass = b < blocks ? row[b] : 0, mine = 0;
    if (a.pairs.list && b < blocks && !listed(list, a.rows[first + r], b)) mass = 0;
    for (int t = 0; t < 32; ++t) {
      sum += __shfl_sync(~0u, mass, t);
      if (t == lane) mine = sum;
    }
    if (b < blocks) row[b] = mine;
  }
}

/// How many entries of a rising array are true, all those before some point: 32 probes at a time.
template <class Test>
__device__ std::int64_t count_true(std::int64_t size, const Test& test) {
  std::int64_t low = 0, high = size;
  while (low < high) {
    const std::int64_t step = (high - low + 31) / 32, at = low + (threadIdx.x % 32) * step;
    const int yes = __popc(__ballot_sync(~0u, at < high && test(at)));
    if (yes == 0) return low;
    high = min(high, low + yes * step);
    low += (yes - 1) * step + 1;
  }
  return low;
}

/// The weights of one row in one column block, cumulated in the order of columns: lane l holds
/// columns 8 l to 8 l + 7.
template <class T>
__device__ void cumulate_block(const DrawArgs<T>& a, const Exponential<T, true>& exponential,
                               std::int64_t i, std::int64_t j0, double (&cumulative)[8]) {
  const T shift = a.shift[i];
  const int lane = threadIdx.x % 32;
  T w[8];
#pragma unroll
  for (int c = 0; c < 8; ++c) {
    const std::int64_t j = j0 + lane * 8 + c;
    w[c] = j < a.pairs.m ? exponential((a.h[j] - pair_cost(a.pairs, i, j)) + shift) : T(0);
  }
  double before = 0;
  for (int l = 0; l < 32; ++l) {
    double sum = before;
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      sum += static_cast<double>(w[c]);
      if (l == lane) cumulative[c] = sum;
    }
    before = __shfl_sync(~0u, sum, l);
  }
}

template <class T>
__global__ void locate_kernel(const DrawArgs<T> a, std::int64_t first, std::int64_t requests,
                              std::int64_t blocks, const double* cumulative_masses) {
  const std::int64_t r = std::int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (r >= requests) return;
  const std::int64_t row = a.rows[first + r], count = a.counts[first + r];
  std::int64_t* const out = a.out + a.offsets[first + r];
  const double* const masses = cumulative_masses + r * blocks;
  const double total = masses[blocks - 1];
  const Exponential<T, true> exponential(a.eps, T(1));
  double cumulative[8] = {};
  std::int64_t current = -1;
  for (std::int64_t t = blockIdx.y; t < count; t += gridDim.y) {
    if (!(total > 0)) {
      if (lane == 0) out[t] = -1;
      continue;
    }
    const double at = philox_uniform(a.seed, row, t) * total;
    // The first entry beyond `at`; where rounding has put it at the total, the last that adds.
    std::int64_t block = count_true(blocks, [&](std::int64_t b) { return masses[b] <= at; });
    if (block == blocks)
      block = count_true(blocks, [&](std::int64_t b) { return masses[b] < total; });
    if (block != current) cumulate_block(a, exponential, row, block * kColumnBlock, cumulative);
    current = block;
    const double rest = at - (block > 0 ? masses[block - 1] : 0);
    const double all = __shfl_sync(~0u, cumulative[7], 31);
    unsigned below = 0, short_of_all = 0;
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      below += cumulative[c] <= rest;
      short_of_all += cumulative[c] < all;
    }
    below = __reduce_add_sync(~0u, below);
    short_of_all = __reduce_add_sync(~0u, short_of_all);
    const unsigned column = below == kColumnBlock ? short_of_all : below;
    if (lane == 0) out[t] = block * kColumnBlock + column;
  }
}

template <class T>
void draw_slice(const DrawArgs<T>& a, std::int64_t first, std::int64_t count, std::int64_t blocks,
                const Gathered<T>& gathered, double* masses, Exec& exec) {
  const cudaStream_t stream = stream_of(exec);
  const auto threads = [](std::int64_t wanted) {
    return static_cast<unsigned>((wanted + kThreads - 1) / kThreads);
  };
  const int dim = a.pairs.rows.dim;
  if (a.pairs.m > 0) {
    gather_kernel<<<dim3(threads(padded(count)), std::clamp(dim, 1, 64)), kThreads, 0, stream>>>(
        a, first, count, gathered);
    check_launch("gather");
    SweepArgs<T> sweep(a.pairs, a.h, gathered.shift, a.eps);
    sweep.pairs.list = nullptr;  // requests of one tile may differ in it
    sweep.pairs.n = count;
    sweep.pairs.rows = {gathered.points, a.pairs.rows.norms ? gathered.norms : nullptr, count, dim};
    sweep.row_of = gathered.rows;
    sweep.parts = parts_of(count, a.pairs.m, BlockMasses<T>::kResident, 1);
    by_dimension<3>(a.pairs, [&]<class Score>(Type<Score>) {
      constexpr int kBytes = Layout<T, Score, BlockMasses<T>>::kBytes;
      set_shared_bytes<T, Score, BlockMasses<T>>(kBytes);
      const dim3 grid(static_cast<unsigned>((count + kRowBlock - 1) / kRowBlock), sweep.parts);
      sweep_kernel<T, Score, BlockMasses<T>>
          <<<grid, kThreads, kBytes, stream>>>(sweep, {masses, blocks});
    });
    check_launch("masses");
    const BlockList list = a.pairs.list ? *a.pairs.list : BlockList{};
    cumulate_kernel<<<threads(count * 32), kThreads, 0, stream>>>(a, list, first, count, blocks,
                                                                  masses);
    check_launch("cumulate");
  } else {
    check(cudaMemsetAsync(masses, 0, count * sizeof(double), stream), "masses");
  }
  // Few requests may ask for many draws: then several warps share one.
  const std::int64_t warps = std::clamp<std::int64_t>(8192 / count, 1, 1024);
  locate_kernel<<<dim3(threads(count * 32), static_cast<unsigned>(warps)), kThreads, 0, stream>>>(
      a, first, count, blocks, masses);
  check_launch("locate");
}
}  // namespace

template <class T>
void draw(const DrawArgs<T>& a, Exec& exec) {
  if (a.requests == 0) return;
  const Current current(exec);
  constexpr std::int64_t kScratch = std::int64_t{64} << 20;  // bytes of masses at a time
  const std::int64_t blocks =
      std::max<std::int64_t>(1, (a.pairs.m + kColumnBlock - 1) / kColumnBlock);
  const std::int64_t fit = kScratch / 8 / blocks / kRowBlock * kRowBlock;
  const std::int64_t slice = std::min(a.requests, std::max<std::int64_t>(kRowBlock, fit));
  const std::int64_t rows = padded(slice), dim = a.pairs.rows.dim;
  const std::int64_t size = sizeof(T);
  const Scratch memory(exec, rows * (dim + 2) * size + rows * 8 + slice * blocks * 8);
  Gathered<T> gathered;
  gathered.points = reinterpret_cast<T*>(memory.data());  // first: read in pieces of 16 bytes
  gathered.norms = gathered.points + rows * dim;
  gathered.shift = gathered.norms + rows;
  gathered.rows = reinterpret_cast<std::int64_t*>(gathered.shift + rows);
  double* const masses = reinterpret_cast<double*>(gathered.rows + rows);
  in_slices((a.requests + slice - 1) / slice,
            work_of(a.pairs, 16) / kRowBlock * static_cast<double>(slice), exec,
            [&](std::int64_t first, std::int64_t count) {
              for (std::int64_t s = first; s < first + count; ++s)
                draw_slice(a, s * slice, std::min(slice, a.requests - s * slice), blocks, gathered,
                           masses, exec);
            });
}
template void draw<float>(const DrawArgs<float>&, Exec&);
template void draw<double>(const DrawArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
