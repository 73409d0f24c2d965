// tangent with few coordinates, by direct differences: the sums of a row stay in registers.
#pragma once
#include "cuda/row_sums.cuh"
#include "kernels/tangent.hpp"

namespace monge::cuda::verbs {
/// One direction. LINEAR: of forms whose slope dc / d|x - y|^2 or dc / d(x.y) is constant.
template <class T, int D, bool LINEAR>
class TangentFew {
 public:
  using G = Tile<T, 4>;
  static constexpr int kSums = 2 + D;  // sum, costs, gradient
  struct Store {
    T *sum, *costs, *gradient;  // of the direction; null: not wanted
    std::int64_t count, stride;
    int dim;
    __device__ void operator()(std::int64_t i, int at, double value) const {
      if (at == 0 && sum) sum[i * count] = static_cast<T>(value);
      if (at == 1 && costs) costs[i * count] = static_cast<T>(value);
      if (at >= 2 && at < 2 + dim && gradient)
        gradient[i * stride + at - 2] = static_cast<T>(value);
    }
  };
  struct Args {
    const T *row, *col, *cost, *a, *b, *center;  // of the direction
    std::int64_t count, stride;
    T slope;
    bool curved;
    Store store;
    double* partial = nullptr;
  };
  static constexpr bool kRowFactors = true, kExact = false, kWeightings = false, kSlopes = false;
  static constexpr int kColumnValues = 1 + D;
  static constexpr int kSharedBytes = RowSums<G, kSums>::kSharedBytes;
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ TangentFew(const Args& args, const Pairs<T>& p, std::int64_t i0, const double* factors,
                        unsigned char* shared)
      : args_(args),
        p_(p),
        i0_(i0),
        dot_(p.form == Form::dot),
        of_cost_(args.cost ? *args.cost : T(0)),
        rows_(shared, factors) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r) {
      const std::int64_t i = i0 + G::row(r);
      const bool there = i < p.n;
      row_[r] = there && args.row ? args.row[i * args.count] : T(0);
#pragma unroll
      for (int k = 0; k < D; ++k) {
        const bool known = there && k < p.rows.dim;
        a_[r][k] = known && args.a ? args.a[i * args.stride + k] : T(0);
        center_[r][k] = known && args.center ? args.center[i * p.rows.dim + k] : T(0);
      }
    }
  }

  __device__ void stage(std::int64_t j0, T* to) const {
    const std::int64_t j = j0 + threadIdx.x;
    const auto put = [&](int value, const T* from, bool there) {
      __pipeline_memcpy_async(to + value * kColumnBlock + threadIdx.x, there ? from : p_.cols.data,
                              sizeof(T), there ? 0 : sizeof(T));
    };
    put(0, args_.col + j * args_.count, args_.col && j < p_.m);
#pragma unroll
    for (int k = 0; k < D; ++k)
      put(1 + k, args_.b + j * args_.stride + k, args_.b && j < p_.m && k < p_.rows.dim);
  }

  __device__ void begin_step(const Place&) {}
  template <class Score>
  __device__ void add(const Score& score, const Place& place, const T* coordinates, const T* values,
                      const T (&w)[G::kRows][4]) {
    T y[D][4], col[4], b[D][4];
    score.load_columns(place, coordinates, y);
    const T* const staged = values + place.step * G::kWidth + G::column();
    load4(staged, col);
#pragma unroll
    for (int k = 0; k < D; ++k) load4(staged + (1 + k) * kColumnBlock, b[k]);
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        T u[D], moved[D], along = 0, square = 0;
#pragma unroll
        for (int k = 0; k < D; ++k) {
          const T x = score.x(r, k);
          if (dot_) {  // square is x.y
            u[k] = y[k][c];
            moved[k] = b[k][c];
            along = fma(a_[r][k], u[k], fma(x, b[k][c], along));
            square = fma(x, u[k], square);
          } else {
            u[k] = x - y[k][c];
            moved[k] = a_[r][k] - b[k][c];
            along = fma(u[k], moved[k], along);
            square = fma(u[k], u[k], square);
          }
        }
        const T slope = slope_at(square), weight = w[r][c];
        T t = fma(-args_.slope, slope * along, row_[r] + col[c]);
        if (args_.cost || args_.store.costs) {
          const T cost = cost_at(square);
          t = fma(of_cost_, cost, t);
          rows_.sum[r][1] = fma(weight * t, cost, rows_.sum[r][1]);
        }
        const T moving = weight * t;
        rows_.sum[r][0] += moving;
        const T curved = args_.curved ? weight * slope : T(0);
        T twisted = 0;
        if constexpr (!LINEAR)
          if (square > 0) twisted = bend() * curved * along / square;
#pragma unroll
        for (int k = 0; k < D; ++k) {
          T value = fma(slope, u[k], -center_[r][k]);
          value = fma(moving, value, curved * moved[k]);
          if constexpr (!LINEAR) value = fma(twisted, u[k], value);
          rows_.sum[r][2 + k] += value;
        }
      }
  }
  __device__ void end_step(const Place&) {}
  __device__ void end_block(std::int64_t, std::int64_t) { rows_.end_block(); }
  __device__ void finish(int part, int block, int blocks) {
    rows_.finish(i0_, p_.n, args_.partial, part, block, blocks, args_.store);
  }

 private:
  /// dc/dx = slope u.
  __device__ T slope_at(T square) const {
    if (LINEAR) return dot_ ? -p_.scale : 2 * p_.scale;
    if (!(square > 0)) return 0;
    if (p_.form == Form::distance) return p_.scale / sqrt(square);
    return p_.scale * p_.power * pow_positive(square, p_.power / 2 - 1);
  }
  __device__ T bend() const { return p_.form == Form::distance ? T(-1) : p_.power - 2; }
  __device__ T cost_at(T square) const {
    if (LINEAR) return dot_ ? -p_.scale * square : p_.scale * square;
    if (p_.form == Form::distance) return p_.scale * sqrt(square);
    return p_.scale * pow_positive(square, p_.power / 2);
  }

  const Args& args_;
  const Pairs<T>& p_;
  std::int64_t i0_;
  bool dot_;
  T of_cost_, row_[G::kRows], a_[G::kRows][D], center_[G::kRows][D];
  RowSums<G, kSums> rows_;
};
}  // namespace monge::cuda::verbs
