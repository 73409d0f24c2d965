// Consumers that end with a few sums for each row: the sums of a thread stay in registers over at
// most 1024 columns, then meet those of the other threads in double, in an order set by shape.
#pragma once
#include "cuda/sum_rows.cuh"

namespace monge::cuda::verbs {
/// A sums a row. `Store` writes sum a of row i: store(i, a, value).
template <class G, int A>
class RowSums {
  using T = typename G::Value;
  static constexpr int kMost = 1024 / (G::kSteps * 4);  // column blocks between two flushes

 public:
  static constexpr int kSums = A;
  static constexpr int kSharedBytes = (kWarps + A) * kRowBlock * static_cast<int>(sizeof(double));

  T sum[G::kRows][A];

  __device__ RowSums(unsigned char* shared, const double* factors)
      : factors_(factors),
        warps_(reinterpret_cast<double*>(shared)),
        total_(warps_ + kWarps * kRowBlock) {
    for (int at = threadIdx.x; at < A * kRowBlock; at += kThreads) total_[at] = 0;
    clear();
  }

  __device__ void end_block() {
    if (++blocks_ == kMost) flush();
  }

  /// partial null: results are final.
  template <class Store>
  __device__ void finish(std::int64_t i0, std::int64_t n, double* partial, int part, int block,
                         int blocks, const Store& store) {
    flush();
    for (int at = threadIdx.x; at < A * kRowBlock; at += kThreads) {
      const int row = at / A, a = at % A;
      if (i0 + row >= n) continue;
      const double value = total_[a * kRowBlock + row] * factors_[row];
      if (partial)
        partial[(static_cast<std::int64_t>(part) * blocks + block) * kRowBlock * A + at] = value;
      else
        store(i0 + row, a, value);
    }
  }

 private:
  __device__ void clear() {
    blocks_ = 0;
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int a = 0; a < A; ++a) sum[r][a] = 0;
  }

  __device__ void flush() {
    __syncthreads();
#pragma unroll
    for (int a = 0; a < A; ++a) {
      double own[G::kRows];
#pragma unroll
      for (int r = 0; r < G::kRows; ++r) own[r] = sum[r][a];
      G::leave_row_sums(own, warps_);
      __syncthreads();
      if (threadIdx.x < kRowBlock) {
        double value = total_[a * kRowBlock + threadIdx.x];
        for (int w = 0; w < G::kRowParts; ++w) value += warps_[w * kRowBlock + threadIdx.x];
        total_[a * kRowBlock + threadIdx.x] = value;
      }
      __syncthreads();
    }
    clear();
  }

  const double* factors_;   // [kRowBlock]
  double *warps_, *total_;  // [kWarps, kRowBlock], [A, kRowBlock]
  int blocks_ = 0;
};

}  // namespace monge::cuda::verbs
