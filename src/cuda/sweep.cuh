// The sweep that all verbs but softmin share: a thread block takes the rows of a row block through
// a part of their column blocks, computes weights step by step and hands them to a consumer.
//
// A consumer says
//   G                         its Tile
//   Args                      what it needs, passed to the kernel by value
//   kExact                    exponentials as exp2_scaled of the CPU makes them
//   kWeightings               whether other weightings than `plain` occur
//   kSlopes                   whether weights are to be multiplied by |dc/dx| / |x - y| where that
//                             depends on the pair
//   kRowFactors               whether it takes weights up to the factors of rows that it is given
//   kColumnValues             values staged for each column of a block, by stage()
//   kSharedBytes              of its own
//   kResident                 thread blocks that a multiprocessor should hold
// and, made of (Args, pairs, first row, factors of the rows, shared memory),
//   begin_step(), add(), end_step(), end_block(), finish()
#pragma once
#include <algorithm>

#include "cuda/launch.cuh"
#include "cuda/scores.cuh"
#include "kernels/apply.hpp"

namespace monge::cuda::verbs {
using kernels::Weighting;

template <class T>
struct SweepArgs {
  Pairs<T> pairs;    // its list is a flag here
  BlockList list{};  // on the device
  const T* h;
  const T* shift;
  double eps;
  Weighting weighting = Weighting::plain;
  std::int64_t first_block = 0;          // row block of thread block 0
  int parts = 1;                         // of the columns
  const std::int64_t* row_of = nullptr;  // matrix row of row i, where they differ

  SweepArgs(const Pairs<T>& pairs, const T* h, const T* shift, double eps)
      : pairs(pairs), h(h), shift(shift), eps(eps) {
    if (pairs.list) list = *pairs.list;
  }
};

/// The column blocks of one row block, or a part of them.
struct Columns {
  const std::int32_t* blocks;
  std::int64_t first, last;

  template <class T>
  __device__ Columns(const SweepArgs<T>& a, std::int64_t row_block, int part) {
    const bool listed = a.pairs.list != nullptr;
    blocks = listed ? a.list.blocks : nullptr;
    const std::int64_t all = (a.pairs.m + kColumnBlock - 1) / kColumnBlock;
    const std::int64_t begin = listed ? a.list.offsets[row_block] : 0;
    const std::int64_t count = listed ? a.list.offsets[row_block + 1] - begin : all;
    first = begin + count * part / a.parts;
    last = begin + count * (part + 1) / a.parts;
  }
  __device__ std::int64_t j0(std::int64_t entry) const {
    return entry < last ? (blocks ? blocks[entry] : entry) * std::int64_t{kColumnBlock} : -1;
  }
};

/// Costs in place of what a Score filled in.
template <bool Exact, class G, class T>
__device__ void to_costs(const Pairs<T>& p, const T* row_norms, const T (&norms)[4],
                         T (&s)[G::kRows][4]) {
  const auto each = [&](const auto& cost) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) s[r][c] = cost(s[r][c]);
  };
  switch (p.form) {
    case Form::matrix:
      return;
    case Form::dot:
      return each([&](T dot) { return -(p.scale * dot); });
    case Form::squared:
      if (!p.rows.norms) return each([&](T squared) { return p.scale * squared; });
#pragma unroll
      for (int r = 0; r < G::kRows; ++r) {
        const T x = row_norms[G::row(r)];
#pragma unroll
        for (int c = 0; c < 4; ++c) s[r][c] = p.scale * fma(T(-2), s[r][c], x + norms[c]);
      }
      return;
    case Form::distance:
      return each([&](T squared) { return p.scale * root<Exact>(squared); });
    case Form::power:
      return each([&](T squared) { return p.scale * pow_positive(squared, p.power / 2); });
  }
}

/// Shared memory of a sweep: two buffers of staged columns, rows, the score's, the consumer's.
template <class T, class Score, class Consumer>
struct Layout {
  static constexpr int kBuffer = (2 + Score::kColumnValues + Consumer::kColumnValues) *
                                 kColumnBlock;    // h, norms, coordinates, the consumer's
  static constexpr int kRowData = 2 * kRowBlock;  // shifts and norms
  static constexpr int kBytes =
      (2 * kBuffer + kRowData + Score::kSharedValues) * static_cast<int>(sizeof(T)) +
      kRowBlock * static_cast<int>(sizeof(double)) + Consumer::kSharedBytes;
};

/// The thread's rows of an array of the tile's.
template <class G, class T>
__device__ void load_rows(const T* rows, T (&to)[G::kRows]) {
#pragma unroll
  for (int q = 0; q < G::kRows; q += 4) {
    T four[4];
    load4(rows + G::row(q), four);
#pragma unroll
    for (int r = 0; r < 4; ++r) to[q + r] = four[r];
  }
}

/// w = f(w, shift of the row, column of the step) for the entries of a thread.
template <class G, class T, class F>
__device__ void for_each(const T* row_shift, T (&w)[G::kRows][4], const F& f) {
  T shift[G::kRows];
  load_rows<G>(row_shift, shift);
#pragma unroll
  for (int r = 0; r < G::kRows; ++r)
#pragma unroll
    for (int c = 0; c < 4; ++c) w[r][c] = f(w[r][c], shift[r], c);
}

template <class T, class Score, class Consumer>
__global__ void __launch_bounds__(kThreads, Consumer::kResident)
    sweep_kernel(const SweepArgs<T> a, const typename Consumer::Args consumer_args) {
  using G = typename Consumer::G;
  using L = Layout<T, Score, Consumer>;
  extern __shared__ __align__(16) unsigned char memory[];
  T* const buffers = reinterpret_cast<T*>(memory);
  T* const row_shift = buffers + 2 * L::kBuffer;
  T* const row_norms = row_shift + kRowBlock;
  double* const row_factors = reinterpret_cast<double*>(row_norms + kRowBlock);
  T* const score_memory = reinterpret_cast<T*>(row_factors + kRowBlock);

  const auto& p = a.pairs;
  const std::int64_t row_block = a.first_block + blockIdx.x, i0 = row_block * kRowBlock;
  const Columns columns(a, row_block, blockIdx.y);
  // With squared distances z = h - |x - y|^2 is measured in units of the scale.
  const bool in_scale = !Consumer::kExact && sizeof(T) == 4 && Score::kFew &&
                        p.form == Form::squared && !p.rows.norms && a.weighting != Weighting::cost;
  const T unit = in_scale ? p.scale : T(1), per_unit = 1 / unit;
  const Exponential<T, Consumer::kExact> exponential(a.eps, unit);
  // For sums of a row 2^(z k + N) will do, N whole and near shift k: one operation less a pair, and
  // the rest of the shift is a factor of the row.
  constexpr bool kFactored = Consumer::kRowFactors && sizeof(T) == 4;
  if (threadIdx.x < kRowBlock) {
    const std::int64_t i = i0 + threadIdx.x;
    T shift = i < p.n ? a.shift[i] : infinity<T>();
    double factor = 1;
    if (!isfinite(shift)) {
      shift = -infinity<T>();
    } else if constexpr (kFactored) {
      const double exact = static_cast<double>(shift) * per_unit * exponential.k();
      shift = static_cast<T>(rint(exact));
      factor = exp2(exact - static_cast<double>(shift));
      if (a.weighting == Weighting::squared) factor *= factor;
    } else {
      shift *= per_unit;
    }
    row_shift[threadIdx.x] = shift;
    row_norms[threadIdx.x] = i < p.n && p.rows.norms ? p.rows.norms[i] : T(0);
    row_factors[threadIdx.x] = factor;
  }
  const auto weigh = [&](T z, T shift) {
    if constexpr (kFactored) return exp2_fast(fma(z, exponential.k(), shift));
    return exponential(z + shift);
  };

  Score score(p, i0, a.row_of, score_memory);
  Consumer consumer(consumer_args, p, i0, row_factors,
                    reinterpret_cast<unsigned char*>(score_memory + Score::kSharedValues));
  const auto stage = [&](std::int64_t j0, T* to) {
    stage_row(a.h, j0, p.m, -infinity<T>(), to);
    if (p.rows.norms) stage_row(p.cols.norms, j0, p.m, T(0), to + kColumnBlock);
    score.stage(p, j0, to + 2 * kColumnBlock);
    consumer.stage(j0, to + (2 + Score::kColumnValues) * kColumnBlock);
  };
  int current = 0;
  if (columns.first < columns.last) {
    stage(columns.j0(columns.first), buffers);
    if constexpr (Score::kStreams) score.start(p, columns.j0(columns.first));
  }
  __pipeline_commit();
  for (std::int64_t entry = columns.first; entry < columns.last; ++entry) {
    Place place{columns.j0(entry), 0, columns.j0(entry + 1)};
    const T* const staged = buffers + current * L::kBuffer;
    const T* const coordinates = staged + 2 * kColumnBlock;
    const T* const values = coordinates + Score::kColumnValues * kColumnBlock;
    current ^= 1;
    // A streaming score commits and waits itself, at least twice a column block.
    if (place.next_j0 >= 0) stage(place.next_j0, buffers + current * L::kBuffer);
    if constexpr (!Score::kStreams) {
      __pipeline_commit();
      __pipeline_wait_prior(1);
      __syncthreads();
    }
    for (; place.step < G::kSteps; ++place.step) {
      consumer.begin_step(place);
      T w[G::kRows][4], h[4];
      const int t = place.step * G::kWidth + G::column();
      bool weighed = in_scale;
      if (in_scale) {
        if constexpr (Score::kFew) {
          load4(staged + t, h);
#pragma unroll
          for (int c = 0; c < 4; ++c) h[c] *= per_unit;
          T shift[G::kRows];
          load_rows<G>(row_shift, shift);
          score.fill_weights(place, coordinates, h, w,
                             [&](T z, int r) { return weigh(z, shift[r]); });
        }
      } else {
        score.fill(p, place, coordinates, w);
        T norms[4];
        load4(staged + t, h);  // after fill: a streaming score waits for it
        load4(staged + kColumnBlock + t, norms);
        // h - c first: the shift restores what is small exactly where the weight matters.
        if constexpr (Consumer::kSlopes) {
          weighed = has_slopes(p);
          if (p.form == Form::distance)
            for_each<G>(row_shift, w, [&](T squared, T shift, int c) {
              const T weight = weigh(h[c] - p.scale * root<false>(squared), shift);
              return weight > 0 && squared > 0 ? weight * (p.scale * rsqrt(squared)) : T(0);
            });
          if (p.form == Form::power)
            for_each<G>(row_shift, w, [&](T squared, T shift, int c) {
              const T cost = p.scale * pow_positive(squared, p.power / 2);
              const T weight = weigh(h[c] - cost, shift);
              const T slope = p.scale * p.power * pow_positive(squared, p.power / 2 - 1);
              return weight > 0 ? weight * slope : T(0);
            });
        }
        if (!weighed) to_costs<Consumer::kExact, G>(p, row_norms, norms, w);
        if constexpr (Consumer::kWeightings) {
          weighed = a.weighting == Weighting::cost;
          if (weighed)
            for_each<G>(row_shift, w, [&](T cost, T shift, int c) {
              const T weight = weigh(h[c] - cost, shift);
              return weight > 0 ? weight * cost : T(0);
            });
        }
        if (!weighed) for_each<G>(row_shift, w, [&](T cost, T, int c) { return h[c] - cost; });
      }
      if (!weighed) for_each<G>(row_shift, w, [&](T z, T shift, int) { return weigh(z, shift); });
      if constexpr (Consumer::kWeightings)
        if (a.weighting == Weighting::squared)
          for_each<G>(row_shift, w, [](T weight, T, int) { return weight * weight; });
      consumer.add(score, place, coordinates, values, w);
      consumer.end_step(place);
    }
    consumer.end_block(entry, place.j0);
    __syncthreads();
  }
  __pipeline_wait_prior(0);
  __syncthreads();
  consumer.finish(blockIdx.y, blockIdx.x, gridDim.x);
}
}  // namespace monge::cuda::verbs
