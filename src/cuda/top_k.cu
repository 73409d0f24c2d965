// top_k: a sweep leaves sorted lists, one for each part of the columns; these are merged, and rows
// whose shift did not suit a softmin get theirs by a maximum first. select: one sweep.
#include "cuda/top_k.cuh"

#include "cuda/current.cuh"
#include "cuda/dispatch.cuh"
#include "cuda/select.cuh"
#include "cuda/sum_rows.cuh"
#include "cuda/top_few.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;         // NOLINT(google-build-using-namespace): the backend's own
using namespace monge::cuda::verbs;  // NOLINT(google-build-using-namespace)

namespace {
/// body(j, score) for the columns of row i, shared out to a warp.
template <class T, class Body>
__device__ void for_each_score(const SweepArgs<T>& a, std::int64_t i, const Body& body) {
  SweepArgs<T> whole = a;
  whole.parts = 1;
  const Columns columns(whole, i / kRowBlock, 0);
  for (std::int64_t entry = columns.first; entry < columns.last; ++entry)
    for (int t = threadIdx.x % 32; t < kColumnBlock; t += 32) {
      const std::int64_t j = columns.j0(entry) + t;
      if (j < a.pairs.m) body(a.h[j] - pair_cost(a.pairs, i, j));
    }
}

/// One warp a row of the slice: merges the parts into part 0 and writes the row.
template <class T>
__global__ void finish_kernel(const SweepArgs<T> sweep, const TopKArgs<T> a, const BestArgs<T> best,
                              std::int64_t i0, std::int64_t count) {
  const std::int64_t row = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  const int lane = threadIdx.x % 32;
  if (row >= count) return;
  const std::int64_t i = i0 + row;
  const auto part = [&](int p) {
    const std::int64_t at = (p * best.rows + row) * best.size;
    return Entries<T>{best.weights + at, best.columns + at};
  };
  const Entries<T> list = part(0);
  for (int p = 1; p < sweep.parts; ++p) merge(list, part(p), best.size);
  for (int e = lane; e < a.k; e += 32) {
    const bool there = list.columns[e] != kNoColumn;
    a.columns[i * a.k + e] = there ? std::int64_t{list.columns[e]} : -1;
    a.weights[i * a.k + e] = list.weights[e];
  }
  if (!a.softmin) return;

  double sum = 0;
  for (int p = 0; p < sweep.parts; ++p) sum += best.sums[p * best.rows + row];
  double shift = a.shift[i];
  if (!(sum >= 1e-18 && sum <= 1e18)) {
    T top = -infinity<T>();
    for_each_score(sweep, i, [&](T score) { top = max(top, score); });
    for (int step = 16; step > 0; step /= 2) top = max(top, __shfl_xor_sync(~0u, top, step));
    shift = -top;
    sum = isfinite(top) ? 0 : 1;
    const Exponential<T, true> exponential(a.eps, T(1));
    if (isfinite(top)) for_each_score(sweep, i, [&](T score) { sum += exponential(score - top); });
    if (isfinite(top))
      for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  }
  if (lane == 0) a.softmin[i] = shift - a.eps * log(sum);
}

/// `lists`: bytes of shared memory beyond what the consumer says.
template <class Consumer, class T>
void top_k_slice(SweepArgs<T> sweep, const TopKArgs<T>& a, const BestArgs<T>& best,
                 std::int64_t first, std::int64_t count, int lists, Exec& exec) {
  const cudaStream_t stream = stream_of(exec);
  sweep.first_block = first;
  by_dimension<3>(a.pairs, [&]<class Score>(Type<Score>) {
    const int bytes = Layout<T, Score, Consumer>::kBytes + lists;
    set_shared_bytes<T, Score, Consumer>(bytes);
    const dim3 grid(static_cast<unsigned>(count), sweep.parts);
    sweep_kernel<T, Score, Consumer><<<grid, kThreads, bytes, stream>>>(sweep, best);
  });
  check_launch("top_k");
  const std::int64_t i0 = first * kRowBlock, rows = std::min(count * kRowBlock, a.pairs.n - i0);
  const auto blocks = static_cast<unsigned>((rows * 32 + kThreads - 1) / kThreads);
  finish_kernel<<<blocks, kThreads, 0, stream>>>(sweep, a, best, i0, rows);
  check_launch("top_k");
}

/// Bytes of shared memory that a thread block may have.
int shared_limit() {
  int device = 0, bytes = 0;
  check(cudaGetDevice(&device), "device");
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "device");
  return bytes;
}

enum class Lists { few, shared, global };  // kept in registers, in shared memory, anywhere
}  // namespace

template <class T>
void top_k(const TopKArgs<T>& a, Exec& exec) {
  if (a.pairs.n == 0) return;
  const Current current(exec);
  SweepArgs<T> sweep(a.pairs, a.h, a.shift, a.eps);
  BestArgs<T> best{};
  best.k = a.k;
  best.size = kFew;
  while (best.size < a.k) best.size *= 2;
  const bool fits =
      best.size <= TopK<T, true>::kLargest && shared_limit() >= TopK<T, true>::kNeeded;
  const Lists lists = best.size == kFew ? Lists::few : fits ? Lists::shared : Lists::global;
  // Every part fills its lists anew, which costs as much as some column blocks.
  constexpr double kFilling = 10;
  sweep.parts = lists == Lists::global ? 1 : parts_of(a.pairs.n, a.pairs.m, 2, kFilling);

  constexpr std::int64_t kScratch = std::int64_t{128} << 20;  // bytes of lists at a time
  const std::int64_t row_blocks = (a.pairs.n + kRowBlock - 1) / kRowBlock;
  const std::int64_t arrays = sweep.parts + (lists == Lists::global);
  const std::int64_t of_block = arrays * kRowBlock * best.size * (sizeof(T) + 4);
  const std::int64_t slice = std::clamp<std::int64_t>(kScratch / of_block, 1, row_blocks);
  best.rows = slice * kRowBlock;
  const std::int64_t entries = arrays * best.rows * best.size;
  const Scratch memory(exec, sweep.parts * best.rows * 8 + entries * (sizeof(T) + 4));
  double* const sums = reinterpret_cast<double*>(memory.data());
  best.sums = a.softmin ? sums : nullptr;
  best.weights = reinterpret_cast<T*>(sums + sweep.parts * best.rows);
  best.columns = reinterpret_cast<std::uint32_t*>(best.weights + entries);
  best.queue_weights = best.weights + sweep.parts * best.rows * best.size;
  best.queue_columns = best.columns + sweep.parts * best.rows * best.size;
  const int in_shared = 2 * kRowBlock * best.size * static_cast<int>(sizeof(T) + 4);
  in_slices(row_blocks, work_of(a.pairs, 16), exec, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t s = first; s < first + count; s += slice) {
      const std::int64_t some = std::min(slice, first + count - s);
      if (lists == Lists::few)
        top_k_slice<TopFew<T>>(sweep, a, best, s, some, 0, exec);
      else if (lists == Lists::shared)
        top_k_slice<TopK<T, true>>(sweep, a, best, s, some, in_shared, exec);
      else
        top_k_slice<TopK<T, false>>(sweep, a, best, s, some, 0, exec);
    }
  });
}

template <class T>
void select(const SelectArgs<T>& a, Exec& exec) {
  if (a.pairs.n == 0) return;
  const Current current(exec);
  SweepArgs<T> sweep(a.pairs, a.h, a.shift, a.eps);
  in_slices((a.pairs.n + kRowBlock - 1) / kRowBlock, work_of(a.pairs, 8), exec,
            [&](std::int64_t first, std::int64_t count) {
              sweep.first_block = first;
              by_dimension<4>(a.pairs, [&]<class Score>(Type<Score>) {
                constexpr int kBytes = Layout<T, Score, Select<T>>::kBytes;
                set_shared_bytes<T, Score, Select<T>>(kBytes);
                sweep_kernel<T, Score, Select<T>>
                    <<<static_cast<unsigned>(count), kThreads, kBytes, stream_of(exec)>>>(sweep, a);
              });
              check_launch("select");
            });
}
#define MONGE_INSTANTIATE(T)                         \
  template void top_k<T>(const TopKArgs<T>&, Exec&); \
  template void select<T>(const SelectArgs<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cuda
