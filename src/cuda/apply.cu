// apply: few columns of V stay in registers, more of them are a second product. Tensor cores make
// costs alone: their halves would lose small products of small weights.
#include "kernels/apply.hpp"

#include "cuda/apply_few.cuh"
#include "cuda/current.cuh"
#include "cuda/dispatch.cuh"
#include "cuda/products.cuh"
#include "cuda/tensor_apply.hpp"
#include "cuda/tensor_sums.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;         // NOLINT(google-build-using-namespace): the backend's own
using namespace monge::cuda::verbs;  // NOLINT(google-build-using-namespace)

namespace {
template <class T>
SweepArgs<T> sweep_of(const ApplyArgs<T>& a) {
  SweepArgs<T> sweep(a.pairs, a.h, a.shift, a.eps);
  sweep.weighting = a.weighting;
  return sweep;
}

template <int K, class T>
void apply_few(const ApplyArgs<T>& a, int k0, int k, Exec& exec) {
  const typename ApplyFew<T, K>::Args args{
      a.v ? a.v + k0 * a.v_col : nullptr, a.v_row, a.v_col, k, {a.out + k0, a.k, k}};
  by_dimension<K == 1 ? 1 : 3>(a.pairs, [&]<class Score>(Type<Score>) {
    sum_rows<Score, ApplyFew<T, K>>(sweep_of(a), args, exec);
  });
}

template <class T>
void apply_many(const ApplyArgs<T>& a, int k0, Exec& exec) {
  const int k = std::min(kWide, a.k - k0);
  const typename Products<T, GivenValues<T>>::Args args{
      {a.v + k0 * a.v_col, a.v_row, a.v_col, a.pairs.m, k}, {a.out + k0, a.k, k, 1.0}};
  by_dimension<4>(a.pairs, [&]<class Score>(Type<Score>) {
    sum_rows<Score, Products<T, GivenValues<T>>>(sweep_of(a), args, exec);
  });
}
}  // namespace

template <class T>
void apply(const ApplyArgs<T>& a, Exec& exec) {
  if (a.pairs.n == 0) return;
  const Current current(exec);
  if constexpr (sizeof(T) == 4)
    if (kernels::reads_split(a) && on_tensor_cores(a.pairs)) {
      if (!a.v && a.weighting != Weighting::squared) {
        const bool plain = a.weighting == Weighting::plain;
        return tensor_sums({a.pairs, a.h, a.shift, a.eps, nullptr, plain ? a.out : nullptr,
                            plain ? nullptr : a.out},
                           exec);
      }
      for (int k0 = 0; k0 < a.k; k0 += kTensorColumns)
        tensor_apply(a, k0, std::min(kTensorColumns, a.k - k0), exec);
      return;
    }
  if (a.k == 1) return apply_few<1>(a, 0, 1, exec);
  // Where costs are cheap, three sweeps of 8 columns are faster than one of kWide.
  if (a.k > (a.pairs.rows.dim > 4 ? 8 : 24)) {
    for (int k0 = 0; k0 < a.k; k0 += kWide) apply_many(a, k0, exec);
    return;
  }
  for (int k0 = 0; k0 < a.k; k0 += 8) {
    const int k = std::min(8, a.k - k0);
    k <= 4 ? apply_few<4>(a, k0, k, exec) : apply_few<8>(a, k0, k, exec);
  }
}
template void apply<float>(const ApplyArgs<float>&, Exec&);
template void apply<double>(const ApplyArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
