#include "cuda/split.hpp"

#include <cuda_fp16.h>

#include "cuda/current.cuh"
#include "cuda/softmin_sweep.cuh"
#include "kernels/split.hpp"

namespace monge::cuda {
namespace {
constexpr int kThreads = 256, kLargestBlocks = 256;

struct Clear {
  static constexpr int kThreads = 1;
  SplitHeader* header;

  __device__ void operator()(Block) const {
    await_previous();
    allow_next();
    header->scale = 0;
  }
};

// Bits of floats >= 0 order like integers, so the largest may be found in any order.
struct Largest {
  static constexpr int kThreads = cuda::kThreads;
  const float* data;
  std::int64_t size, length, stride;  // rows of `length`, `stride` apart
  unsigned* largest;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    unsigned own = 0;
    for (std::int64_t t = static_cast<std::int64_t>(at.x) * kThreads + threadIdx.x; t < size;
         t += static_cast<std::int64_t>(at.width) * kThreads)
      own = max(own, __float_as_uint(fabsf(data[t / length * stride + t % length])));
    own = __reduce_max_sync(0xffffffffu, own);
    if (threadIdx.x % 32 == 0 && own > 0) atomicMax(largest, own);
  }
};

// The exponent of a scale; a header holds the largest coordinate's bits until it has one.
__device__ int exponent_for(float largest) {
  const int exponent = largest > 0 && isfinite(largest) ? ilogbf(largest) : 4;
  return min(max(4 - exponent, -100), 100);
}

struct Scale {
  static constexpr int kThreads = 1;
  SplitHeader* header;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    header->scale = ldexpf(1.0f, exponent_for(header->scale));
  }
};

// Such that moved_rows x cols and rows x moved_cols are scaled alike.
struct ScaleMoved {
  static constexpr int kThreads = 1;
  const SplitHeader *rows, *cols;
  SplitHeader *moved_rows, *moved_cols;  // null: none

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const int of_rows = ilogbf(rows->scale), of_cols = ilogbf(cols->scale);
    int both = 1000;
    if (moved_rows && moved_rows->scale > 0)
      both = min(both, exponent_for(moved_rows->scale) + of_cols);
    if (moved_cols && moved_cols->scale > 0)
      both = min(both, exponent_for(moved_cols->scale) + of_rows);
    if (both == 1000) both = of_rows;
    if (moved_rows) moved_rows->scale = ldexpf(1.0f, both - of_cols);
    if (moved_cols) moved_cols->scale = ldexpf(1.0f, both - of_rows);
  }
};

struct PanelPoints {
  kernels::Panels<float> points;
  __device__ float operator()(std::int64_t i, std::int64_t k) const {
    return i < points.count && k < points.dim ? coordinates(points, i)[k * kPanel] : 0.0f;
  }
};

// A thread takes one point of a tile and 8 coordinates: 16 bytes of hi, 16 of lo.
template <class Points>
struct Split {
  static constexpr int kThreads = cuda::kThreads;
  Points points;
  SplitLayout layout;
  std::byte* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t t = static_cast<std::int64_t>(at.x) * kThreads + threadIdx.x;
    const std::int64_t octets = 2 * layout.steps;
    const std::int64_t i = t % kTile, octet = t / kTile % octets, tile = t / kTile / octets;
    if (tile >= layout.tiles) return;
    const float scale = reinterpret_cast<const SplitHeader*>(out)->scale;
    const std::int64_t point = tile * kTile + i;
    __align__(16) __half hi[8];
    __align__(16) __half lo[8];
    for (int e = 0; e < 8; ++e) {
      const std::int64_t k = octet * 8 + e;
      const float x = points(point, k) * scale;
      hi[e] = __float2half_rn(x);
      lo[e] = __float2half_rn(x - __half2float(hi[e]));
    }
    const std::int64_t chunk = octet / (2 * kChunkSteps);
    const std::int64_t steps =
        min(static_cast<std::int64_t>(kChunkSteps), layout.steps - chunk * kChunkSteps);
    std::byte* const to = out + layout.tiles_at() + tile * layout.tile_bytes() +
                          chunk * 2 * kChunkSteps * kStepBytes +
                          (octet % (2 * kChunkSteps) * kTile + i) * 16;
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(hi);
    *reinterpret_cast<uint4*>(to + steps * kStepBytes) = *reinterpret_cast<const uint4*>(lo);
  }
};

struct Norms {
  static constexpr int kThreads = cuda::kThreads;
  kernels::Panels<float> points;
  std::int64_t padded;
  double* norms;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t i = static_cast<std::int64_t>(at.x) * kThreads + threadIdx.x;
    if (i >= padded) return;
    double sum = 0;
    if (i < points.count)
      for (int k = 0; k < points.dim; ++k) {
        const double x = coordinates(points, i)[k * kPanel];
        sum = fma(x, x, sum);
      }
    norms[i] = sum;
  }
};
}  // namespace

void split(const kernels::Panels<float>& points, void* out, Exec& exec) {
  if (points.count <= 0) return;
  const SplitLayout layout(points.count, points.dim);
  auto* const bytes = static_cast<std::byte*>(out);
  auto* const header = static_cast<SplitHeader*>(out);
  const auto blocks = [](std::int64_t threads) { return (threads + kThreads - 1) / kThreads; };
  const std::int64_t size = kernels::padded(points.count) * points.dim;
  launch(Clear{header}, 1, exec);
  launch(Largest{points.data, size, size, size, static_cast<unsigned*>(out)},
         std::min<std::int64_t>(kLargestBlocks, blocks(size)), exec);
  launch(Scale{header}, 1, exec);
  const std::int64_t padded = layout.tiles * kTile;
  launch(Split<PanelPoints>{{points}, layout, bytes}, blocks(padded * 2 * layout.steps), exec);
  launch(Norms{points, padded, reinterpret_cast<double*>(bytes + layout.norms_at())},
         blocks(padded), exec);
}

namespace {
struct RowPoints {
  MovedPoints points;
  __device__ float operator()(std::int64_t i, std::int64_t k) const {
    return i < points.count && k < points.dim ? points.data[i * points.stride + k] : 0.0f;
  }
};
}  // namespace

void split_moved(const MovedPoints& moved_rows, const MovedPoints& moved_cols,
                 const SplitHeader* rows, const SplitHeader* cols, Exec& exec) {
  const auto blocks = [](std::int64_t threads) { return (threads + kThreads - 1) / kThreads; };
  const auto header = [](const MovedPoints& points) {
    return points.data ? static_cast<SplitHeader*>(points.out) : nullptr;
  };
  for (const MovedPoints* points : {&moved_rows, &moved_cols}) {
    if (!points->data) continue;
    const std::int64_t size = points->count * points->dim;
    launch(Clear{header(*points)}, 1, exec);
    launch(Largest{points->data, size, points->dim, points->stride,
                   static_cast<unsigned*>(points->out)},
           std::min<std::int64_t>(kLargestBlocks, blocks(size)), exec);
  }
  launch(ScaleMoved{rows, cols, header(moved_rows), header(moved_cols)}, 1, exec);
  for (const MovedPoints* points : {&moved_rows, &moved_cols}) {
    if (!points->data) continue;
    const SplitLayout layout(points->count, points->dim);
    launch(Split<RowPoints>{{*points}, layout, static_cast<std::byte*>(points->out)},
           blocks(layout.tiles * kTile * 2 * layout.steps), exec);
  }
}
}  // namespace monge::cuda

namespace monge::kernels::cuda {
template <>
std::int64_t split_size<float>(const Panels<float>& points, Exec& exec) {
  const monge::cuda::Current current(exec);
  if (!monge::cuda::on_hopper()) return 0;
  return monge::cuda::SplitLayout(points.count, points.dim).bytes();
}
template <>
std::int64_t split_size<double>(const Panels<double>&, Exec&) {
  return 0;
}
template <>
void split<float>(const Panels<float>& points, void* out, Exec& exec) {
  const monge::cuda::Current current(exec);
  monge::cuda::split(points, out, exec);
}
template <>
void split<double>(const Panels<double>&, void*, Exec&) {}
}  // namespace monge::kernels::cuda
