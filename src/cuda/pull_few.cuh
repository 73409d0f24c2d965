// pull with few coordinates: the sums of a row stay in registers.
#pragma once
#include "cuda/row_sums.cuh"

namespace monge::cuda::verbs {
/// The factor that all slopes of a form share; the others meet each weight (kSlopes).
template <class T>
double slope_factor(const Pairs<T>& p) {
  if (has_slopes(p)) return 1;
  return (p.form == Form::squared ? 2 : 1) * static_cast<double>(p.scale);
}

template <class T, int D>
class PullFew {
 public:
  using G = Tile<T>;
  struct Store {
    T* out;
    int dim;
    double factor;
    __device__ void operator()(std::int64_t i, int k, double value) const {
      if (k < dim) out[i * dim + k] = static_cast<T>(factor * value);
    }
  };
  struct Args {
    Store store;
    double* partial = nullptr;
  };
  static constexpr bool kRowFactors = true, kExact = false, kWeightings = false, kSlopes = true;
  static constexpr int kColumnValues = 0, kSums = D;
  static constexpr int kSharedBytes = RowSums<G, D>::kSharedBytes;
  static constexpr int kResident = sizeof(T) == 4 ? 2 : 1;

  __device__ PullFew(const Args& args, const Pairs<T>& p, std::int64_t i0, const double* factors,
                     unsigned char* shared)
      : args_(args), n_(p.n), i0_(i0), dot_(p.form == Form::dot), rows_(shared, factors) {}

  __device__ void stage(std::int64_t, T*) const {}
  __device__ void begin_step(const Place&) {}
  template <class Score>
  __device__ void add(const Score& score, const Place& place, const T* coordinates, const T*,
                      const T (&w)[G::kRows][4]) {
    T y[D][4];
    score.load_columns(place, coordinates, y);
#pragma unroll
    for (int r = 0; r < G::kRows; ++r)
#pragma unroll
      for (int k = 0; k < D; ++k) {
        const T x = dot_ ? T(0) : score.x(r, k);  // the gradient of -x.y is 0 - y
#pragma unroll
        for (int c = 0; c < 4; ++c) rows_.sum[r][k] = fma(w[r][c], x - y[k][c], rows_.sum[r][k]);
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
  bool dot_;
  RowSums<G, D> rows_;
};
}  // namespace monge::cuda::verbs
