// Products of doubles on tensor cores: tiles of 64 x 64, 4 x 4 to each of 256 threads. A warp has
// 32 rows and 16 columns; a square is row r of each of its threads against two columns of each.
#pragma once
#include <cuda_runtime.h>

namespace monge::cuda {
struct Squares {
  static constexpr int kWarpsAcross = 4;  // that share a row
  /// Of coordinates that follow each other, so that those of a warp meet few banks twice.
  static constexpr int kStride = 64 + 8;

  /// The thread's rows are 4 row_group() and the next three, its columns 4 group() and so on.
  __device__ static int row_group() { return threadIdx.x / 4 % 8 + threadIdx.x / 32 % 2 * 8; }
  __device__ static int group() { return threadIdx.x % 4 + threadIdx.x / 64 * 4; }

  /// The sum over the columns of a warp, in all of its threads of a row.
  __device__ static double add_columns(double value) {
    value += __shfl_xor_sync(~0u, value, 1);
    return value + __shfl_xor_sync(~0u, value, 2);
  }

  /// s += the products of coordinates [0, depth), x[k kStride + row] and y[k kStride + column]; up
  /// to the next multiple of 4 they are 0.
  __device__ static void multiply(const double* x, const double* y, int depth, double (&s)[4][4]) {
    const int lane = threadIdx.x % 32;
    x += lane % 4 * kStride + row_group() * 4;
    y += lane % 4 * kStride + (threadIdx.x / 64 * 16 + lane / 8 * 4 + lane / 4 % 2);
#pragma unroll 2
    for (int k = 0; k < depth; k += 4, x += 4 * kStride, y += 4 * kStride) {
      const double2 low = *reinterpret_cast<const double2*>(x),
                    high = *reinterpret_cast<const double2*>(x + 2);
      const double rows[] = {low.x, low.y, high.x, high.y}, columns[] = {y[0], y[2]};
#pragma unroll
      for (int r = 0; r < 4; ++r)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          add_product(rows[r], columns[half], s[r][2 * half], s[r][2 * half + 1]);
    }
  }

 private:
  /// c += a b of 8 x 4 by 4 x 8 doubles, every term rounded as by fma. Lane l has row l / 4 and
  /// column l % 4 of a, row l % 4 and column l / 4 of b, row l / 4 and two columns from 2 (l % 4)
  /// on of c.
  __device__ static void add_product(double a, double b, double& c0, double& c1) {
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+d"(c0), "+d"(c1)
        : "d"(a), "d"(b));
  }
};
}  // namespace monge::cuda
