// The second product, sum_j w_ij V_jk for many k: a step's weights and values meet in shared
// memory, where every thread owns 4 rows and 4 of kWide columns of the result.
#pragma once
#include "cuda/sum_rows.cuh"

namespace monge::cuda::verbs {
inline constexpr int kWide = 64;  // columns of the result at a time

/// V_jk from the caller's strides.
template <class T>
struct GivenValues {
  static constexpr bool kDifferences = false, kSlopes = false;
  const T* v;
  std::int64_t row, col;
  std::int64_t m;
  int k;  // columns that there are, from the current first

  /// Columns [j0, j0 + count) to to[k * stride + j - j0], asynchronously.
  __device__ void stage(const Pairs<T>&, std::int64_t j0, int count, T* to, int stride) const {
    const bool by_rows = col < row;  // memory order
    for (int u = threadIdx.x; u < kWide * count; u += kThreads) {
      const int c = by_rows ? u % kWide : u / count, t = by_rows ? u / kWide : u % count;
      const bool there = j0 + t < m && c < k;
      __pipeline_memcpy_async(to + c * stride + t, v + (there ? (j0 + t) * row + c * col : 0),
                              sizeof(T), there ? 0 : sizeof(T));
    }
  }
  __device__ T origin(const Pairs<T>&, std::int64_t, int) const { return 0; }
};

/// x_ik - y_jk for coordinates from k0 up.
template <class T>
struct Differences {
  static constexpr bool kDifferences = true, kSlopes = true;
  int k0;

  __device__ void stage(const Pairs<T>& p, std::int64_t j0, int count, T* to, int stride) const {
    stage_panels(p.cols, j0, count, k0, kWide, to, stride);
  }
  __device__ T origin(const Pairs<T>& p, std::int64_t i, int k) const {
    return p.form != Form::dot && i < p.n && k0 + k < p.rows.dim ? coordinate(p.rows, i, k0 + k)
                                                                 : T(0);
  }
};

template <class T, class Values>
class Products {
 public:
  using G = Tile<T>;

 private:
  static constexpr int kStride = G::kWidth + 4;    // of values: 16 bytes, for the banks
  static constexpr int kSteps = 1024 / G::kWidth;  // of sums in T

 public:
  struct Store {
    T* out;  // the first of the current columns
    std::int64_t stride;
    int k;
    double factor;
    __device__ void operator()(std::int64_t i, int k_, double value) const {
      if (k_ < k) out[i * stride + k_] = static_cast<T>(factor * value);
    }
  };
  struct Args {
    Values values;
    Store store;
    double* partial = nullptr;
  };
  static constexpr bool kRowFactors = true, kExact = false, kWeightings = !Values::kSlopes,
                        kSlopes = Values::kSlopes;
  static constexpr int kColumnValues = 0, kSums = kWide;
  static constexpr int kSharedBytes =
      (G::kWidth * kRowBlock + kWide * kStride) * static_cast<int>(sizeof(T));
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ Products(const Args& args, const Pairs<T>& p, std::int64_t i0, const double* factors,
                      unsigned char* shared)
      : args_(args),
        p_(p),
        i0_(i0),
        factors_(factors),
        w_(reinterpret_cast<T*>(shared)),
        v_(w_ + G::kWidth * kRowBlock),
        row_(threadIdx.x % 16 * 4),
        column_(threadIdx.x / 16 * 4) {
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        sum_[r][k] = 0, total_[r][k] = 0;
        origin_[r][k] = args.values.origin(p, i0 + row_ + r, column_ + k);
      }
  }

  __device__ void stage(std::int64_t, T*) const {}
  __device__ void begin_step(const Place& place) {
    args_.values.stage(p_, place.j0 + place.step * G::kWidth, G::kWidth, v_, kStride);
    __pipeline_commit();
  }

  template <class Score>
  __device__ void add(const Score&, const Place&, const T*, const T*, const T (&w)[G::kRows][4]) {
#pragma unroll
    for (int c = 0; c < 4; ++c)
#pragma unroll
      for (int q = 0; q < G::kRows; q += 4) {
        const T four[4] = {w[q][c], w[q + 1][c], w[q + 2][c], w[q + 3][c]};
        store4(w_ + (G::column() + c) * kRowBlock + G::row(q), four);
      }
  }

  __device__ void end_step(const Place&) {
    __pipeline_wait_prior(0);
    __syncthreads();
    const T* const v = v_ + column_ * kStride;
#pragma unroll 2
    for (int t = 0; t < G::kWidth; t += 4) {
      T w[4][4], vt[4][4];
#pragma unroll
      for (int k = 0; k < 4; ++k) load4(v + k * kStride + t, vt[k]);
#pragma unroll
      for (int c = 0; c < 4; ++c) load4(w_ + (t + c) * kRowBlock + row_, w[c]);
#pragma unroll
      for (int c = 0; c < 4; ++c)
#pragma unroll
        for (int r = 0; r < 4; ++r)
#pragma unroll
          for (int k = 0; k < 4; ++k) {
            const T value = Values::kDifferences ? origin_[r][k] - vt[k][c] : vt[k][c];
            sum_[r][k] = fma(w[c][r], value, sum_[r][k]);
          }
    }
    __syncthreads();
    if (++steps_ == kSteps) flush();
  }
  __device__ void end_block(std::int64_t, std::int64_t) {}

  __device__ void finish(int part, int block, int blocks) {
    flush();
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int row = row_ + r;
        if (i0_ + row >= p_.n) continue;
        const double value = total_[r][k] * factors_[row];
        if (args_.partial)
          args_.partial[((static_cast<std::int64_t>(part) * blocks + block) * kRowBlock + row) *
                            kWide +
                        column_ + k] = value;
        else
          args_.store(i0_ + row, column_ + k, value);
      }
  }

 private:
  __device__ void flush() {
    steps_ = 0;
#pragma unroll
    for (int r = 0; r < 4; ++r)
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        total_[r][k] += sum_[r][k];
        sum_[r][k] = 0;
      }
  }

  const Args& args_;
  const Pairs<T>& p_;
  std::int64_t i0_;
  const double* factors_;  // [kRowBlock]
  T *w_, *v_;              // [kWidth, kRowBlock], [kWide, kStride]
  int row_, column_, steps_ = 0;
  T sum_[4][4], origin_[4][4];
  double total_[4][4];
};
}  // namespace monge::cuda::verbs
