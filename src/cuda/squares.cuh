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
  /// to the next multiple of kDepth they are 0.
  static constexpr int kDepth = 8;
  __device__ static void multiply(const double* x, const double* y, int depth, double (&s)[4][4]) {
    const int lane = threadIdx.x % 32;
    x += lane % 4 * kStride + row_group() * 4;
    y += lane % 4 * kStride + (threadIdx.x / 64 * 16 + lane / 8 * 4 + lane / 4 % 2);
    for (int k = 0; k < depth; k += kDepth, x += kDepth * kStride, y += kDepth * kStride) {
      double rows[2][4], columns[2][2];
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        const double* const from = x + part * 4 * kStride;
        const double2 low = *reinterpret_cast<const double2*>(from),
                      high = *reinterpret_cast<const double2*>(from + 2);
        rows[part][0] = low.x, rows[part][1] = low.y, rows[part][2] = high.x;
        rows[part][3] = high.y;
        columns[part][0] = y[part * 4 * kStride], columns[part][1] = y[part * 4 * kStride + 2];
      }
#pragma unroll
      for (int r = 0; r < 4; r += 2)
#pragma unroll
        for (int c = 0; c < 2; ++c)
          add_products({rows[0][r], rows[0][r + 1], rows[1][r], rows[1][r + 1]},
                       {columns[0][c], columns[1][c]}, s[r][2 * c], s[r][2 * c + 1],
                       s[r + 1][2 * c], s[r + 1][2 * c + 1]);
    }
  }

 private:
  struct Rows {
    double first, second, first_later, second_later;
  };
  struct Columns {
    double now, later;
  };
  /// c += a b of two times 8 x 8 by 8 x 8 doubles, every term rounded as by fma. Lane l has row l /
  /// 4 and columns l % 4 and 4 later of either a, rows l % 4 and 4 later and column l / 4 of b, row
  /// l / 4 and two columns from 2 (l % 4) on of either c.
  __device__ static void add_products(const Rows& a, const Columns& b, double& c0, double& c1,
                                      double& c2, double& c3) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+d"(c0), "+d"(c1), "+d"(c2), "+d"(c3)
        : "d"(a.first), "d"(a.second), "d"(a.first_later), "d"(a.second_later), "d"(b.now),
          "d"(b.later));
#else
    add_product(a.first, b.now, c0, c1);
    add_product(a.second, b.now, c2, c3);
    add_product(a.first_later, b.later, c0, c1);
    add_product(a.second_later, b.later, c2, c3);
#endif
  }
  __device__ static void add_product(double a, double b, double& c0, double& c1) {
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+d"(c0), "+d"(c1)
        : "d"(a), "d"(b));
  }
};
}  // namespace monge::cuda
