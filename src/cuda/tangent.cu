// tangent: points of few coordinates, and products on tensor cores, each have their own sweeps.
// What is left has one warp a row and direction: of 32 columns at a time every lane makes t of one;
// sums in few coordinates stay with the lane's columns, of many with its coordinates.
#include "kernels/tangent.hpp"

#include "cuda/current.cuh"
#include "cuda/dispatch.cuh"
#include "cuda/slices.cuh"
#include "cuda/sum_rows.cuh"
#include "cuda/tangent_few.cuh"
#include "cuda/tensor_sums.cuh"
#include "cuda/tensor_tangent.hpp"

namespace monge::kernels::cuda {
using namespace monge::cuda;         // NOLINT(google-build-using-namespace): the backend's own
using namespace monge::cuda::verbs;  // NOLINT(google-build-using-namespace)

namespace {
constexpr int kFew = 4;    // coordinates that a lane sums in registers
constexpr int kChunk = 4;  // coordinates of a lane where they are many: 32 apart

/// What a pair gives: its weight times t, the slope of the cost, and what its second derivative
/// takes.
template <class T>
struct TangentPair {
  T wt = 0, r = 0, wr = 0, twisted = 0, cost = 0;
};

template <class T>
class TangentRow {
 public:
  __device__ TangentRow(const TangentArgs<T>& a, std::int64_t i, int direction)
      : a_(a), exponential_(a.eps, T(1)), i_(i), direction_(direction), dim_(a.pairs.rows.dim) {
    const std::int64_t ir = i * a.count + direction;
    row_ = a.row ? a.row[ir] : T(0);
    cost_ = a.cost ? a.cost[direction] : T(0);
    own_ = a.a ? a.a + ir * dim_ : nullptr;
    p_ = a.p ? a.p + (a.p_each ? ir : i) * a.width : nullptr;
    shift_ = a.shift[i];
  }

  __device__ bool counts() const { return isfinite(shift_); }
  __device__ bool is_dot() const { return a_.pairs.form == Form::dot; }
  __device__ T x(int k) const { return coordinate(a_.pairs.rows, i_, k); }
  __device__ T y(std::int64_t j, int k) const { return coordinate(a_.pairs.cols, j, k); }
  /// dc/dx = r u.
  __device__ T u(std::int64_t j, int k) const { return is_dot() ? y(j, k) : x(k) - y(j, k); }
  __device__ T own(int k) const { return own_ ? own_[k] : T(0); }
  __device__ T opposite(std::int64_t j, int k) const {
    return a_.b ? a_.b[(j * a_.count + direction_) * dim_ + k] : T(0);
  }
  __device__ T moved(std::int64_t j, int k) const {
    return is_dot() ? opposite(j, k) : own(k) - opposite(j, k);
  }
  __device__ const T* q(std::int64_t j) const {
    return a_.q + (a_.q_each ? j * a_.count + direction_ : j) * a_.width;
  }

  __device__ TangentPair<T> operator()(std::int64_t j) const {
    const auto& p = a_.pairs;
    TangentPair<T> out;
    if (j >= p.m || isinf(a_.h[j])) return out;
    const T cost = pair_cost(p, i_, j);
    const T w = exponential_(a_.h[j] - cost + shift_);
    if (!(w > 0)) return out;
    T along = 0, square = 0;
    for (int k = 0; k < dim_; ++k) {
      const T difference = u(j, k);
      if (a_.a || a_.b) {
        if (is_dot())
          along = fma(own(k), difference, fma(x(k), opposite(j, k), along));
        else
          along = fma(difference, own(k) - opposite(j, k), along);
      }
      square = fma(difference, difference, square);
    }
    out.r = slope(square);
    T t = row_;
    if (a_.col) t += a_.col[j * a_.count + direction_];
    if (cost_ != 0) t = fma(cost_, cost, t);
    t = fma(-a_.slope, out.r * along, t);
    if (p_) {
      const T* const other = q(j);
      for (int k = 0; k < a_.width; ++k) t = fma(p_[k], other[k], t);
    }
    out.wt = w * t;
    out.cost = cost;
    out.wr = w * out.r;
    if (square > 0) out.twisted = bend() * out.wr * along / square;
    return out;
  }

 private:
  __device__ T slope(T square) const {
    const auto& p = a_.pairs;
    switch (p.form) {
      case Form::matrix:
        return 0;
      case Form::dot:
        return -p.scale;
      case Form::squared:
        return 2 * p.scale;
      case Form::distance:
        return square > 0 ? p.scale / sqrt(square) : T(0);
      case Form::power:
        return square > 0 ? p.scale * p.power * pow_positive(square, p.power / 2 - 1) : T(0);
    }
    return 0;
  }
  __device__ T bend() const {
    const auto& p = a_.pairs;
    return p.form == Form::distance ? T(-1) : p.form == Form::power ? p.power - 2 : T(0);
  }

  const TangentArgs<T>& a_;
  Exponential<T, true> exponential_;
  std::int64_t i_;
  int direction_, dim_;
  T row_, cost_, shift_;
  const T *own_, *p_;
};

__device__ double sum_of_lanes(double value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(~0u, value, step);
  return value;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    tangent_kernel(const SweepArgs<T> sweep, const TangentArgs<T> a, std::int64_t first,
                   std::int64_t last) {
  __shared__ TangentPair<T> pairs[kWarps][32];
  const std::int64_t at = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) / 32;
  const std::int64_t i = first + at / a.count;
  if (i >= last) return;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int direction = static_cast<int>(at % a.count), dim = a.pairs.rows.dim;
  const std::int64_t ir = i * a.count + direction;
  const TangentRow<T> row(a, i, direction);
  const Columns columns(sweep, i / kRowBlock, 0);
  // pair(j, at(j)) for the lane's columns; group(j0) after each 32 of them.
  const auto visit = [&](const auto& pair, const auto& group) {
    if (!row.counts()) return;
    for (std::int64_t entry = columns.first; entry < columns.last; ++entry)
      for (int t = 0; t < kColumnBlock; t += 32) {
        const std::int64_t j0 = columns.j0(entry) + t;
        if (j0 >= a.pairs.m) break;
        pair(j0 + lane, row(j0 + lane));
        group(j0);
      }
  };
  const auto nothing = [](std::int64_t) {};

  double sum = 0, costs = 0, few[kFew] = {};
  const bool small = a.gradient && dim <= kFew;
  visit(
      [&](std::int64_t j, const TangentPair<T>& pair) {
        sum += pair.wt;
        costs += static_cast<double>(pair.wt) * pair.cost;
        if (!small || pair.wr == 0) return;
#pragma unroll
        for (int k = 0; k < kFew; ++k) {
          if (k >= dim) break;
          const T u = row.u(j, k), center = a.center ? a.center[i * dim + k] : T(0);
          T value = pair.wt * (pair.r * u - center);
          if (a.curved) value += pair.wr * row.moved(j, k) + pair.twisted * u;
          few[k] += value;
        }
      },
      nothing);
  sum = sum_of_lanes(sum);
  costs = sum_of_lanes(costs);
  if (lane == 0 && a.sum) a.sum[ir] = static_cast<T>(sum);
  if (lane == 0 && a.costs) a.costs[ir] = static_cast<T>(costs);
#pragma unroll
  for (int k = 0; k < kFew; ++k)
    if (small && k < dim) {
      const double value = sum_of_lanes(few[k]);
      if (lane == 0) a.gradient[ir * dim + k] = static_cast<T>(value);
    }

  // Sums by coordinates: the pairs of 32 columns meet in shared memory.
  const auto by_coordinates = [&](int length, const auto& term, T* out) {
    for (int k0 = 0; k0 < length; k0 += 32 * kChunk) {
      double sums[kChunk] = {};
      visit([&](std::int64_t, const TangentPair<T>& pair) { pairs[warp][lane] = pair; },
            [&](std::int64_t j0) {
              __syncwarp();
              const int count = static_cast<int>(min(a.pairs.m - j0, std::int64_t{32}));
              for (int c = 0; c < count; ++c) {
                const TangentPair<T>& pair = pairs[warp][c];
                if (pair.wt == 0 && pair.wr == 0) continue;
#pragma unroll
                for (int s = 0; s < kChunk; ++s) {
                  const int k = k0 + 32 * s + lane;
                  if (k < length) sums[s] += term(pair, j0 + c, k);
                }
              }
              __syncwarp();
            });
#pragma unroll
      for (int s = 0; s < kChunk; ++s) {
        const int k = k0 + 32 * s + lane;
        if (k < length) out[ir * length + k] = static_cast<T>(sums[s]);
      }
    }
  };
  if (a.gradient && !small)
    by_coordinates(
        dim,
        [&](const TangentPair<T>& pair, std::int64_t j, int k) {
          const T u = row.u(j, k), center = a.center ? a.center[i * dim + k] : T(0);
          T value = pair.wt * (pair.r * u - center);
          if (a.curved) value += pair.wr * row.moved(j, k) + pair.twisted * u;
          return value;
        },
        a.gradient);
  if (a.mean)
    by_coordinates(
        a.width,
        [&](const TangentPair<T>& pair, std::int64_t j, int k) { return pair.wt * row.q(j)[k]; },
        a.mean);
}

template <int D, bool LINEAR, class T>
void tangent_few(const TangentArgs<T>& a, Exec& exec) {
  using Consumer = TangentFew<T, D, LINEAR>;
  const int dim = a.pairs.rows.dim;
  const std::int64_t stride = std::int64_t{a.count} * dim;
  for (int r = 0; r < a.count; ++r) {
    const auto of = [&](auto* all, int each) { return all ? all + r * each : all; };
    sum_rows<FewCoordinates<T, D, 4>, Consumer>(
        SweepArgs<T>(a.pairs, a.h, a.shift, a.eps),
        {of(a.row, 1),
         of(a.col, 1),
         of(a.cost, 1),
         of(a.a, dim),
         of(a.b, dim),
         a.center,
         a.count,
         stride,
         a.slope,
         a.curved,
         {of(a.sum, 1), of(a.costs, 1), of(a.gradient, dim), a.count, stride, dim}},
        exec);
  }
}
template <int D, class T>
void tangent_few(const TangentArgs<T>& a, Exec& exec) {
  has_slopes(a.pairs) ? tangent_few<D, false>(a, exec) : tangent_few<D, true>(a, exec);
}
}  // namespace

template <class T>
void tangent(const TangentArgs<T>& a, Exec& exec) {
  if (a.pairs.n == 0) return;
  const Current current(exec);
  const bool simple = !a.p && !a.mean;
  if constexpr (sizeof(T) == 4)
    if (simple && on_tensor_cores(a.pairs)) return tensor_tangent(a, exec);
  if (simple && a.pairs.form != Form::matrix && a.pairs.rows.dim <= 4)
    return a.pairs.rows.dim <= 2   ? tangent_few<2>(a, exec)
           : a.pairs.rows.dim == 3 ? tangent_few<3>(a, exec)
                                   : tangent_few<4>(a, exec);
  const SweepArgs<T> sweep(a.pairs, a.h, a.shift, a.eps);
  const int dim = std::max(1, a.pairs.rows.dim);
  in_slices((a.pairs.n + kRowBlock - 1) / kRowBlock, work_of(a.pairs, 8 * a.count * dim), exec,
            [&](std::int64_t first, std::int64_t count) {
              const std::int64_t i0 = first * kRowBlock;
              const std::int64_t rows = std::min(count * kRowBlock, a.pairs.n - i0);
              const std::int64_t warps = rows * a.count;
              const auto blocks = static_cast<unsigned>((warps + kWarps - 1) / kWarps);
              tangent_kernel<<<blocks, kThreads, 0, stream_of(exec)>>>(sweep, a, i0, i0 + rows);
              check_launch("tangent");
            });
}
template void tangent<float>(const TangentArgs<float>&, Exec&);
template void tangent<double>(const TangentArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
