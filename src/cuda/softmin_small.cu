// softmin of squared distances between float points in up to four dimensions. The exponential unit
// (16 a clock) and the issue slots (128 a clock) bound it: every pair is one exponential and 6
// (product form) or 9 (direct differences) instructions in all; measured 10 and 13 clocks of a
// scheduler, as beside exponentials it issues about four instructions in five clocks.
#include "cuda/launch.cuh"
#include "cuda/softmin_sweep.cuh"

namespace monge::cuda {
namespace {
constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kRows = kRowBlock / kWarps;  // to a warp, in registers: a loaded column serves 8
constexpr int kChunk = 2 * kColumnBlock;   // columns in shared memory, and as many under way
constexpr int kResident = 3;               // thread blocks to a multiprocessor

// Columns as one 16-byte load: coordinates, and in .w (a second array where d = 4) what is left of
// the score, in units of the scale: h, for products h - |y|^2.
template <int D, bool PRODUCT>
struct SmallColumns {
  static constexpr int kThreads = kColumnBlock;
  SoftminArgs<float> args;
  std::int64_t padded;
  float4* points;
  float* rest;

  __device__ void operator()(Block at) const {
    await_previous();
    const std::int64_t j = static_cast<std::int64_t>(at.x) * kThreads + threadIdx.x;
    if (j >= padded) return;
    float y[4] = {0, 0, 0, 0};
    double score = -INFINITY;
    if (j < args.pairs.m) {
      const float* const from = coordinates(args.pairs.cols, j);
      score = args.h[j] / args.pairs.scale;
#pragma unroll
      for (int k = 0; k < D; ++k) {
        y[k] = from[k * kPanel];
        if (PRODUCT) score -= static_cast<double>(y[k]) * y[k];
      }
    }
    if (D == 4)
      rest[j] = static_cast<float>(score);
    else
      y[3] = static_cast<float>(score);
    points[j] = make_float4(y[0], y[1], y[2], y[3]);
  }
};

template <int D, bool PRODUCT, bool LARGEST>
struct SmallSums {
  static constexpr int kThreads = cuda::kThreads, kResident = cuda::kResident;
  Sweep<float> sweep;
  BlockList list;
  const float4* __restrict__ points;
  const float* __restrict__ rest;

  __device__ void operator()(Block at) const {
    __shared__ float4 columns[2][kChunk];
    __shared__ float scores[2][D == 4 ? kChunk : 1];
    await_previous();
    allow_next();
    const auto& p = sweep.args.pairs;
    const int part = at.y, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const std::int64_t i0 = static_cast<std::int64_t>(at.x) * kRowBlock + warp * kRows;
    const float k = sweep.k;
    float x[kRows][D], origin[kRows], value[kRows];
    double total[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t i = min(i0 + r, p.n - 1);
      const float* const from = coordinates(p.rows, i);
      double norm = 0;
#pragma unroll
      for (int c = 0; c < D; ++c) {
        x[r][c] = from[c * kPanel] * (PRODUCT ? 2.0f : 1.0f);
        norm += static_cast<double>(from[c * kPanel]) * from[c * kPanel];
      }
      double whole = LARGEST ? 0.0 : whole_shift<float>(sweep.args.shift, i, sweep.per_cost);
      if (PRODUCT) whole -= norm * static_cast<double>(k);
      origin[r] = static_cast<float>(whole);
      total[r] = LARGEST ? -INFINITY : 0;
      value[r] = LARGEST ? -INFINITY : 0;
    }

    ColumnWalk walk(p, list, at.x, sweep.parts, part);
    // The next chunk is on its way while one is summed.
    float4 next[2];
    float next_score[2];
    int next_count = 0;
    const auto fetch = [&] {
      next_count = 0;
#pragma unroll
      for (int b = 0; b < 2; ++b) {
        const int count = walk.count();
        if (threadIdx.x < count) {
          const std::int64_t j = walk.column(threadIdx.x);
          next[b] = points[j];
          if (D == 4) next_score[b] = rest[j];
        }
        next_count += count;
        walk.advance();
      }
    };
    fetch();
    int chunks = 0;
    while (next_count > 0) {
      const int count = next_count, buffer = chunks % 2;
      float4* const here = columns[buffer];
      float* const here_scores = scores[buffer];
#pragma unroll
      for (int b = 0; b < 2; ++b) {
        const int place = b * kColumnBlock + threadIdx.x;
        if (place >= count) break;
        here[place] = next[b];
        if (D == 4) here_scores[place] = next_score[b];
      }
      __syncthreads();
      fetch();
#pragma unroll 2
      for (int c = lane; c < count; c += 32) {
        const float4 y = here[c];
        const float yk[4] = {y.x, y.y, y.z, y.w};
        const float h = D == 4 ? here_scores[c] : y.w;
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          float score = h;
#pragma unroll
          for (int d = 0; d < D; ++d) {
            if constexpr (PRODUCT) {
              score = fmaf(x[r][d], yk[d], score);
            } else {
              const float difference = x[r][d] - yk[d];
              score = fmaf(-difference, difference, score);
            }
          }
          if constexpr (LARGEST)
            value[r] = fmaxf(value[r], score);
          else
            value[r] += exp2_fast(fmaf(score, k, origin[r]));
        }
      }
      ++chunks;
      // Conversions run on the exponential unit: at every eighth chunk, 128 terms of a lane.
      if (!LARGEST && (chunks % 8 == 0 || next_count == 0)) {
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          total[r] += static_cast<double>(value[r]);
          value[r] = 0;
        }
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      double result = LARGEST ? static_cast<double>(value[r]) : total[r];
      for (int step = 16; step > 0; step /= 2) {
        const double other = __shfl_xor_sync(0xffffffffu, result, step);
        result = LARGEST ? fmax(result, other) : result + other;
      }
      const std::int64_t i = i0 + r;
      if (lane != r || i >= p.n) continue;
      double norm = 0;
      if (PRODUCT) {
        const float* const from = coordinates(p.rows, i);
#pragma unroll
        for (int c = 0; c < D; ++c)
          norm += static_cast<double>(from[c * kPanel]) * from[c * kPanel];
      }
      if (LARGEST) {
        result = (result - norm) * p.scale;
      } else if (PRODUCT) {  // what rounding took from the origin
        const double whole = whole_shift<float>(sweep.args.shift, i, sweep.per_cost);
        result *= exp2(whole - norm * static_cast<double>(k) - static_cast<double>(origin[r]));
      }
      sweep.partial[part * p.n + i] = result;
    }
  }
};

template <int D, bool PRODUCT>
void launch_small(const Sweep<float>& sweep, bool largest, Exec& exec) {
  const auto& p = sweep.args.pairs;
  const std::int64_t padded = sweep.parts.column_blocks * kColumnBlock;
  auto* const points = reinterpret_cast<float4*>(sweep.packed);
  auto* const rest = reinterpret_cast<float*>(points + padded);
  launch(SmallColumns<D, PRODUCT>{sweep.args, padded, points, rest}, sweep.parts.column_blocks,
         exec);
  const dim3 grid(static_cast<unsigned>((p.n + kRowBlock - 1) / kRowBlock), sweep.parts.count);
  const BlockList list = p.list ? *p.list : BlockList{};
  largest ? launch(SmallSums<D, PRODUCT, true>{sweep, list, points, rest}, grid, exec)
          : launch(SmallSums<D, PRODUCT, false>{sweep, list, points, rest}, grid, exec);
}
}  // namespace

SweepPlan<float> small_sweep(const SoftminArgs<float>& args) {
  const auto& p = args.pairs;
  constexpr decltype(SweepPlan<float>::run) kRun[2][4] = {
      {launch_small<1, false>, launch_small<2, false>, launch_small<3, false>,
       launch_small<4, false>},
      {launch_small<1, true>, launch_small<2, true>, launch_small<3, true>, launch_small<4, true>}};
  SweepPlan<float> plan{.run = kRun[p.rows.norms != nullptr][p.rows.dim - 1],
                        .parts = Parts::by_shape(p.n, p.m, kRowBlock, 132 * kResident, 2, 0.5),
                        .in_units_of_scale = true};
  plan.packed_bytes = plan.parts.column_blocks * kColumnBlock *
                      static_cast<std::int64_t>(sizeof(float4) + sizeof(float));
  return plan;
}
}  // namespace monge::cuda
