// moments of values with few coordinates: mass, first and second moments of a row in registers.
#pragma once
#include "cuda/row_sums.cuh"
#include "kernels/moments.hpp"

namespace monge::cuda::verbs {
/// Z >= values.dim; the coordinates that lack are 0.
template <class T, int Z>
class MomentsFew {
 public:
  using G = Tile<T, 4>;  // twice the rows would leave room for half the threads
  static constexpr int kSums = 1 + Z + Z * (Z + 1) / 2;  // mass, first, second (upper triangle)
  struct Store {
    T *mass, *first, *second;
    int dim;
    __device__ void operator()(std::int64_t i, int a, double value) const {
      const T rounded = static_cast<T>(value);
      if (a == 0) mass[i] = rounded;
      if (a >= 1 && a <= dim) first[i * dim + a - 1] = rounded;
      int k = 0, l = a - 1 - Z;
      for (; l >= Z - k && k < Z; ++k) l -= Z - k;
      l += k;
      if (a <= Z || l >= dim) return;
      second[(i * dim + k) * dim + l] = rounded;
      second[(i * dim + l) * dim + k] = rounded;
    }
  };
  struct Args {
    Panels<T> values;
    const T* center;
    Store store;
    double* partial = nullptr;
  };
  static constexpr bool kRowFactors = true, kExact = false, kWeightings = false, kSlopes = false;
  static constexpr int kColumnValues = Z;
  static constexpr int kSharedBytes = RowSums<G, kSums>::kSharedBytes;
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ MomentsFew(const Args& args, const Pairs<T>& p, std::int64_t i0, const double* factors,
                        unsigned char* shared)
      : args_(args), n_(p.n), i0_(i0), rows_(shared, factors) {
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int k = 0; k < Z; ++k) {
        const std::int64_t i = i0 + G::row(r);
        const bool there = i < p.n && k < args.values.dim;
        center_[r][k] = there ? args.center[i * args.values.dim + k] : T(0);
      }
  }

  __device__ void stage(std::int64_t j0, T* to) const { stage_block(args_.values, j0, to); }
  __device__ void begin_step(const Place&) {}
  template <class Score>
  __device__ void add(const Score&, const Place& place, const T*, const T* values,
                      const T (&w)[G::kRows][4]) {
    T z[Z][4];
    load_points(values, args_.values.dim, place.step * G::kWidth + G::column(), z);
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        rows_.sum[r][0] += w[r][c];
        T u[Z];
#pragma unroll
        for (int k = 0; k < Z; ++k) u[k] = z[k][c] - center_[r][k];
        int a = 1 + Z;
#pragma unroll
        for (int k = 0; k < Z; ++k) {
          const T wu = w[r][c] * u[k];
          rows_.sum[r][1 + k] += wu;
#pragma unroll
          for (int l = k; l < Z; ++l, ++a) rows_.sum[r][a] = fma(wu, u[l], rows_.sum[r][a]);
        }
      }
  }
  __device__ void end_step(const Place&) {}
  __device__ void end_block(std::int64_t, std::int64_t) { rows_.end_block(); }
  __device__ void finish(int part, int block, int blocks) {
    rows_.finish(i0_, n_, args_.partial, part, block, blocks, args_.store);
  }

 private:
  const Args& args_;
  std::int64_t n_, i0_;
  RowSums<G, kSums> rows_;
  T center_[G::kRows][Z];
};
}  // namespace monge::cuda::verbs
